/* identity.h: connects a request with its log line and with the traces of other services. */
#ifndef CONVNET_HTTP_IDENTITY_H
#define CONVNET_HTTP_IDENTITY_H

#include <stdbool.h>

enum { HTTP_ID_SIZE = 129, HTTP_TRACE_SIZE = 56 };

struct http_identity {
    char id[HTTP_ID_SIZE];       /* never empty once set; printable ASCII without blanks */
    char trace[HTTP_TRACE_SIZE]; /* traceparent; "" if the client sent no valid one */
};

/* Keeps `id` (X-Request-Id) when it is 1 to 128 bytes of printable ASCII without blanks, quotes and
 * backslashes; else makes one of 32 hexadecimal digits. Keeps `trace` when it is a traceparent of
 * version 00 (W3C Trace Context, 3.2). Both may be NULL. */
void http_identity_set(struct http_identity *identity, const char *id, const char *trace);

#endif
