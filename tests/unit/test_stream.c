#include "http/stream.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/target.h"

#define HOST         "Host: a\r\n"
#define CHUNKS       "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define REFUSED_HEAD "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static const struct http_stream_limits limits = {.bytes = 512, .fields = 8};

/* The output for `bytes` that arrive in parts of `part` bytes and are read with buffers of `room`
 * bytes. */
struct outcome {
    char text[8192];
    size_t length, heads;
    unsigned status;
    bool head_refused;
};

static struct outcome run_in_parts(const char *bytes, size_t length, size_t part, size_t room) {
    struct http_stream stream = {.limits = &limits};
    struct outcome outcome = {.length = 0};
    char held[8192];
    size_t have = 0, given = 0, came = 1;
    while (given < length || came > 0) {
        const size_t more = length - given < part ? length - given : part;
        size_t taken = 0;
        cr_assert_leq(have + more, sizeof held);
        memcpy(held + have, bytes + given, more);
        given += more;
        have += more;
        cr_assert_leq(outcome.length + room, sizeof outcome.text);
        came = http_stream_run(&stream, held, have, &taken, outcome.text + outcome.length, room);
        cr_assert(taken <= have && came <= room);
        outcome.length += came;
        have -= taken;
        memmove(held, held + taken, have);
    }
    outcome.heads = stream.heads;
    outcome.status = stream.status;
    outcome.head_refused = stream.head_refused;
    return outcome;
}

/* The result is the same for all parts and buffers. */
static struct outcome run_stream(const char *bytes, size_t length) {
    struct outcome whole = run_in_parts(bytes, length, length, 2048);
    for (size_t part = 1; part < 9; part += 2)
        for (size_t room = 1; room < 99; room = room * 3 + 1) {
            struct outcome other = run_in_parts(bytes, length, part, room);
            cr_assert(other.length == whole.length &&
                          memcmp(other.text, whole.text, whole.length) == 0 &&
                          other.heads == whole.heads && other.status == whole.status,
                      "%.60s in parts of %zu to %zu: %.*s", bytes, part, room, (int)other.length,
                      other.text);
        }
    return whole;
}

/* These bytes pass unchanged. */
static void passes_as(const char *bytes, const char *expected, size_t heads) {
    const struct outcome outcome = run_stream(bytes, strlen(bytes));
    cr_assert_eq(outcome.status, 0, "%s: %u", bytes, outcome.status);
    cr_assert_eq(outcome.heads, heads, "%s: %zu heads", bytes, outcome.heads);
    cr_assert(outcome.length == strlen(expected) &&
                  memcmp(outcome.text, expected, outcome.length) == 0,
              "%s came out as %.*s", bytes, (int)outcome.length, outcome.text);
}

static void passes(const char *bytes, size_t heads) {
    passes_as(bytes, bytes, heads);
}

static unsigned refused(const char *bytes, size_t length) {
    const struct outcome outcome = run_stream(bytes, length);
    cr_assert(outcome.status != 0 && outcome.head_refused && outcome.heads == 1, "%s", bytes);
    cr_assert(outcome.length == strlen(REFUSED_HEAD) &&
                  memcmp(outcome.text, REFUSED_HEAD, outcome.length) == 0,
              "%s: %.*s", bytes, (int)outcome.length, outcome.text);
    return outcome.status;
}

#define REFUSED(bytes) refused(bytes, sizeof(bytes) - 1)
#define FIELDS(lines)  REFUSED("POST / HTTP/1.1\r\n" HOST lines "\r\n\r\nabc")
#define LINE(line)     REFUSED(line "\r\n" HOST "\r\n")
#define EIGHT_LINES    "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"

/* The status of chunks that end at their fault; `expected` is the output up to there. */
static unsigned chunks_end(const char *bytes, size_t length, const char *expected) {
    const struct outcome outcome = run_stream(bytes, length);
    cr_assert(outcome.status != 0 && !outcome.head_refused && outcome.heads == 1, "%s", bytes);
    cr_assert(outcome.length == strlen(expected) &&
                  memcmp(outcome.text, expected, outcome.length) == 0,
              "%s: %.*s", bytes, (int)outcome.length, outcome.text);
    return outcome.status;
}

#define CHUNKS_END(bytes, expected)                                                                \
    chunks_end(CHUNKS bytes, sizeof(CHUNKS bytes) - 1, CHUNKS expected)

Test(stream, sound_requests_pass_as_they_are) {
    passes("GET / HTTP/1.1\r\n" HOST "\r\n", 1);
    passes("GET / HTTP/1.0\r\n\r\n", 1);
    passes("GET / HTTP/1.9\r\nHost:a\r\nA:b\r\nC: \t\xc3\xa9\r\n\r\n", 1);
    passes("POST / HTTP/1.1\r\n" HOST "content-length:  003\r\n\r\nabcGET / HTTP/1.1\r\n" HOST
           "\r\n",
           2);
    passes("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nExpect: 100-Continue\r\n\r\n", 1);
    passes(CHUNKS "3\r\nabc\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", 1);
    passes(CHUNKS "0\r\n\r\n" CHUNKS "1\r\na\r\n0\r\n\r\n", 2);
    passes("GET / HTTP/1.1\r\nHost: [1:2::ffff:1.2.3.4]\r\n\r\n", 1);
    passes("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\nGET / HTTP/1.1\r\nHost: a.b:\r\n\r\n", 2);
}

Test(stream, what_only_adds_doubt_is_left_out) {
    const char *plain = "GET / HTTP/1.1\r\n" HOST "\r\n";
    passes_as("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n\r\n", plain, 1);
    passes_as("GET / HTTP/1.1\r\nHost: a \t\r\n\r\n", plain, 1);
    passes_as("GET / HTTP/1.1\r\nCookie: a=b\r\n" HOST "cookie: c\r\n\r\n", plain, 1);
    passes_as("POST / HTTP/1.1\r\n" HOST "Content-Length: 3 \r\n\r\nabc",
              "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 1);
    passes_as(CHUNKS "3 ; a\t= \"b;\\\"c\";d=e ;f\r\nabc\r\n0\r\n\r\n",
              CHUNKS "3\r\nabc\r\n0\r\n\r\n", 1);
    passes_as(CHUNKS "0003;a=b;c=\"d\"\r\nabc\r\n00 ;e\r\nA: b\r\nC: d\r\n\r\n",
              CHUNKS "3\r\nabc\r\n0\r\n\r\n", 1);
}

/* They yield no output, so that a flood of them would keep the thread that reads them. */
Test(stream, few_empty_lines_may_precede_a_request) {
    const char *plain = "GET / HTTP/1.1\r\n" HOST "\r\n";
    passes_as(EIGHT_LINES EIGHT_LINES "GET / HTTP/1.1\r\n" HOST "\r\n" EIGHT_LINES, plain, 1);
    cr_assert_eq(REFUSED(EIGHT_LINES EIGHT_LINES "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400);
}

Test(stream, heads_that_break_a_rule) {
    cr_assert_eq(LINE("GET  / HTTP/1.1"), 400);
    cr_assert_eq(LINE("GET / HTTP/1.1 "), 400);
    cr_assert_eq(LINE("GET /"), 400);
    cr_assert_eq(LINE("GET  HTTP/1.1"), 400);
    cr_assert_eq(LINE("G@T / HTTP/1.1"), 400);
    cr_assert_eq(LINE("GET\t/ HTTP/1.1"), 400);
    cr_assert_eq(LINE("GET /\0 HTTP/1.1"), 400);
    cr_assert_eq(LINE("GET / http/1.1"), 400);
    cr_assert_eq(LINE("GET / HTTP/1.x"), 400);
    cr_assert_eq(LINE("GET / HTTP/1.10"), 400);
    cr_assert_eq(LINE("GET / HTTP/2.0"), 505);
    cr_assert_eq(LINE(" GET / HTTP/1.1"), 400);
    cr_assert_eq(LINE("\x16\x03\x01"), 400);
    cr_assert_eq(REFUSED("\n"), 400);
    cr_assert_eq(REFUSED("\rG"), 400);
    cr_assert_eq(REFUSED("GET / HTTP/1.1\n"), 400);
    cr_assert_eq(REFUSED("GET / HTTP/1.1\r\nHost: a\n"), 400);
    cr_assert_eq(REFUSED("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
    cr_assert_eq(REFUSED("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400, "no Host");
    cr_assert_eq(REFUSED("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
    cr_assert_eq(FIELDS("host: a"), 400);
    cr_assert_eq(FIELDS("A: b\r\n c"), 400);
    cr_assert_eq(FIELDS("A: b\r\n "), 400);
    cr_assert_eq(FIELDS("A"), 400);
    cr_assert_eq(FIELDS("A b: c"), 400);
    cr_assert_eq(FIELDS("A : c"), 400);
    cr_assert_eq(FIELDS(": c"), 400);
    cr_assert_eq(FIELDS("A\0: c"), 400);
    cr_assert_eq(FIELDS("A: b\0"), 400);
    cr_assert_eq(FIELDS("A: b\x01"), 400);
    cr_assert_eq(FIELDS("A: b\x7f"), 400);
    cr_assert_eq(FIELDS("A: b\rc"), 400);
    cr_assert_eq(FIELDS("Content-Length: 3\r\nContent-Length: 3"), 400);
    for (size_t i = 0; i < 9; i++) {
        static const char *const lengths[] = {"",    "+3",  "-1", "0x3", "3 4",
                                              "3,3", "3\v", "3a", ";3"};
        char text[128];
        const int length =
            snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Content-Length: %s\r\n\r\nabc",
                     lengths[i]);
        cr_assert_eq(refused(text, (size_t)length), 400, "%s", lengths[i]);
    }
    cr_assert_eq(FIELDS("Content-Length: 18446744073709551616"), 413);
    cr_assert_eq(FIELDS("Content-Length: 18446744073709551615"), 413);
    cr_assert_eq(FIELDS("Transfer-Encoding: gzip"), 501);
    cr_assert_eq(FIELDS("Transfer-Encoding: gzip, chunked"), 501);
    cr_assert_eq(FIELDS("Transfer-Encoding: xchunked"), 501);
    for (size_t i = 0; i < 11; i++) {
        static const char *const codings[] = {"",
                                              "identity",
                                              "chunked, gzip",
                                              "chunked, chunked",
                                              "gzip, identity",
                                              ", chunked",
                                              "chunked,",
                                              "chunked ,, gzip",
                                              "chunked;a=b",
                                              "chunked gzip",
                                              "gzip, chunked, chunked"};
        char text[128];
        const int length =
            snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: %s\r\n\r\n",
                     codings[i]);
        cr_assert_eq(refused(text, (size_t)length), 400, "%s", codings[i]);
    }
    cr_assert_eq(FIELDS("Content-Type: a/b\r\nContent-Type: a/b"), 400);
    cr_assert_eq(FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400);
    cr_assert_eq(FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 1"), 400);
    cr_assert_eq(REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    cr_assert_eq(FIELDS("Expect: wonders"), 417);
    static const char *const hosts[] = {"a b",       "a,b",       "a/b",    "u@a",       "a:b",
                                        "a:1:2",     "[::1",      "[]",     ":1",        "[a b]",
                                        "a#",        "[::1]x",    "",       "[a]",       "[:]",
                                        "[1::2::3]", "[1.2.3.4]", "[v1.a]", "[::1%25lo]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char text[128];
        const int length =
            snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        cr_assert_eq(refused(text, (size_t)length), 400, "%s", hosts[i]);
    }
}

Test(stream, heads_that_are_too_large) {
    char text[2048];
    for (int size = 400; size < 700; size += 25) {
        int length = snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\n" HOST "\r\n", size, 0);
        if (length <= 512)
            passes(text, 1);
        else
            cr_assert_eq(refused(text, (size_t)length), size > 495 ? 414 : 431, "%d", size);
        length = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "A: %0*d\r\n\r\n", size, 0);
        if (length <= 512)
            passes(text, 1);
        else
            cr_assert_eq(refused(text, (size_t)length), 431, "%d", size);
    }
    passes("GET / HTTP/1.1\r\n" HOST "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", 1);
    cr_assert_eq(FIELDS("A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:"), 431);
    memset(text, 'a', sizeof text); /* without any end of line */
    cr_assert_eq(refused(text, sizeof text), 414);
}

Test(stream, chunks_that_break_a_rule) {
    cr_assert_eq(CHUNKS_END("zz\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("-1\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0x1\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END(" 1\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1 \r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1_0\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;=b\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a@b=c\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a=\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a=\"b\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a=\"b\\\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a=\"b\"c\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a;\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a \r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1 a\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a\rb\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1;a\0\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("10000000000000000\r\n", "0\r\n\r\n"), 413);
    cr_assert_eq(CHUNKS_END("ffffffffffffffff\r\n", "0\r\n\r\n"), 413);
    cr_assert_eq(CHUNKS_END("1\r\nab\r\n", "1\r\na\r\n0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1\r\na\n", "1\r\na\r\n0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("1\r\na\r0", "1\r\na\r\n0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0\r\nA\r\n\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0\r\n A: b\r\n\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0\r\nContent-Length: 3\r\n\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"), 400);
    cr_assert_eq(CHUNKS_END("0\r\n\n", "0\r\n\r\n"), 400);
}

Test(stream, after_a_refusal_nothing_comes) {
    const char *bytes = "GET / HTTP/1.1\r\n" HOST "\r\nGET /\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n";
    const struct outcome outcome = run_stream(bytes, strlen(bytes));
    cr_assert(outcome.heads == 2 && outcome.status == 400 && outcome.head_refused);
    cr_assert_eq(outcome.length, strlen("GET / HTTP/1.1\r\n" HOST "\r\n" REFUSED_HEAD));
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

Test(stream, targets) {
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
    cr_assert_eq(path_of(path, ""), 404);
}
