/* test_intake.c: what recv gives to libmicrohttpd on an HTTP thread, for bytes and an end that come
 * together: its epoll is edge-triggered, so that it learns of an end only by reading. */
#include "http/intake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server_private.h"

static struct http_server server;
static struct http_worker worker;
static struct http_connection peer;
static int client;
static char got[65536];

static void begin(void) {
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    client = ends[1];
    server = (struct http_server){.options = {.max_header = 4096},
                                  .head_limits = {.bytes = 4096, .fields = 16}};
    worker = (struct http_worker){.server = &server};
    peer = (struct http_connection){.fd = ends[0], .worker = &worker};
    http_intake_begin(&worker, &peer);
}

static void end(void) {
    http_intake_end(&worker, &peer);
    http_intake_clear(&peer.intake);
    http_intake_stop(&worker);
    (void)close(peer.fd);
    (void)close(client);
}
TestSuite(intake, .init = begin, .fini = end);

static void sends(const char *bytes) {
    cr_assert_eq(send(client, bytes, strlen(bytes), 0), (ssize_t)strlen(bytes));
}

static void ends(void) {
    cr_assert_eq(shutdown(client, SHUT_WR), 0);
}

/* libmicrohttpd's next call. */
static ssize_t receives(void) {
    return recv(peer.fd, got, sizeof got, 0);
}

static void receives_text(const char *text) {
    const ssize_t length = receives();
    cr_assert(length == (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0,
              "%zd bytes: %.*s", length, (int)(length > 0 ? length : 0), got);
}

static void receives_nothing(void) {
    errno = 0;
    cr_assert_eq(receives(), -1);
    cr_assert_eq(errno, EAGAIN);
}

#define HEAD   "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKS "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

Test(intake, an_end_within_a_head_is_seen_with_the_head) {
    sends("GET / HTTP/1.1\r\nHo");
    ends();
    cr_assert_eq(receives(), 0);
}

Test(intake, an_end_within_a_later_head_is_seen_with_it) {
    sends(HEAD);
    receives_text(HEAD);
    sends("GET / HTTP/1.1\r\nHo");
    ends();
    cr_assert_eq(receives(), 0);
}

Test(intake, an_end_within_the_line_of_a_chunk_is_seen_with_it) {
    sends(CHUNKS);
    receives_text(CHUNKS);
    sends("3");
    ends();
    cr_assert_eq(receives(), 0);
}

Test(intake, an_end_is_not_seen_before_the_bytes_that_precede_it) {
    sends(HEAD);
    ends();
    receives_text(HEAD);
    cr_assert_eq(receives(), 0);
}

Test(intake, a_head_in_pieces_is_given_when_it_is_whole) {
    receives_nothing();
    for (const char *at = HEAD; at[1] != '\0'; at++) {
        cr_assert_eq(send(client, at, 1, 0), 1);
        receives_nothing();
        cr_assert(http_intake_has_begun(&peer.intake));
    }
    sends("\n");
    receives_text(HEAD);
    cr_assert_not(http_intake_has_begun(&peer.intake));
}

/* A flood of lines that yield no output ends with an answer. */
Test(intake, empty_lines_are_refused_while_more_of_them_come) {
    for (int i = 0; i < 100; i++)
        sends("\r\n\r\n\r\n\r\n");
    cr_assert_gt(receives(), 0);
    cr_assert_eq(peer.intake.stream.status, 400);
}
