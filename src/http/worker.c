/* worker.c: one HTTP thread: starting it, feeding it, ending it. What it does with a request is in
 * access.c. The functions here are called by the server's own threads, never by the HTTP thread. */
#include "http/worker.h"

#include <stdlib.h>

#include "http/server_private.h"

enum {
    CONNECTION_MEMORY = 64 * 1024, /* a request's head fits in it; larger ones get 431 */
    STACK_BYTES = 2 * 1024 * 1024, /* jansson recurses; 512 KiB is its least */
    /* Above our own limit: libmicrohttpd deadlocks at its own. */
    DAEMON_CONNECTIONS = 4 * HTTP_WORKER_CONNECTIONS
};

enum cn_status http_worker_start(struct http_worker *worker, struct http_server *server,
                                 struct cn_error *error) {
    worker->server = server;
    worker->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
            MHD_ALLOW_SUSPEND_RESUME,
        0, NULL, NULL, http_access, worker, MHD_OPTION_URI_LOG_CALLBACK, http_access_target, worker,
        MHD_OPTION_NOTIFY_COMPLETED, http_access_completed, worker, MHD_OPTION_NOTIFY_CONNECTION,
        http_access_notify, worker, MHD_OPTION_CONNECTION_LIMIT, (unsigned)DAEMON_CONNECTIONS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (worker->daemon == NULL)
        return cn_fail(error, CN_IO, "libmicrohttpd %s cannot start a thread", MHD_get_version());
    return CN_OK;
}

void http_worker_take(struct http_worker *worker, int fd, const struct sockaddr *address,
                      socklen_t length) {
    /* On failure libmicrohttpd has closed the socket; its entry is dropped when the descriptor's
     * number comes again. */
    (void)MHD_add_connection(worker->daemon, fd, address, length);
}

void http_worker_stop(struct http_worker *worker) {
    MHD_stop_daemon(worker->daemon);
    worker->daemon = NULL;
    free(worker->spare);
    worker->spare = NULL;
}
