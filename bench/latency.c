/* latency.c PORT FILE CONNECTIONS RATE SECONDS: posts FILE to /predict RATE times per second over
 * keep-alive connections, and prints the number of requests and the 50th, 99th and 99.9th
 * percentile and the maximum of their latencies in microseconds. The latency of a request begins
 * when the request is due, not when a connection becomes free for it, so that a server that stalls
 * is charged for all requests that had to wait (this avoids "coordinated omission"). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int fd;
    uint64_t due; /* of the current request */
    size_t length;
    char answer[4096];
};

static char request[1 << 16];
static size_t request_length;

static _Noreturn void fail(const char *what) {
    (void)fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void read_request(const char *path) {
    static char body[1 << 15];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail(path);
    const size_t length = fread(body, 1, sizeof body, file);
    (void)fclose(file);
    request_length = (size_t)snprintf(request, sizeof request,
                                      "POST /predict HTTP/1.1\r\nHost: localhost\r\n"
                                      "Content-Type: image/png\r\nContent-Length: %zu\r\n\r\n",
                                      length);
    memcpy(request + request_length, body, length);
    request_length += length;
}

static void open_connection(struct connection *connection, uint16_t port, int epoll) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (const void *)&address, sizeof address) != 0)
        fail("connect");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        fail("epoll");
}

/* True when the answer is complete. */
static bool receive(struct connection *connection) {
    const ssize_t got = recv(connection->fd, connection->answer + connection->length,
                             sizeof connection->answer - 1 - connection->length, 0);
    if (got < 0 && errno == EAGAIN)
        return false;
    if (got <= 0)
        fail("the server closed a connection");
    connection->length += (size_t)got;
    connection->answer[connection->length] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *size = strcasestr(connection->answer, "\r\ncontent-length:");
    if (end == NULL)
        return false;
    if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0 || size == NULL)
        fail(connection->answer);
    return connection->length ==
           (size_t)(end + 4 - connection->answer) + strtoul(size + 17, NULL, 10);
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 6) {
        (void)fprintf(stderr, "usage: latency PORT FILE CONNECTIONS RATE SECONDS\n");
        return 2;
    }
    read_request(argv[2]);
    const size_t count = strtoul(argv[3], NULL, 10), rate = strtoul(argv[4], NULL, 10);
    const size_t total = rate * strtoul(argv[5], NULL, 10);
    struct connection *connections = calloc(count, sizeof *connections);
    struct connection **idle = calloc(count, sizeof *idle);
    uint64_t *times = calloc(total, sizeof *times);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (count == 0 || total == 0 || connections == NULL || idle == NULL || times == NULL ||
        epoll < 0)
        fail("cannot begin");
    for (size_t i = 0; i < count; i++) {
        open_connection(&connections[i], (uint16_t)strtoul(argv[1], NULL, 10), epoll);
        idle[i] = &connections[i];
    }
    size_t first = 0, idle_count = count, sent = 0, done = 0;
    const uint64_t begin = now();
    while (done < total) {
        const uint64_t due = begin + sent * 1000000000 / rate, time = now();
        if (sent < total && idle_count > 0 && due <= time) {
            struct connection *connection = idle[first];
            first = (first + 1) % count;
            idle_count--;
            connection->due = due;
            connection->length = 0;
            if (send(connection->fd, request, request_length, 0) != (ssize_t)request_length)
                fail("send");
            sent++;
            continue;
        }
        struct epoll_event events[64];
        const struct timespec until = {0, (long)(due > time ? due - time : 0) % 1000000000};
        const bool free = sent < total && idle_count > 0;
        const int ready = epoll_pwait2(epoll, events, 64, free ? &until : NULL, NULL);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!receive(connection))
                continue;
            times[done++] = now() - connection->due;
            idle[(first + idle_count++) % count] = connection;
        }
    }
    qsort(times, total, sizeof *times, by_value);
    printf("%zu %.0f %.0f %.0f %.0f\n", total, (double)times[total / 2] * 1e-3,
           (double)times[total * 99 / 100] * 1e-3, (double)times[total * 999 / 1000] * 1e-3,
           (double)times[total - 1] * 1e-3);
    return 0;
}
