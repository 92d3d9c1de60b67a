/* admission.h: tells from a request's head whether the batch lane has room for it. */
#ifndef CONVNET_HTTP_ADMISSION_H
#define CONVNET_HTTP_ADMISSION_H

#include "http/server_private.h"

/* The number of images in a body of `length` bytes, for a request whose head is complete, if the
 * batch lane would refuse them now; else 0. */
size_t http_admission_refused(const struct http_exchange *exchange, size_t length);

/* The bytes of memory that a request with a body of `length` bytes will use until it is computed:
 * the body, and the arrays of its images where the head tells their number. */
size_t http_admission_memory(const struct http_exchange *exchange, size_t length);

#endif
