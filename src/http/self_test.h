/* self_test.h: requests of the server to itself. */
#ifndef CONVNET_HTTP_SELF_TEST_H
#define CONVNET_HTTP_SELF_TEST_H

#include "http/server_private.h"

/* Sends one request to a worker and reads the status of the answer: 0 for none within `timeout`
 * nanoseconds, -1 when the connection was closed without an answer, which is what a worker with TLS
 * does. */
int http_self_test_request(struct http_server *server, struct http_worker *worker,
                           const char *request, uint64_t timeout);

#endif
