/* framing.c: RFC 9110 and 9112 rules that libmicrohttpd does not enforce, because a server behind a
 * proxy must never read a message differently from the proxy. Checks strings; does not parse bytes
 * and does not answer. Thread-safe: no state of its own. */
#include "http/framing.h"

#include <string.h>
#include <strings.h>

static void reject(struct http_framing *framing, unsigned status, const char *fault) {
    if (framing->status == 0) {
        framing->status = status;
        framing->fault = fault;
    }
}

bool http_is_token(const char *text) {
    static const char symbols[] = "!#$%&'*+-.^_`|~";
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        char c = *text;
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && strchr(symbols, c) == NULL)
            return false;
    }
    return true;
}

/* No control byte but the tab. */
static bool is_field_value(const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

void http_framing_begin(struct http_framing *framing, const char *method, const char *version,
                        bool positions) {
    *framing = (struct http_framing){.next = positions ? version + strlen(version) + 2 : NULL};
    if (!http_is_token(method))
        reject(framing, 400, "the method is not a token");
    bool version_1 = strlen(version) == 8 && strncmp(version, "HTTP/1.", 7) == 0 &&
                     version[7] >= '0' && version[7] <= '9';
    if (!version_1)
        reject(framing, 505, "the version is neither HTTP/1.0 nor HTTP/1.1");
    framing->version_1_1 = version_1 && version[7] != '0';
}

/* Moves `next` past this field if it lies where it must. */
static void check_position(struct http_framing *framing, const char *name, const char *value) {
    static const char fault[] =
        "the head has a folded line, a NUL or a line that does not end with CRLF";
    /* Compared as numbers: a folded name lies in another part of memory. */
    if ((uintptr_t)name != (uintptr_t)framing->next) {
        reject(framing, 400, fault);
        return;
    }
    const char *gap = name + strlen(name) + 1;
    while (*gap == ' ' || *gap == '\t')
        gap++;
    if ((uintptr_t)gap != (uintptr_t)value) {
        reject(framing, 400, fault);
        return;
    }
    framing->next = value + strlen(value) + 2;
}

static void read_length(struct http_framing *framing, const char *value) {
    uint64_t length = 0;
    if (*value == '\0')
        reject(framing, 400, "Content-Length is empty");
    for (const char *c = value; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') {
            reject(framing, 400, "Content-Length is not a decimal number");
            return;
        }
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(*c - '0'), &length)) {
            reject(framing, 413, "Content-Length is larger than any body taken here");
            return;
        }
    }
    framing->has_length = true;
    framing->length = length;
}

void http_framing_header(struct http_framing *framing, const char *name, const char *value) {
    if (framing->status != 0)
        return;
    if (framing->next != NULL)
        check_position(framing, name, value);
    if (!http_is_token(name))
        reject(framing, 400, "a header's name is not a token");
    if (!is_field_value(value))
        reject(framing, 400, "a header's value holds a control byte");
    if (strcasecmp(name, "Host") == 0) {
        framing->hosts++;
        if (strpbrk(value, " \t/\\@?#,") != NULL)
            reject(framing, 400, "Host is not a host");
    } else if (strcasecmp(name, "Content-Length") == 0) {
        framing->lengths++;
        read_length(framing, value);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        framing->encodings++;
        framing->chunked = true;
        if (strcasecmp(value, "chunked") != 0)
            reject(framing, 501, "Transfer-Encoding is not exactly chunked");
    } else if (strcasecmp(name, "Expect") == 0) {
        framing->expects_continue = true;
        if (strcasecmp(value, "100-continue") != 0)
            reject(framing, 417, "Expect is not 100-continue");
    }
}

unsigned http_framing_end(struct http_framing *framing, const char *end) {
    if (framing->status != 0)
        return framing->status;
    if (framing->next != NULL && (uintptr_t)framing->next + 2 != (uintptr_t)end)
        reject(framing, 400, "the head has a folded line, a NUL or does not end with CRLF");
    if (framing->hosts > 1)
        reject(framing, 400, "there is more than one Host");
    if (framing->hosts == 0 && framing->version_1_1)
        reject(framing, 400, "HTTP/1.1 needs Host");
    if (framing->lengths > 1)
        reject(framing, 400, "there is more than one Content-Length");
    if (framing->encodings > 1)
        reject(framing, 400, "there is more than one Transfer-Encoding");
    if (framing->lengths > 0 && framing->encodings > 0)
        reject(framing, 400, "there are both Content-Length and Transfer-Encoding");
    if (framing->encodings > 0 && !framing->version_1_1)
        reject(framing, 400, "HTTP/1.0 has no Transfer-Encoding");
    return framing->status;
}
