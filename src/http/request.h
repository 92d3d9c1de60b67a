/* request.h: the server's side of an exchange. */
#ifndef CONVNET_HTTP_REQUEST_H
#define CONVNET_HTTP_REQUEST_H

#include "http/coding.h"
#include "http/exchange.h"
#include "http/identity.h"
#include "http/keys.h"
#include "http/router.h"
#include "http/target.h"

enum http_stage {
    HTTP_STAGE_HEAD = 0, /* not decided yet */
    HTTP_STAGE_BODY,     /* accepted; the body is arriving */
    HTTP_STAGE_DEFERRED, /* `finish` runs at the next call of the handler */
    HTTP_STAGE_REPLIED   /* an answer is queued */
};

enum { HTTP_MAX_REPLY_HEADERS = 8 };

/* One per connection, reused for each of its requests. Used by its HTTP thread only, except while
 * it is deferred. */
struct http_request {
    struct http_exchange exchange; /* first: http_request_of */
    struct http_server *server;
    struct http_connection *peer;
    enum http_stage stage;
    const char
        *target; /* libmicrohttpd's text before it is cut and decoded; valid in the URI callback */
    size_t target_length;
    unsigned target_status; /* the status to reject the target with, or 0 */
    const char *target_fault;
    char path[HTTP_PATH_SIZE];
    char argument_text[HTTP_PATH_SIZE]; /* the storage of exchange.arguments */
    struct http_identity identity;      /* for the answer and the log line */
    char client[HTTP_KEY_NAME_SIZE];    /* the name of the client's API key; "": none */
    char allow[HTTP_ALLOW_SIZE];        /* of OPTIONS: the path's methods; "": another method */
    size_t route;                       /* index in the table; route_count: none */
    size_t body_limit, body_expected;
    enum http_coding coding; /* of the body */
    unsigned char *body;
    size_t body_capacity;
    enum http_outcome (*finish)(struct http_exchange *exchange);
    char *header_names[HTTP_MAX_REPLY_HEADERS], *header_values[HTTP_MAX_REPLY_HEADERS];
    size_t header_count;
    unsigned status;
    size_t reply_length;                /* length of its body */
    size_t reply_held;                  /* bytes of memory that the answer uses until it is sent */
    char model_name[SERVED_MODEL_NAME]; /* the model's name, for the log; "": none */
    unsigned model_version;
    bool queued; /* libmicrohttpd has accepted the answer */
    bool close;  /* the connection is closed after this answer */
    bool linger; /* before it is closed, what the client still sends is read and discarded */
};

static inline struct http_request *http_request_of(struct http_exchange *exchange) {
    return (struct http_request *)exchange;
}

/* Makes the request ready for the next one on its connection. */
void http_request_begin(struct http_request *request, struct MHD_Connection *connection);

/* Frees what the last request used: the handler's state, headers, body. */
void http_request_end(struct http_request *request);

/* Appends bytes of the body. Returns 0, 413 over the limit or 503 if memory runs out. */
unsigned http_request_append(struct http_request *request, const char *bytes, size_t length);

/* Called when an answer is queued: frees what the answer does not need. */
void http_request_release(struct http_request *request);

/* Answers an error and closes the connection afterwards. */
void http_request_reject(struct http_request *request, unsigned status, const char *text);

#endif
