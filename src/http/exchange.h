/* exchange.h: one request and its answer, as an endpoint sees them.
 *
 * transaction.c takes a request whose framing is sound, finds its route and collects the body up to
 * the route's limit; then it calls the route's handler once, on the HTTP thread that owns the
 * connection. A handler answers with http_reply (or http_reply_error), or defers: it keeps the
 * exchange, and later, from any thread, calls http_resume; the handler's `finish` then runs on the
 * HTTP thread and replies. Handlers never block.
 */
#ifndef CONVNET_HTTP_EXCHANGE_H
#define CONVNET_HTTP_EXCHANGE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/statistics.h"
#include "serving/lane.h"
#include "serving/loader.h"

struct cn_text;     /* json/write.h */
struct preparer;    /* serving/preparer.h */
struct cn_budget;   /* base/budget.h */
struct http_worker; /* http/worker.h */

/* The parts of the daemon that handlers may use; one per server. Read-only except for what its
 * members guard themselves. */
struct http_context {
    struct registry *models;
    struct loader *loader; /* loads, unloads and reloads models */
    struct lane *lane;
    struct preparer *preparer;
    struct cn_budget *budget; /* for bodies, images, pictures and answers */
    struct statistics *statistics;
    size_t max_body;   /* bytes of a body, before and after decompression */
    size_t max_images; /* images in one request */
    size_t max_pixels; /* of all pictures of a request together, if it has several */
    struct cn_picture_limits picture_limits;
    double inline_seconds;                /* requests cheaper than this are computed inline */
    uint64_t request_timeout_nanoseconds; /* deadline of a request in the batch lane; 0: none */
    bool (*ready)(
        void *data); /* true if a model is loaded, the lane moves and the server is not stopping */
    size_t queue_images; /* the lane's limit, for the metrics */
    bool triton_metrics;
    size_t (*connections)(void *data);
    /* Called on the loader's thread when an admin's reload of the models has ended: reloads keys
     * and certificates, stores their fault in `error` and logs both. */
    void (*reloaded)(void *data, const struct loader_job *job, struct cn_error *error);
    void *data;
};

enum { HTTP_MAX_ARGUMENTS = 2 };

/* The decoded texts that matched the {...} of the route's pattern, in the pattern's order. */
struct http_arguments {
    const char *values[HTTP_MAX_ARGUMENTS]; /* NULL beyond `count` */
    size_t count;
    char *text; /* their storage */
};

/* Facts about a request for metrics and the log, filled in as they become known. */
struct http_work {
    const struct served_model *model; /* borrowed from the handler's state */
    size_t images;
    double queue_seconds, compute_seconds;
};

struct http_exchange {
    const struct http_context *context;
    struct MHD_Connection *connection; /* for MHD_lookup_connection_value and MHD_PostProcessor */
    struct http_worker *worker;
    const char *method;
    const char *path; /* the decoded path without the query */
    struct http_arguments arguments;
    const unsigned char *body; /* NUL after its end, not counted */
    size_t body_length;
    bool coded;     /* the body is still compressed: http_body_inflate */
    size_t refused; /* images that the queue had no room for when the head came; the body was not
                       kept */
    uint64_t started_nanoseconds;
    struct http_work work;
    /* The handler's own state from a deferral to `finish`. `release` runs exactly once, when the
     * exchange ends, however it ends. */
    void *state;
    void (*release)(void *state);
};

/* The result of a handler: it has replied, or it has deferred the reply. */
enum http_outcome { HTTP_REPLIED = 0, HTTP_DEFERRED };

/* A request header's value or NULL; names are case-insensitive. Borrowed until the exchange ends.
 */
const char *http_header(const struct http_exchange *exchange, const char *name);

/* On a public route: true if the request may also see what only clients with a key may see. */
bool http_is_client(struct http_exchange *exchange);

/* A query argument's value, decoded, or NULL. Borrowed until the exchange ends. */
const char *http_query(const struct http_exchange *exchange, const char *name);

/* Queues the answer. `body` is malloc'd and the reply takes ownership of it; NULL with length 0 is
 * an empty body. Always returns HTTP_REPLIED (if memory runs out the connection is closed). */
enum http_outcome http_reply(struct http_exchange *exchange, unsigned status,
                             const char *content_type, char *body, size_t length);

/* The same with the contents of `text`, which is empty afterwards; answers 503 if `text` ran out of
 * memory. */
enum http_outcome http_reply_text(struct http_exchange *exchange, unsigned status,
                                  const char *content_type, struct cn_text *text);

/* Adds a header to the answer. Both strings are copied; at most 8 per reply. */
void http_add_header(struct http_exchange *exchange, const char *name, const char *value);

/* Answers {"error": "<text>"}. The text is escaped here and may contain a client's bytes. 503 gets
 * a Retry-After. */
enum http_outcome http_reply_error(struct http_exchange *exchange, unsigned status,
                                   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Answers a failure of the library: 400 for malformed and invalid, 413 for limit, 415 for
 * unsupported, 422 for unusable, 503 for memory, else 500. */
enum http_outcome http_reply_failure(struct http_exchange *exchange, const struct cn_error *error);

/* Defers the answer. `submit(exchange, data)` is called after the connection has been suspended and
 * passes the work on. If it returns false the connection is resumed and `finish` runs at once.
 * `finish` must reply. */
enum http_outcome http_defer(struct http_exchange *exchange,
                             bool (*submit)(struct http_exchange *exchange, void *data),
                             enum http_outcome (*finish)(struct http_exchange *exchange),
                             void *data);

/* Called once, from any thread, when the submitted work is done: `finish` will run. */
void http_resume(struct http_exchange *exchange);

/* This HTTP thread's workspace for `model`'s plan; NULL if memory runs out. Borrowed while the
 * reference to the model is held. */
struct cn_workspace *http_worker_workspace(struct http_worker *worker, struct served_model *model);

/* Sets the deadline of the request by cn_clock_nanoseconds; 0: none. It is the configured time
 * after the request was read or, if that is earlier, the time in its header Request-Timeout-Ms
 * after the request's first line. False when that header is not a number: the request has been
 * answered with 400. (request.c) */
bool http_deadline(struct http_exchange *exchange, uint64_t *ret_deadline);

/* Sets *deadline to the earlier one. */
void http_deadline_shorten(uint64_t *deadline, uint64_t other);

/* Replaces a compressed body by its decompressed form; does nothing for others. Runs on the HTTP
 * thread, or on another one while the exchange is deferred. CN_MALFORMED, CN_LIMIT, CN_MEMORY. Only
 * routes with HTTP_BODY_CONFIGURED get bodies that are still compressed. */
enum cn_status http_body_inflate(struct http_exchange *exchange, struct cn_error *error);

/* Counts memory that the exchange is about to allocate, until http_release or its end. False: it
 * would exceed the server's budget, or the three quarters of it that one client may use. Runs on
 * the thread that has the exchange. */
bool http_hold(struct http_exchange *exchange, size_t bytes);

/* Reserves memory that the exchange will allocate later, so that a later http_hold of as much
 * succeeds, whatever other requests do. */
bool http_hold_ahead(struct http_exchange *exchange, size_t bytes);

/* The most that one request can ever hold; SIZE_MAX without a budget. */
size_t http_hold_most(const struct http_exchange *exchange);

void http_release(struct http_exchange *exchange, size_t bytes);

/* A number made from the client's address, for sharing resources fairly between clients. */
uint64_t http_client_number(const struct http_exchange *exchange);

/* False if the client has disconnected. May be called from any thread while the exchange is
 * deferred, when libmicrohttpd does not check. */
bool http_peer_waits(const struct http_exchange *exchange);

/* The requests that may use a route. The default is the most restrictive value. */
enum http_access {
    HTTP_ACCESS_ADMIN = 0, /* requests on the admin socket */
    HTTP_ACCESS_CLIENT,    /* clients with an API key, if the server has keys */
    HTTP_ACCESS_METRICS,   /* configured by the operator as one of the others */
    HTTP_ACCESS_PUBLIC     /* everybody */
};

/* A row of THE route table (routes.c). */
struct http_route {
    const char *method;  /* "GET" */
    const char *pattern; /* "/predict/{model}": at most two {...}, one per segment */
    const char *name;    /* the pattern, as metric label and in the log */
    enum http_access access;
    size_t body_limit; /* in bytes; 0: the route takes no body */
    enum http_outcome (*handler)(struct http_exchange *exchange);
    /* A health probe: a new connection whose first request is for such a route is answered by a
     * thread that does nothing else, and closed. */
    bool probe;
    /* The keys that its query may have, NULL-terminated; NULL: none. */
    const char *const *query;
};

#endif
