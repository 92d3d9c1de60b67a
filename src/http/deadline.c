/* deadline.c: how long a request may take, and whether somebody still waits for its answer. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/time.h"
#include "http/server_private.h"

enum { LONGEST_TIMEOUT_MS = 86400000 };

/* A whole number of milliseconds, 1 to a day, or 0. */
static uint64_t parse_milliseconds(const char *text) {
    uint64_t value = 0;
    const size_t length = strlen(text);
    if (length == 0 || length > 8 || strspn(text, "0123456789") != length)
        return 0;
    value = strtoull(text, NULL, 10);
    return value <= LONGEST_TIMEOUT_MS ? value : 0;
}

void http_deadline_shorten(uint64_t *deadline, uint64_t other) {
    if (*deadline == 0 || other < *deadline)
        *deadline = other;
}

bool http_deadline(struct http_exchange *exchange, uint64_t *ret_deadline) {
    const uint64_t limit = exchange->context->request_timeout_nanoseconds;
    const char *asked = http_header(exchange, "Request-Timeout-Ms");
    uint64_t deadline = limit > 0 ? cn_clock_nanoseconds() + limit : 0;
    if (asked != NULL) {
        const uint64_t milliseconds = parse_milliseconds(asked);
        if (milliseconds == 0) {
            (void)http_reply_error(exchange, 400,
                                   "Request-Timeout-Ms is \"%.40s\"; it must be a whole number of "
                                   "milliseconds from 1 to %d",
                                   asked, LONGEST_TIMEOUT_MS);
            return false;
        }
        http_deadline_shorten(&deadline, exchange->started_nanoseconds + milliseconds * 1000000);
    }
    *ret_deadline = deadline;
    return true;
}

bool http_peer_waits(const struct http_exchange *exchange) {
    const struct http_connection *peer = ((const struct http_request *)exchange)->peer;
    struct pollfd look = {.fd = peer->fd, .events = POLLRDHUP};
    char byte;
    if (poll(&look, 1, 0) <= 0)
        return true;
    if ((look.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return false;
    /* The client has sent its last byte. If there is more to read it is pipelining, and waits. */
    return recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
