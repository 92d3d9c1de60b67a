/* timeouts.c: the thread that ends connections which take too long. libmicrohttpd's own timeout
 * concerns inactivity only and has no callback before a head is complete, so this thread shuts the
 * socket down and the HTTP thread finds out. It sleeps until the earliest deadline and never wakes
 * without one. Locks: the connections' mutex (held by the CLOSED notification too, so that a socket
 * is never shut down after it was closed) and its own; never both at once. */
#include "http/timeouts.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"

/* In nanoseconds: how long a socket lingers; and for a client that has sent its last byte, how long
 * an incomplete request is kept (`ended_time`), and how long the server waits for the next request
 * to begin if it arrived together with the last one (`last_time`). */
static const uint64_t linger_time = 2 * CN_SECOND, ended_time = CN_SECOND,
                      last_time = 100 * CN_MILLISECOND;

static void timeouts_wake(struct http_timeouts *timeouts) {
    eventfd_write(timeouts->wake, 1);
}

/* True while bytes that came in time lie unread: the connection's HTTP thread is busy, and its
 * client is not late. When the server stops, only a client that has ended is waited for. */
static bool awaits_thread(const struct http_timeouts *timeouts,
                          const struct http_connection *connection) {
    const int phase = connection->phase;
    const bool reading = phase == HTTP_PHASE_HEAD || phase == HTTP_PHASE_IDLE;
    return (connection->ended || (reading && !timeouts->draining)) &&
           http_has_unread(connection->fd);
}

/* Shuts down overdue connections; returns the next deadline. */
static uint64_t cut_overdue(struct http_timeouts *timeouts, uint64_t now) {
    struct http_connections *connections = timeouts->connections;
    uint64_t next = UINT64_MAX;
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        uint64_t deadline = connection->deadline;
        if (deadline == 0) {
            next = now + timeouts->shortest < next ? now + timeouts->shortest : next;
        } else if (deadline > now) {
            next = deadline < next ? deadline : next;
        } else if (awaits_thread(timeouts, connection)) {
            next = now + last_time;
        } else if (atomic_compare_exchange_strong(&connection->deadline, &deadline, 0)) {
            shutdown(connection->fd, SHUT_RDWR);
        } else {
            next = now; /* the deadline changed meanwhile: look again */
        }
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    return next;
}

/* Reads and discards what came; true at the end of the stream. */
static bool read_away(int fd) {
    char sink[16384];
    ssize_t got = 1;
    for (int i = 0; i < 16 && got > 0; i++)
        got = recv(fd, sink, sizeof sink, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* Checks the lingering sockets once; returns their next deadline. */
static uint64_t tend_lingering(struct http_timeouts *timeouts, uint64_t now) {
    uint64_t next = UINT64_MAX;
    (void)pthread_mutex_lock(&timeouts->mutex);
    for (size_t i = timeouts->lingering_count; i-- > 0;) {
        if (now >= timeouts->lingering[i].deadline || read_away(timeouts->lingering[i].fd)) {
            close(timeouts->lingering[i].fd);
            timeouts->lingering[i] = timeouts->lingering[--timeouts->lingering_count];
        } else if (timeouts->lingering[i].deadline < next) {
            next = timeouts->lingering[i].deadline;
        }
    }
    (void)pthread_mutex_unlock(&timeouts->mutex);
    return next;
}

static void sleep_until(struct http_timeouts *timeouts, uint64_t next) {
    struct pollfd polls[1 + HTTP_MAX_LINGERING] = {{.fd = timeouts->wake, .events = POLLIN}};
    nfds_t count = 1;
    (void)pthread_mutex_lock(&timeouts->mutex);
    for (size_t i = 0; i < timeouts->lingering_count; i++)
        polls[count++] = (struct pollfd){.fd = timeouts->lingering[i].fd, .events = POLLIN};
    (void)pthread_mutex_unlock(&timeouts->mutex);
    uint64_t now = cn_clock_nanoseconds();
    uint64_t left = next > now ? next - now : 0;
    const struct timespec time = cn_timespec(left);
    if (ppoll(polls, count, next == UINT64_MAX ? NULL : &time, NULL) > 0 && polls[0].revents != 0) {
        eventfd_t ignored;
        eventfd_read(timeouts->wake, &ignored);
    }
}

static void *timeouts_thread(void *data) {
    struct http_timeouts *timeouts = data;
    while (!timeouts->stop) {
        /* Until the next sleep is computed, each new deadline wakes this thread. */
        timeouts->next_wake = UINT64_MAX;
        uint64_t now = cn_clock_nanoseconds();
        uint64_t lingering = tend_lingering(timeouts, now);
        uint64_t next = cut_overdue(timeouts, now);
        /* While connections are open, the thread wakes up so often that no request needs to wake
         * it: each new deadline is at least this far ahead. */
        if (next != UINT64_MAX && next > now + timeouts->shortest)
            next = now + timeouts->shortest;
        next = lingering < next ? lingering : next;
        timeouts->next_wake = next;
        sleep_until(timeouts, next);
    }
    return NULL;
}

enum cn_status http_timeouts_start(struct http_timeouts *timeouts,
                                   struct http_connections *connections, uint64_t shortest,
                                   struct cn_error *error) {
    timeouts->connections = connections;
    timeouts->shortest = shortest;
    timeouts->next_wake = UINT64_MAX;
    timeouts->stop = timeouts->draining = false;
    (void)pthread_mutex_init(&timeouts->mutex, NULL);
    timeouts->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (timeouts->wake < 0)
        return cn_fail(error, CN_IO, "cannot make an eventfd: %s", strerror(errno));
    int result = pthread_create(&timeouts->thread, NULL, timeouts_thread, timeouts);
    if (result != 0) {
        close(timeouts->wake);
        return cn_fail(error, CN_IO, "cannot start the deadline thread: %s", strerror(result));
    }
    timeouts->running = true;
    return CN_OK;
}

void http_timeouts_stop(struct http_timeouts *timeouts) {
    if (!timeouts->running)
        return;
    timeouts->stop = true;
    timeouts_wake(timeouts);
    (void)pthread_join(timeouts->thread, NULL);
    timeouts->running = false;
    for (size_t i = 0; i < timeouts->lingering_count; i++)
        close(timeouts->lingering[i].fd);
    timeouts->lingering_count = 0;
    close(timeouts->wake);
    (void)pthread_mutex_destroy(&timeouts->mutex);
}

/* Shortens the deadline of a connection whose client has ended. What is being computed or sent is
 * not cut. */
static void shorten(struct http_connection *connection) {
    const int phase = connection->phase;
    uint64_t current = connection->deadline;
    const uint64_t soon =
        cn_clock_nanoseconds() + (phase == HTTP_PHASE_IDLE ? last_time : ended_time);
    if (phase != HTTP_PHASE_WORK && phase != HTTP_PHASE_WRITE && soon < current)
        atomic_compare_exchange_strong(&connection->deadline, &current, soon);
}

void http_timeouts_phase(struct http_timeouts *timeouts, struct http_connection *connection,
                         enum http_phase phase, uint64_t deadline) {
    if (atomic_exchange(&connection->phase, (int)phase) != (int)phase)
        connection->phase_began = cn_clock_nanoseconds();
    connection->deadline = deadline;
    if (connection->ended) /* read after the deadline was set: see below */
        shorten(connection);
    deadline = connection->deadline;
    if (deadline != 0 && deadline < timeouts->next_wake)
        timeouts_wake(timeouts);
}

void http_timeouts_client_ended(struct http_timeouts *timeouts, int fd) {
    struct http_connections *connections = timeouts->connections;
    struct pollfd look = {.fd = fd, .events = POLLIN | POLLRDHUP};
    (void)pthread_mutex_lock(&connections->mutex);
    struct http_connection *connection =
        (size_t)fd < connections->fd_capacity ? connections->by_fd[fd] : NULL;
    if (connection != NULL && poll(&look, 1, 0) > 0 && (look.revents & POLLRDHUP) != 0) {
        connection->ended = true;
        shorten(connection);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    timeouts_wake(timeouts);
}

void http_timeouts_linger(struct http_timeouts *timeouts, int fd) {
    bool taken = false;
    shutdown(fd, SHUT_WR);
    (void)pthread_mutex_lock(&timeouts->mutex);
    if (timeouts->lingering_count < HTTP_MAX_LINGERING) {
        timeouts->lingering[timeouts->lingering_count].fd = fd;
        timeouts->lingering[timeouts->lingering_count++].deadline =
            cn_clock_nanoseconds() + linger_time;
        taken = true;
    }
    (void)pthread_mutex_unlock(&timeouts->mutex);
    if (taken)
        timeouts_wake(timeouts);
    else
        close(fd);
}

/* The deadline of a connection when the server stops. */
static uint64_t drain_deadline(struct http_connection *connection, uint64_t head_deadline,
                               uint64_t deadline) {
    int phase = connection->phase;
    if (phase != HTTP_PHASE_IDLE && phase != HTTP_PHASE_HEAD)
        return deadline;
    /* A request that has arrived but was not read yet is still answered. */
    if (http_has_unread(connection->fd))
        return deadline;
    return phase == HTTP_PHASE_IDLE ? 1 : head_deadline;
}

void http_timeouts_drain(struct http_timeouts *timeouts, uint64_t head_deadline,
                         uint64_t deadline) {
    struct http_connections *connections = timeouts->connections;
    timeouts->draining = true;
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        /* A connection that changes its phase meanwhile has also changed its deadline. */
        uint64_t current = connection->deadline;
        uint64_t due = drain_deadline(connection, head_deadline, deadline);
        if (current == 0 || due < current)
            atomic_compare_exchange_strong(&connection->deadline, &current, due);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    timeouts_wake(timeouts);
}
