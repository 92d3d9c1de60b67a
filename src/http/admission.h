/* admission.h: will the batch lane have room for a request? */
#ifndef CONVNET_HTTP_ADMISSION_H
#define CONVNET_HTTP_ADMISSION_H

#include "http/server_private.h"

/* Images of the request whose head has come and whose body has `length` bytes, if the batch lane
 * would refuse them now; else 0. */
size_t http_admission_refused(const struct http_exchange *exchange, size_t length);

#endif
