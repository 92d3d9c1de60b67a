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
struct http_worker; /* one HTTP thread: server.c's */

/* What every handler may use; one for the server, read-only but for what its members guard. */
struct http_context {
    struct registry *models;
    struct loader *loader; /* changes the models: load, unload, reload */
    struct lane *lane;
    struct preparer *preparer;
    struct cn_budget *budget; /* of bodies, images, pictures and answers */
    struct statistics *statistics;
    size_t max_body;   /* bytes of a body, also when it is unpacked */
    size_t max_images; /* images in one request */
    size_t max_pixels; /* of its pictures together, if it has several */
    struct cn_picture_limits picture_limits;
    double inline_seconds;                /* requests cheaper than this are computed inline */
    uint64_t request_timeout_nanoseconds; /* deadline of a request in the batch lane; 0: none */
    bool (*ready)(void *data);            /* model loaded, lane moving, not shutting down */
    size_t queue_images;                  /* the lane's limit, for the metrics */
    bool triton_metrics;
    size_t (*connections)(void *data);
    /* An admin's reload of the models has ended: reads keys and certificates again and reports
     * both. On the loader's thread; `error` gets what was wrong with keys and certificates. */
    void (*reloaded)(void *data, const struct loader_job *job, struct cn_error *error);
    void *data;
};

enum { HTTP_MAX_ARGUMENTS = 2 };

/* What stands in a path for the {...} of its route's pattern, decoded, in the pattern's order. */
struct http_arguments {
    const char *values[HTTP_MAX_ARGUMENTS]; /* NULL beyond `count` */
    size_t count;
    char *text; /* where they are kept */
};

/* What a request was about, for metrics and the log; filled in as it becomes known. */
struct http_work {
    const struct served_model *model; /* borrowed: of the handler's state */
    size_t images;
    double queue_seconds, compute_seconds;
};

struct http_exchange {
    const struct http_context *context;
    struct MHD_Connection *connection; /* for MHD_lookup_connection_value, MHD_PostProcessor */
    struct http_worker *worker;
    const char *method;
    const char *path; /* as it matched, without the query */
    struct http_arguments arguments;
    const unsigned char *body; /* NUL after its end, not counted */
    size_t body_length;
    bool coded;     /* the body is compressed still: http_body_inflate */
    size_t refused; /* images that the queue had no room for when the head came: no body was kept */
    uint64_t started_nanoseconds;
    struct http_work work;
    /* The handler's own state between a deferral and `finish`; released by `release`, which runs
     * exactly once, when the exchange ends, however it ends. */
    void *state;
    void (*release)(void *state);
};

/* What a handler did. */
enum http_outcome { HTTP_REPLIED = 0, HTTP_DEFERRED };

/* A request header's value or NULL; names are case-insensitive. Borrowed until the exchange ends.
 */
const char *http_header(const struct http_exchange *exchange, const char *name);

/* On a route that is for everybody: may this request have what is for clients only? */
bool http_is_client(struct http_exchange *exchange);

/* A query argument's value, decoded, or NULL. Borrowed until the exchange ends. */
const char *http_query(const struct http_exchange *exchange, const char *name);

/* Queues the answer. `body` is malloc'd and the reply takes ownership of it; NULL with length 0 is
 * an empty body. Returns HTTP_REPLIED always (without memory the connection is closed). */
enum http_outcome http_reply(struct http_exchange *exchange, unsigned status,
                             const char *content_type, char *body, size_t length);

/* The same with what was written to `text`, which is empty afterwards; 503 when it had no memory.
 */
enum http_outcome http_reply_text(struct http_exchange *exchange, unsigned status,
                                  const char *content_type, struct cn_text *text);

/* Adds a header to the answer that follows. Both strings are copied; at most 8 a reply. */
void http_add_header(struct http_exchange *exchange, const char *name, const char *value);

/* Answers {"error": "<text>"}; the text is escaped here and may hold foreign bytes. 503 gets a
 * Retry-After. */
enum http_outcome http_reply_error(struct http_exchange *exchange, unsigned status,
                                   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 400, 413, 415, 422, 500 ... for a library failure: malformed and invalid 400, limit 413,
 * unsupported 415, unusable 422, memory 503, else 500. */
enum http_outcome http_reply_failure(struct http_exchange *exchange, const struct cn_error *error);

/* Defers the answer. `submit(exchange, data)` hands the work over after the connection has been
 * suspended (hazards: reserve, suspend, then publish) and returns false if it could not, in which
 * case the connection is resumed and `finish` runs at once. `finish` must reply. */
enum http_outcome http_defer(struct http_exchange *exchange,
                             bool (*submit)(struct http_exchange *exchange, void *data),
                             enum http_outcome (*finish)(struct http_exchange *exchange),
                             void *data);

/* From any thread, once, after the handed-over work is done: `finish` will run. */
void http_resume(struct http_exchange *exchange);

/* This HTTP thread's own workspace for `model`'s plan; NULL without memory. Borrowed as long as the
 * reference to the model is held. */
struct cn_workspace *http_worker_workspace(struct http_worker *worker, struct served_model *model);

/* The moment (cn_clock_nanoseconds) at which a request's time is over, 0: never. It is the
 * configured time after the request was read, or what its header Request-Timeout-Ms says, counted
 * from the request's first line, if that is sooner. False when that header is no number: the
 * request has been answered 400. (deadline.c) */
bool http_deadline(struct http_exchange *exchange, uint64_t *ret_deadline);

/* Makes *deadline the sooner one. */
void http_deadline_shorten(uint64_t *deadline, uint64_t other);

/* Replaces a compressed body by what it was made of; nothing if it is none. On the HTTP thread, or
 * on another one while the exchange is deferred. CN_MALFORMED, CN_LIMIT, CN_MEMORY. Only requests
 * whose route has HTTP_BODY_CONFIGURED come with a body that is compressed still. */
enum cn_status http_body_inflate(struct http_exchange *exchange, struct cn_error *error);

/* Counts bytes that the exchange is about to hold, until http_release or its end. False: they are
 * over the server's budget of memory, or over the half of it that one client may hold. On the
 * thread that has the exchange. */
bool http_hold(struct http_exchange *exchange, size_t bytes);
void http_release(struct http_exchange *exchange, size_t bytes);

/* A number for the client's address, for whoever shares something out between clients. */
uint64_t http_client_number(const struct http_exchange *exchange);

/* False if the client has gone. From any thread while the exchange is deferred, when libmicrohttpd
 * does not look. */
bool http_peer_waits(const struct http_exchange *exchange);

/* Who may have a route. What a row does not say is the narrowest. */
enum http_access {
    HTTP_ACCESS_ADMIN = 0, /* the admin socket only */
    HTTP_ACCESS_CLIENT,    /* who shows an API key, if there are any */
    HTTP_ACCESS_METRICS,   /* as the operator says: one of the others */
    HTTP_ACCESS_PUBLIC     /* anybody */
};

/* THE route table's row (routes.c). */
struct http_route {
    const char *method;  /* "GET" */
    const char *pattern; /* "/predict/{model}": two {...} at most, one in a segment */
    const char *name;    /* metric label and log word: the pattern */
    enum http_access access;
    size_t body_limit; /* bytes; 0: no body taken */
    enum http_outcome (*handler)(struct http_exchange *exchange);
    /* Asked by whoever watches over the server: a new connection that begins with it is answered
     * by a thread that does nothing else, and closed. */
    bool probe;
};

#endif
