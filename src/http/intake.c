/* intake.c: stands between the sockets and libmicrohttpd, which has no hook for incoming bytes.
 * libmicrohttpd calls recv and gnutls_record_recv by name, and the program's own functions of these
 * names take precedence over the libraries'. They read a worker's connections through stream.c and
 * pass all other calls on. The server tests at start, and again with each request (transaction.c),
 * that libmicrohttpd calls them: a request whose head was not read here is not served. Runs on the
 * HTTP threads. */
#include "http/intake.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/time.h"
#include "http/server_private.h"

typedef ssize_t record_recv(gnutls_session_t session, void *to, size_t size);

/* These have the libraries' names, and the libraries call them. */
ssize_t http_intake_recv(int fd, void *to, size_t size, int flags) __asm__("recv")
    __attribute__((visibility("default")));
ssize_t http_intake_record_recv(gnutls_session_t session, void *to,
                                size_t size) __asm__("gnutls_record_recv")
    __attribute__((visibility("default")));

/* This thread's worker; NULL on threads that do not run libmicrohttpd. */
static _Thread_local struct http_worker *intake_worker;

/* The socket or TLS session from which a connection's bytes are read. */
struct source {
    int fd;
    gnutls_session_t session; /* NULL: plain bytes from the socket */
};

static record_recv *original_record_recv(void) {
    static _Atomic(record_recv *) original;
    record_recv *found = original;
    if (found == NULL) {
        *(void **)&found = dlsym(RTLD_NEXT, "gnutls_record_recv");
        original = found;
    }
    return found;
}

static ssize_t source_read(const struct source *source, void *to, size_t size) {
    if (source->session == NULL)
        return recvfrom(source->fd, to, size, 0, NULL, NULL); /* the same as recv */
    record_recv *original = original_record_recv();
    return original != NULL ? original(source->session, to, size) : GNUTLS_E_INTERNAL_ERROR;
}

/* Sets errno as a socket without data does. */
static ssize_t source_empty(const struct source *source) {
    errno = EAGAIN;
    return source->session == NULL ? -1 : GNUTLS_E_AGAIN;
}

static ssize_t source_no_memory(const struct source *source) {
    errno = ENOMEM;
    return source->session == NULL ? -1 : GNUTLS_E_MEMORY_ERROR;
}

/* Keeps the bytes that were not used; false if memory runs out. */
static bool hold_rest(struct http_intake *intake, const char *rest, size_t length) {
    if (length == 0) {
        http_intake_clear(intake);
        return true;
    }
    if (length > intake->held_capacity) {
        const size_t capacity =
            length > 2 * intake->held_capacity ? length : 2 * intake->held_capacity;
        char *held = realloc(intake->held, capacity);
        if (held == NULL)
            return false;
        intake->held = held;
        intake->held_capacity = capacity;
    }
    memcpy(intake->held, rest, length);
    intake->held_length = length;
    return true;
}

/* If a socket has no more bytes and its client has closed its side: makes an event of this end,
 * which came together with the bytes, so that libmicrohttpd reads again. */
static void source_repeat_end(const struct source *source) {
    char next;
    if (recvfrom(source->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0)
        (void)shutdown(source->fd, SHUT_RD);
}

/* Passes received bytes through the stream to libmicrohttpd. Its epoll is edge-triggered, and it
 * takes a short read as a sign that the socket is empty. So no byte that it could have may stay
 * here or in the socket, unless its buffer is full. After a short read of a part of a head, the
 * socket is read again: the client may have closed its side, and no event tells of it then. */
static ssize_t intake_read(struct http_intake *intake, const struct source *source, char *to,
                           size_t size) {
    struct http_worker *worker = intake_worker;
    char *bytes = worker->intake_bytes;
    size_t length = intake->held_length, done = 0, taken = 0;
    ssize_t got = 0;
    bool drained = false;
    if (length > 0)
        memcpy(bytes, intake->held, length);
    while (true) {
        done += http_stream_run(&intake->stream, bytes, length, &taken, to + done, size - done);
        length -= taken;
        memmove(bytes, bytes + taken, length);
        if (done == size || (done > 0 && (drained || source->session != NULL)))
            break;
        const size_t room = worker->intake_size - length;
        const size_t asked = room < size ? room : size;
        got = source_read(source, bytes + length, asked);
        if (got <= 0)
            break;
        length += (size_t)got;
        drained = source->session == NULL && (size_t)got < asked;
    }
    const int fault = errno;
    if (done > 0 && done < size && drained && length > 0) /* a part of the next head */
        source_repeat_end(source);
    if (!hold_rest(intake, bytes, length))
        return source_no_memory(source);
    errno = fault;
    if (done > 0)
        return (ssize_t)done;
    return got > 0 ? source_empty(source) : got;
}

/* Long bodies are passed through unchanged. */
static ssize_t intake_pass(struct http_intake *intake, const struct source *source, char *to,
                           size_t size) {
    struct http_stream *stream = &intake->stream;
    if (intake->held_length > 0 || stream->state != HTTP_STREAM_COPY || stream->left <= size)
        return intake_read(intake, source, to, size);
    const ssize_t got = source_read(source, to, size);
    if (got > 0)
        stream->left -= (uint64_t)got;
    return got;
}

static ssize_t intake_take(struct http_connection *peer, const struct source *source, char *to,
                           size_t size) {
    struct http_server *server = intake_worker->server;
    const ssize_t got = intake_pass(&peer->intake, source, to, size);
    if (peer->phase == HTTP_PHASE_IDLE && http_intake_has_begun(&peer->intake))
        http_timeouts_phase(&server->timeouts, peer, HTTP_PHASE_HEAD,
                            cn_clock_nanoseconds() + server->options.header_timeout);
    return got;
}

static struct http_connection *connection_of(int fd) {
    const struct http_worker *worker = intake_worker;
    return worker != NULL && fd >= 0 && (size_t)fd < worker->by_fd_size ? worker->by_fd[fd] : NULL;
}

ssize_t http_intake_recv(int fd, void *to, size_t size, int flags) {
    struct http_connection *peer = flags == 0 ? connection_of(fd) : NULL;
    if (peer == NULL || intake_worker->tls) /* GnuTLS's own reading */
        return recvfrom(fd, to, size, flags, NULL, NULL);
    return intake_take(peer, &(struct source){.fd = fd}, to, size);
}

ssize_t http_intake_record_recv(gnutls_session_t session, void *to, size_t size) {
    const struct source source = {.fd = gnutls_transport_get_int(session), .session = session};
    struct http_connection *peer = connection_of(source.fd);
    if (peer == NULL)
        return source_read(&source, to, size);
    return intake_take(peer, &source, to, size);
}

/* Makes room for by_fd[fd]; false if memory runs out. */
static bool reserve_place(struct http_worker *worker, size_t fd) {
    if (fd < worker->by_fd_size)
        return true;
    const size_t size = 2 * fd + 64;
    struct http_connection **by_fd = realloc(worker->by_fd, size * sizeof(*by_fd));
    if (by_fd == NULL)
        return false;
    memset(by_fd + worker->by_fd_size, 0, (size - worker->by_fd_size) * sizeof(*by_fd));
    worker->by_fd = by_fd;
    worker->by_fd_size = size;
    return true;
}

void http_intake_begin(struct http_worker *worker, struct http_connection *peer) {
    const size_t size = 2 * HTTP_INTAKE_BYTES + worker->server->options.max_header;
    if (worker->intake_bytes == NULL && (worker->intake_bytes = malloc(size)) != NULL)
        worker->intake_size = size;
    peer->intake.stream.limits = &worker->server->head_limits;
    intake_worker = worker;
    /* If memory runs out, its requests are not read here, and so are not served. */
    if (worker->intake_bytes != NULL && reserve_place(worker, (size_t)peer->fd))
        worker->by_fd[peer->fd] = peer;
}

void http_intake_end(struct http_worker *worker, struct http_connection *peer) {
    if ((size_t)peer->fd < worker->by_fd_size && worker->by_fd[peer->fd] == peer)
        worker->by_fd[peer->fd] = NULL;
}

void http_intake_clear(struct http_intake *intake) {
    free(intake->held);
    intake->held = NULL;
    intake->held_length = intake->held_capacity = 0;
}

void http_intake_stop(struct http_worker *worker) {
    free(worker->intake_bytes);
    free(worker->by_fd);
    worker->intake_bytes = NULL;
    worker->by_fd = NULL;
    worker->by_fd_size = 0;
}

bool http_intake_has_begun(const struct http_intake *intake) {
    return intake->held_length > 0 && intake->stream.state == HTTP_STREAM_HEAD;
}
