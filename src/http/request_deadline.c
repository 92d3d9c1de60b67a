/* request_deadline.c: the deadline of a request. Runs on the exchange's HTTP thread. */
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "http/server_private.h"

enum { LONGEST_TIMEOUT_MS = 86400000 };

/* Parses a whole number of milliseconds from 1 to a day; 0 if the text is none. */
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
