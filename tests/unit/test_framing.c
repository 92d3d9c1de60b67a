#include "http/framing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "http/target.h"

/* A head as libmicrohttpd leaves it: fields as "name: value" lines, and one deviation. */
struct head {
    char bytes[1024];
    const char *version, *end;
    const char *names[16], *values[16];
    size_t count;
};

static void lay_out(struct head *head, const char *version, const char *const *lines) {
    char *at = head->bytes;
    *head = (struct head){.version = at};
    at += sprintf(at, "%s", version) + 2;
    for (; *lines != NULL; lines++) {
        size_t name = strcspn(*lines, ":");
        head->names[head->count] = at;
        memcpy(at, *lines, name);
        at += name + 1;
        const char *value = *lines + name + 1;
        for (; *value == ' ' || *value == '\t'; value++)
            *at++ = *value;
        head->values[head->count++] = at;
        at += sprintf(at, "%s", value) + 2;
    }
    head->end = at + 2;
}

static unsigned check_head(const struct head *head, bool positions, struct http_framing *framing) {
    http_framing_begin(framing, "POST", head->version, positions);
    for (size_t i = 0; i < head->count; i++)
        http_framing_header(framing, head->names[i], head->values[i]);
    return http_framing_end(framing, head->end);
}

/* The status of a head with these lines after the request line. */
static unsigned status_of(const char *version, const char *const *lines) {
    struct head head;
    struct http_framing framing;
    lay_out(&head, version, lines);
    unsigned with = check_head(&head, true, &framing);
    unsigned without = check_head(&head, false, &framing);
    cr_assert_eq(with, without, "%s: %u with positions, %u without", lines[0], with, without);
    cr_assert_eq(framing.fault == NULL, with == 0);
    return with;
}

#define STATUS(version, ...) status_of(version, (const char *const[]){__VA_ARGS__, NULL})
#define V11(...)             STATUS("HTTP/1.1", __VA_ARGS__)
#define V10(...)             STATUS("HTTP/1.0", __VA_ARGS__)

Test(framing, tokens) {
    cr_assert(http_is_token("GET"));
    cr_assert(http_is_token("!#$%&'*+-.^_`|~09azAZ"));
    cr_assert_not(http_is_token(""));
    for (const char *c = "\"(),/:;<=>?@[\\]{} \t\x7f\x80\xff"; *c != '\0'; c++)
        cr_assert_not(http_is_token((char[]){'A', *c, '\0'}), "byte %d", *c);
}

Test(framing, good_heads) {
    struct head head;
    struct http_framing framing;
    cr_assert_eq(V11("Host: a", "A:", "B: \t\xc3\xa9 "), 0);
    cr_assert_eq(V10("A: b"), 0);
    lay_out(&head, "HTTP/1.1",
            (const char *const[]){"Host:", "content-length:  00784", "Expect: 100-Continue", NULL});
    cr_assert_eq(check_head(&head, true, &framing), 0);
    cr_assert(framing.has_length && framing.length == 784 && !framing.chunked);
    cr_assert(framing.expects_continue && framing.version_1_1);
    lay_out(&head, "HTTP/1.9",
            (const char *const[]){"Host: a", "Transfer-Encoding: Chunked", NULL});
    cr_assert_eq(check_head(&head, true, &framing), 0);
    cr_assert(!framing.has_length && framing.chunked && framing.version_1_1);
}

Test(framing, bad_heads) {
    cr_assert_eq(V11("A: b"), 400, "no Host");
    cr_assert_eq(V11("Host: a", "host: a"), 400);
    cr_assert_eq(V11("Host: a b"), 400);
    cr_assert_eq(V11("Host: a", "A b: c"), 400);
    cr_assert_eq(V11("Host: a", "A : c"), 400);
    cr_assert_eq(V11("Host: a", ": c"), 400);
    cr_assert_eq(V11("Host: a", "A: b\x01"), 400);
    cr_assert_eq(V11("Host: a", "A: b\x7f"), 400);
    cr_assert_eq(V11("Host: a", "A: b\rc"), 400);
    cr_assert_eq(V11("Host: a", "Content-Length: 1", "Content-Length: 1"), 400);
    cr_assert_eq(V11("Host: a", "Content-Length:"), 400);
    cr_assert_eq(V11("Host: a", "Content-Length: +1"), 400);
    cr_assert_eq(V11("Host: a", "Content-Length: 1 "), 400);
    cr_assert_eq(V11("Host: a", "Content-Length: 0x1"), 400);
    cr_assert_eq(V11("Host: a", "Content-Length: 18446744073709551616"), 413);
    cr_assert_eq(V11("Host: a", "Content-Length: 18446744073709551615"), 0);
    cr_assert_eq(V11("Host: a", "Transfer-Encoding: gzip"), 501);
    cr_assert_eq(V11("Host: a", "Transfer-Encoding: gzip, chunked"), 501);
    cr_assert_eq(V11("Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400);
    cr_assert_eq(V11("Host: a", "Transfer-Encoding: chunked", "Content-Length: 1"), 400);
    cr_assert_eq(V10("Transfer-Encoding: chunked"), 400);
    cr_assert_eq(V11("Host: a", "Expect: wonders"), 417);
    cr_assert_eq(STATUS("HTTP/2.0", "Host: a"), 505);
    cr_assert_eq(STATUS("HTTP/1.x", "Host: a"), 505);
    cr_assert_eq(STATUS("http/1.1", "Host: a"), 505);
    cr_assert_eq(STATUS("", "Host: a"), 505);
}

Test(framing, gaps_show_folds_and_nuls) {
    struct http_framing framing;
    struct head head;
    const char *const lines[] = {"Host: a", "A: b", "C: d", NULL};
    lay_out(&head, "HTTP/1.1", lines);
    cr_assert_eq(check_head(&head, true, &framing), 0);
    /* Each field one byte later than it should be, then the end. */
    for (size_t i = 0; i < head.count; i++) {
        struct head moved = head;
        moved.names[i] = head.names[i] + 1;
        cr_assert_eq(check_head(&moved, true, &framing), 400, "field %zu", i);
    }
    head.end++;
    cr_assert_eq(check_head(&head, true, &framing), 400);
    head.end--;
    /* A name that was copied elsewhere, as libmicrohttpd does with a folded one. */
    head.names[1] = "A";
    cr_assert_eq(check_head(&head, true, &framing), 400);
    cr_assert_eq(check_head(&head, false, &framing), 0);
    /* A value that a NUL ends too early. */
    lay_out(&head, "HTTP/1.1", (const char *const[]){"Host: a", "A: bcd", "E: f", NULL});
    head.bytes[head.values[1] + 1 - head.bytes] = '\0';
    cr_assert_eq(check_head(&head, true, &framing), 400);
}

static unsigned path_of(const char *target, const char *expected) {
    char path[HTTP_PATH_SIZE] = "";
    const char *fault = NULL;
    unsigned status = http_target_path(target, path, &fault);
    cr_assert_eq(status == 0, fault == NULL, "%s", target);
    if (status == 0)
        cr_assert_str_eq(path, expected, "%s", target);
    return status;
}

Test(framing, targets) {
    char path[HTTP_PATH_SIZE + 8];
    cr_assert_eq(path_of("/", "/"), 0);
    cr_assert_eq(path_of("/a/b?c=/../%41", "/a/b"), 0);
    cr_assert_eq(path_of("/%61%C3%a9", "/a\xc3\xa9"), 0);
    cr_assert_eq(path_of("http://h/a", "/a"), 0);
    cr_assert_eq(path_of("HTTPS://h?a", "/"), 0);
    cr_assert_eq(path_of("/...", "/..."), 0);
    cr_assert_eq(path_of("*", "*"), 0); /* OPTIONS; no route has it */
    static const char *const bad[] = {
        "",       "a",       "**",   "/%",   "/%4",     "/%4g",      "/%00",        "/?%00",
        "/%2f",   "/%0a",    "/%7f", "/a b", "/a\x01",  "/\xc3",     "/#",          "/..",
        "/a/../", "/%2e%2E", "/.",   "/a/.", "http://", "http:///a", "http://u@h/", "ftp://h/"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(path_of(bad[i], ""), 400, "%s", bad[i]);
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[HTTP_PATH_SIZE - 1] = '\0';
    cr_assert_eq(path_of(path, path), 0);
    path[HTTP_PATH_SIZE - 1] = 'a';
    path[HTTP_PATH_SIZE] = '\0';
    cr_assert_eq(path_of(path, ""), 414);
}
