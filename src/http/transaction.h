/* transaction.h: libmicrohttpd's callbacks, which handle a request from its first line to its end.
 */
#ifndef CONVNET_HTTP_TRANSACTION_H
#define CONVNET_HTTP_TRANSACTION_H

#include "http/server_private.h"

/* libmicrohttpd's callbacks. `cls` is the struct http_worker. */
void *http_transaction_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_transaction(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **con_cls);
void http_transaction_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                                enum MHD_RequestTerminationCode code);
void http_transaction_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
                             enum MHD_ConnectionNotificationCode code);

#endif
