/* reaper.c: the thread that ends what takes too long. libmicrohttpd's own timeout is of inactivity
 * only and calls nobody before a head is complete, so this thread shuts the socket down and lets
 * the HTTP thread find out. It sleeps until the earliest deadline and never wakes without one.
 * Locks: connections' mutex (held by the CLOSED notification too, so that a socket is never cut
 * after it was closed) and its own; never both at once. */
#include "http/reaper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

/* Nanoseconds. Of a client that has sent its last byte: until what it sent has been read and is no
 * whole request; until the next request that came with the last one has begun. */
static const uint64_t linger_time = 2000000000, ended_time = 1000000000, last_time = 100000000;

static void wake(struct http_reaper *reaper) {
    eventfd_write(reaper->wake, 1);
}

static bool has_unread(int fd) {
    int unread = 0;
    return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Cuts what is overdue; returns the next deadline. */
static uint64_t cut_overdue(struct http_reaper *reaper, uint64_t now) {
    struct http_connections *connections = reaper->connections;
    uint64_t next = UINT64_MAX;
    pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        uint64_t deadline = connection->deadline;
        if (deadline == 0) {
            next = now + reaper->shortest < next ? now + reaper->shortest : next;
        } else if (deadline > now) {
            next = deadline < next ? deadline : next;
        } else if (connection->ended && has_unread(connection->fd)) {
            next = now + last_time; /* its thread is busy */
        } else if (atomic_compare_exchange_strong(&connection->deadline, &deadline, 0)) {
            shutdown(connection->fd, SHUT_RDWR);
        } else {
            next = now; /* it moved meanwhile: look again */
        }
    }
    pthread_mutex_unlock(&connections->mutex);
    return next;
}

/* Reads away what came; true when the socket is at its end. */
static bool read_away(int fd) {
    char sink[16384];
    ssize_t got = 1;
    for (int i = 0; i < 16 && got > 0; i++)
        got = recv(fd, sink, sizeof sink, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* One look at the lingering sockets; returns their next deadline. */
static uint64_t tend_lingering(struct http_reaper *reaper, uint64_t now) {
    uint64_t next = UINT64_MAX;
    pthread_mutex_lock(&reaper->mutex);
    for (size_t i = reaper->lingering_count; i-- > 0;) {
        if (now >= reaper->lingering[i].deadline || read_away(reaper->lingering[i].fd)) {
            close(reaper->lingering[i].fd);
            reaper->lingering[i] = reaper->lingering[--reaper->lingering_count];
        } else if (reaper->lingering[i].deadline < next) {
            next = reaper->lingering[i].deadline;
        }
    }
    pthread_mutex_unlock(&reaper->mutex);
    return next;
}

static void sleep_until(struct http_reaper *reaper, uint64_t next) {
    struct pollfd polls[1 + HTTP_MAX_LINGERING] = {{.fd = reaper->wake, .events = POLLIN}};
    nfds_t count = 1;
    pthread_mutex_lock(&reaper->mutex);
    for (size_t i = 0; i < reaper->lingering_count; i++)
        polls[count++] = (struct pollfd){.fd = reaper->lingering[i].fd, .events = POLLIN};
    pthread_mutex_unlock(&reaper->mutex);
    uint64_t now = cn_clock_nanoseconds();
    uint64_t left = next > now ? next - now : 0;
    struct timespec time = {.tv_sec = (time_t)(left / 1000000000),
                            .tv_nsec = (long)(left % 1000000000)};
    if (ppoll(polls, count, next == UINT64_MAX ? NULL : &time, NULL) > 0 && polls[0].revents != 0) {
        eventfd_t ignored;
        eventfd_read(reaper->wake, &ignored);
    }
}

static void *run(void *data) {
    struct http_reaper *reaper = data;
    while (!reaper->stop) {
        /* Until this thread knows better, each new deadline wakes it. */
        reaper->next_wake = UINT64_MAX;
        uint64_t now = cn_clock_nanoseconds();
        uint64_t lingering = tend_lingering(reaper, now);
        uint64_t next = cut_overdue(reaper, now);
        /* While anybody is connected, look often enough that no request needs to wake this thread:
         * each deadline it sets lies at least this far ahead. */
        if (next != UINT64_MAX && next > now + reaper->shortest)
            next = now + reaper->shortest;
        next = lingering < next ? lingering : next;
        reaper->next_wake = next;
        sleep_until(reaper, next);
    }
    return NULL;
}

enum cn_status http_reaper_start(struct http_reaper *reaper, struct http_connections *connections,
                                 uint64_t shortest, struct cn_error *error) {
    reaper->connections = connections;
    reaper->shortest = shortest;
    reaper->next_wake = UINT64_MAX;
    reaper->stop = false;
    pthread_mutex_init(&reaper->mutex, NULL);
    reaper->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reaper->wake < 0)
        return cn_fail(error, CN_IO, "cannot make an eventfd: %s", strerror(errno));
    int result = pthread_create(&reaper->thread, NULL, run, reaper);
    if (result != 0) {
        close(reaper->wake);
        return cn_fail(error, CN_IO, "cannot start the deadline thread: %s", strerror(result));
    }
    reaper->running = true;
    return CN_OK;
}

void http_reaper_stop(struct http_reaper *reaper) {
    if (!reaper->running)
        return;
    reaper->stop = true;
    wake(reaper);
    pthread_join(reaper->thread, NULL);
    reaper->running = false;
    for (size_t i = 0; i < reaper->lingering_count; i++)
        close(reaper->lingering[i].fd);
    reaper->lingering_count = 0;
    close(reaper->wake);
    pthread_mutex_destroy(&reaper->mutex);
}

/* Of a connection whose client has ended. What is computed or sent is not cut short. */
static void shorten(struct http_connection *connection) {
    const int phase = connection->phase;
    uint64_t current = connection->deadline;
    const uint64_t soon =
        cn_clock_nanoseconds() + (phase == HTTP_PHASE_IDLE ? last_time : ended_time);
    if (phase != HTTP_PHASE_WORK && phase != HTTP_PHASE_WRITE && soon < current)
        atomic_compare_exchange_strong(&connection->deadline, &current, soon);
}

void http_reaper_phase(struct http_reaper *reaper, struct http_connection *connection,
                       enum http_phase phase, uint64_t deadline) {
    connection->phase = (int)phase;
    connection->deadline = deadline;
    if (connection->ended) /* asked after the deadline was set: see below */
        shorten(connection);
    deadline = connection->deadline;
    if (deadline != 0 && deadline < reaper->next_wake)
        wake(reaper);
}

void http_reaper_client_ended(struct http_reaper *reaper, int fd) {
    struct http_connections *connections = reaper->connections;
    struct pollfd look = {.fd = fd, .events = POLLIN | POLLRDHUP};
    pthread_mutex_lock(&connections->mutex);
    struct http_connection *connection =
        (size_t)fd < connections->fd_capacity ? connections->by_fd[fd] : NULL;
    if (connection != NULL && poll(&look, 1, 0) > 0 && (look.revents & POLLRDHUP) != 0) {
        connection->ended = true;
        shorten(connection);
    }
    pthread_mutex_unlock(&connections->mutex);
    wake(reaper);
}

void http_reaper_linger(struct http_reaper *reaper, int fd) {
    bool taken = false;
    shutdown(fd, SHUT_WR);
    pthread_mutex_lock(&reaper->mutex);
    if (reaper->lingering_count < HTTP_MAX_LINGERING) {
        reaper->lingering[reaper->lingering_count].fd = fd;
        reaper->lingering[reaper->lingering_count++].deadline =
            cn_clock_nanoseconds() + linger_time;
        taken = true;
    }
    pthread_mutex_unlock(&reaper->mutex);
    if (taken)
        wake(reaper);
    else
        close(fd);
}

/* When a connection must be gone, now that the server stops. */
static uint64_t drain_deadline(struct http_connection *connection, uint64_t head_deadline,
                               uint64_t deadline) {
    int phase = connection->phase;
    if (phase != HTTP_PHASE_IDLE && phase != HTTP_PHASE_HEAD)
        return deadline;
    /* A request that has arrived but was not read yet is still answered. */
    if (has_unread(connection->fd))
        return deadline;
    return phase == HTTP_PHASE_IDLE ? 1 : head_deadline;
}

void http_reaper_drain(struct http_reaper *reaper, uint64_t head_deadline, uint64_t deadline) {
    struct http_connections *connections = reaper->connections;
    pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        /* A connection that changes its phase meanwhile has changed its deadline too. */
        uint64_t current = connection->deadline;
        uint64_t due = drain_deadline(connection, head_deadline, deadline);
        if (current == 0 || due < current)
            atomic_compare_exchange_strong(&connection->deadline, &current, due);
    }
    pthread_mutex_unlock(&connections->mutex);
    wake(reaper);
}
