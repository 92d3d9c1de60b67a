/* request.h: the server's side of an exchange. */
#ifndef CONVNET_HTTP_REQUEST_H
#define CONVNET_HTTP_REQUEST_H

#include "http/coding.h"
#include "http/exchange.h"
#include "http/identity.h"
#include "http/keys.h"
#include "http/target.h"

enum http_stage {
    HTTP_STAGE_HEAD = 0, /* nothing decided yet */
    HTTP_STAGE_BODY,     /* accepted; the body comes */
    HTTP_STAGE_DEFERRED, /* when the handler is called again, `finish` runs */
    HTTP_STAGE_REPLIED   /* an answer is queued */
};

enum { HTTP_MAX_REPLY_HEADERS = 8 };

/* One for each connection, used again for each of its requests; confined to its HTTP thread but
 * while it is deferred. */
struct http_request {
    struct http_exchange exchange; /* first: http_request_of */
    struct http_server *server;
    struct http_connection *peer;
    enum http_stage stage;
    const char *target; /* libmicrohttpd's, before it is cut and decoded: valid in the URI call */
    size_t target_length;
    unsigned target_status; /* 0, or how to reject the target */
    const char *target_fault;
    char path[HTTP_PATH_SIZE];
    char argument_text[HTTP_PATH_SIZE]; /* of exchange.arguments */
    struct http_identity identity;      /* in the answer and in the log line */
    char client[HTTP_KEY_NAME_SIZE];    /* the name of the key it showed, "" for none */
    const char *allow;                  /* of an answer to OPTIONS, valid while it is made */
    size_t route;                       /* index into the table; route_count: none */
    size_t body_limit, body_expected;
    enum http_coding coding; /* of the body */
    unsigned char *body;
    size_t body_capacity;
    enum http_outcome (*finish)(struct http_exchange *exchange);
    char *header_names[HTTP_MAX_REPLY_HEADERS], *header_values[HTTP_MAX_REPLY_HEADERS];
    size_t header_count;
    unsigned status;
    size_t reply_length;                /* of its body */
    size_t reply_held;                  /* bytes of memory that the answer holds until it is sent */
    char model_name[SERVED_MODEL_NAME]; /* of the model that it was about; "": none */
    unsigned model_version;
    bool queued; /* libmicrohttpd took the answer */
    bool close;  /* the connection ends with this answer */
    bool linger; /* ... and what the client still sends is read away first */
};

static inline struct http_request *http_request_of(struct http_exchange *exchange) {
    return (struct http_request *)exchange;
}

/* Makes the request ready for the next one on its connection. */
void http_request_begin(struct http_request *request, struct MHD_Connection *connection);

/* Releases what the last request held: the handler's state, headers, body. */
void http_request_end(struct http_request *request);

/* Appends body bytes. Returns 0, 413 over the limit or 503 without memory. */
unsigned http_request_append(struct http_request *request, const char *bytes, size_t length);

/* An answer is on its way: releases all that it does not need. */
void http_request_shed(struct http_request *request);

/* Answers an error and closes the connection after it. */
void http_request_reject(struct http_request *request, unsigned status, const char *text);

#endif
