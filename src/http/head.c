/* head.c: the rules of RFC 9110 and 9112 for the lines of a head. They are strict, because a server
 * behind a proxy must never read a message differently from the proxy. It checks bytes; it neither
 * finds the lines nor answers. Thread-safe: no state. */
#include "http/head.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

void http_head_reject(struct http_head *head, unsigned status, const char *fault) {
    if (head->status == 0) {
        head->status = status;
        head->fault = fault;
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int http_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_is_tchar(char c) {
    static const bool tchar[256] = {
        ['!'] = true,         ['#' ... '\''] = true, ['*' ... '+'] = true,
        ['-' ... '.'] = true, ['0' ... '9'] = true,  ['A' ... 'Z'] = true,
        ['^' ... 'z'] = true, ['|'] = true,          ['~'] = true};
    return tchar[(unsigned char)c];
}

static bool is_token(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!http_is_tchar(text[i]))
            return false;
    return length > 0;
}

bool http_is_field_content(const char *text, size_t length) {
    static const bool control[256] = {[0 ... 8] = true, [10 ... 31] = true, [127] = true};
    for (size_t i = 0; i < length; i++)
        if (control[(unsigned char)text[i]])
            return false;
    return true;
}

static void read_version(struct http_head *head, const char *text, size_t length) {
    if (length != 8 || memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) || text[6] != '.' ||
        !is_digit(text[7]))
        http_head_reject(head, 400, "the request line does not end with HTTP/ and a version");
    else if (text[5] != '1')
        http_head_reject(head, 505, "the HTTP version is neither 1.0 nor 1.1");
    else
        head->version_1_1 = text[7] != '0';
}

/* target.c reads the target; here it is only a word between spaces. */
void http_head_request_line(struct http_head *head, const char *line, size_t length) {
    const char *end = line + length;
    const char *target = memchr(line, ' ', length);
    const char *version = target != NULL ? memchr(target + 1, ' ', (size_t)(end - target) - 1) : 0;
    if (!http_is_field_content(line, length))
        http_head_reject(head, 400, "the request line contains a control byte");
    if (version == NULL || memchr(version + 1, ' ', (size_t)(end - version) - 1) != NULL ||
        version == target + 1) {
        http_head_reject(head, 400,
                         "the request line is not method, target and version with one space each");
        return;
    }
    if (!is_token(line, (size_t)(target - line)))
        http_head_reject(head, 400, "the method is not a token");
    read_version(head, version + 1, (size_t)(end - version) - 1);
}

/* True for an IPv6 address in text form. */
static bool is_ipv6(const char *text, size_t length) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (length >= sizeof copy || memchr(text, '\0', length) != NULL)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

/* A name, an address, or an IPv6 address in brackets, optionally with a port. */
static bool is_host(const char *text, size_t length) {
    const char *end = text + length, *at = text;
    if (at < end && *at == '[') {
        const char *close = memchr(at, ']', length);
        if (close == NULL || !is_ipv6(at + 1, (size_t)(close - at) - 1))
            return false;
        at = close + 1;
    } else {
        while (at < end && *at != '\0' &&
               (is_alphanumeric(*at) || strchr("-._~%!$&'()*+;=", *at) != NULL))
            at++;
    }
    if (at < end && *at == ':' && at > text)
        for (at++; at < end && is_digit(*at);)
            at++;
    return at == end && length > 0;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static void read_length(struct http_head *head, const char *value, size_t length) {
    if (head->has_length)
        http_head_reject(head, 400, "there is more than one Content-Length");
    head->has_length = true;
    head->length = 0;
    if (length == 0)
        http_head_reject(head, 400, "Content-Length is empty");
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(value[i])) {
            http_head_reject(head, 400, "Content-Length is not a decimal number");
            return;
        }
        if (head->length > (INT64_MAX - 9) / 10) {
            http_head_reject(head, 413, "Content-Length is larger than any body that is accepted");
            return;
        }
        head->length = head->length * 10 + (uint64_t)(value[i] - '0');
    }
}

/* Skips white space at the end of a value that begins at `from`; returns the line's length without
 * it. */
static size_t without_blanks(const char *line, size_t from, size_t length) {
    while (length > from && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    return length;
}

/* Accepts "chunked" alone. A malformed list, and several codings of which the last is not chunked,
 * get 400, since the body's end cannot be known (RFC 9112, 6.3). One other coding, and several that
 * end with chunked, get 501 (6.1). */
static void read_encoding(struct http_head *head, const char *value, size_t length) {
    const char *end = value + length;
    size_t codings = 0, chunked = 0;
    bool sound = true, last = false;
    if (head->chunked)
        http_head_reject(head, 400, "there is more than one Transfer-Encoding");
    head->chunked = true;
    for (const char *at = value; at != NULL; codings++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t size = without_blanks(at, 0, (size_t)((comma != NULL ? comma : end) - at));
        for (; size > 0 && (*at == ' ' || *at == '\t'); size--)
            at++;
        sound = sound && is_token(at, size);
        last = is_word(at, size, "chunked");
        chunked += last;
        at = comma != NULL ? comma + 1 : NULL;
    }
    if (!sound || chunked > 1 || (!last && (codings > 1 || is_word(value, length, "identity"))))
        http_head_reject(head, 400, "Transfer-Encoding is not a list that ends with 'chunked'");
    else if (codings > 1 || !last)
        http_head_reject(head, 501, "Transfer-Encoding is not exactly 'chunked'");
}

size_t http_head_field(struct http_head *head, const char *line, size_t length) {
    const char *colon = memchr(line, ':', length);
    head->fields++;
    if (length > 0 && (line[0] == ' ' || line[0] == '\t')) {
        http_head_reject(head, 400, "a header line begins with white space");
        return length;
    }
    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        http_head_reject(head, 400, "a header field does not have the form NAME: VALUE");
        return length;
    }
    const size_t name = (size_t)(colon - line);
    size_t value = name + 1;
    if (!http_is_field_content(line + value, length - value))
        http_head_reject(head, 400, "the value of a header field contains a control byte");
    length = without_blanks(line, value, length);
    while (value < length && (line[value] == ' ' || line[value] == '\t'))
        value++;
    const char *text = line + value;
    if (is_word(line, name, "Host")) {
        head->hosts++;
        if (!is_host(text, length - value))
            http_head_reject(head, 400, "Host is not a host name or an address");
    } else if (is_word(line, name, "Content-Length")) {
        read_length(head, text, length - value);
    } else if (is_word(line, name, "Transfer-Encoding")) {
        read_encoding(head, text, length - value);
    } else if (is_word(line, name, "Content-Type")) {
        if (++head->types > 1)
            http_head_reject(head, 400, "there is more than one Content-Type");
    } else if (is_word(line, name, "Expect")) {
        if (!is_word(text, length - value, "100-continue"))
            http_head_reject(head, 417, "Expect has a value other than 100-continue");
    } else if (is_word(line, name, "Cookie")) {
        return 0;
    }
    return length;
}

/* Skips a quoted string, which begins at *at; false if it does not end. */
static bool skip_quoted(const char **at, const char *end) {
    for ((*at)++; *at < end && **at != '"'; (*at)++)
        if (**at == '\\' && ++*at == end)
            return false;
    return (*at)++ < end;
}

static void skip_blanks(const char **at, const char *end) {
    while (*at < end && (**at == ' ' || **at == '\t'))
        (*at)++;
}

static bool skip_token(const char **at, const char *end) {
    const char *begin = *at;
    while (*at < end && http_is_tchar(**at))
        (*at)++;
    return *at > begin;
}

bool http_head_is_extension(const char *text, size_t length) {
    const char *at = text, *end = text + length;
    while (at < end) {
        skip_blanks(&at, end);
        if (at == end || *at++ != ';')
            return false;
        skip_blanks(&at, end);
        if (!skip_token(&at, end))
            return false;
        const char *name_end = at;
        skip_blanks(&at, end);
        if (at == end || *at != '=') {
            at = name_end;
            continue;
        }
        at++;
        skip_blanks(&at, end);
        if (at < end && *at == '"' ? !skip_quoted(&at, end) : !skip_token(&at, end))
            return false;
    }
    return true;
}

unsigned http_head_end(struct http_head *head) {
    if (head->hosts > 1)
        http_head_reject(head, 400, "there is more than one Host");
    if (head->hosts == 0 && head->version_1_1)
        http_head_reject(head, 400, "an HTTP/1.1 request must have a Host header");
    if (head->has_length && head->chunked)
        http_head_reject(head, 400, "the request has both Content-Length and Transfer-Encoding");
    if (head->chunked && !head->version_1_1)
        http_head_reject(head, 400, "an HTTP/1.0 request must not have Transfer-Encoding");
    return head->status;
}
