/* worker.c: one HTTP thread: starts it, gives it connections, ends it. transaction.c handles its
 * requests. The server's other threads call these functions, never the HTTP thread. */
#include "http/worker.h"

#include <gnutls/abstract.h>
#include <stdlib.h>

#include "http/transaction.h"

enum {
    CONNECTION_MEMORY = HTTP_INTAKE_BYTES, /* in addition to the memory for a head */
    STACK_BYTES = 2 * 1024 * 1024,         /* jansson is recursive and needs 512 KiB */
    /* Higher than our own limit, since libmicrohttpd deadlocks at its own. */
    DAEMON_CONNECTIONS = 4 * HTTP_WORKER_CONNECTIONS
};

/* Never called, since each session gets its certificate before its handshake (transaction.c).
 * libmicrohttpd requires it to start TLS without a certificate of its own. */
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *issuers, int issuer_count,
                          const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                          gnutls_pcert_st **ret_chain, unsigned *ret_length,
                          gnutls_privkey_t *ret_key) {
    (void)session, (void)issuers, (void)issuer_count, (void)algorithms, (void)algorithm_count;
    *ret_chain = NULL;
    *ret_length = 0;
    *ret_key = NULL;
    return -1;
}

enum cn_status http_worker_start(struct http_worker *worker, struct http_server *server,
                                 struct cn_error *error) {
    worker->server = server;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate}, {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem *more = worker->tls ? tls : &tls[1];
    worker->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
            MHD_ALLOW_SUSPEND_RESUME | (worker->tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, http_transaction, worker, MHD_OPTION_URI_LOG_CALLBACK,
        http_transaction_target, worker, MHD_OPTION_NOTIFY_COMPLETED, http_transaction_completed,
        worker, MHD_OPTION_NOTIFY_CONNECTION, http_transaction_notify, worker,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)DAEMON_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY + server->options.max_header,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (worker->daemon == NULL && worker->tls &&
        MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return cn_fail(error, CN_UNSUPPORTED, "libmicrohttpd %s was built without TLS",
                       MHD_get_version());
    if (worker->daemon == NULL)
        return cn_fail(error, CN_IO, "libmicrohttpd %s cannot start a thread", MHD_get_version());
    return CN_OK;
}

void http_worker_take(struct http_worker *worker, int fd, const struct sockaddr *address,
                      socklen_t length) {
    /* On failure libmicrohttpd has closed the socket; the entry is removed when the same descriptor
     * is used again. */
    (void)MHD_add_connection(worker->daemon, fd, address, length);
}

void http_worker_stop(struct http_worker *worker) {
    MHD_stop_daemon(worker->daemon);
    worker->daemon = NULL;
    free(worker->spare);
    worker->spare = NULL;
    http_intake_stop(worker);
}
