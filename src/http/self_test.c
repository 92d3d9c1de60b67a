/* self_test.c: sends requests of the server to itself over a socket pair, through a real HTTP
 * thread. This shows the watchdog that the thread lives, and at start how libmicrohttpd treats
 * malformed heads. Blocks the caller for the timeout at most. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"
#include "http/self_test.h"

/* Reads "HTTP/1.1 404 ..." up to the status. */
static int read_status(int fd, uint64_t deadline) {
    char text[12];
    size_t got = 0;
    while (got < sizeof text) {
        uint64_t now = cn_clock_nanoseconds();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (now >= deadline)
            return 0;
        if (poll(&wait, 1, (int)((deadline - now) / 1000000) + 1) <= 0)
            continue;
        ssize_t part = recv(fd, text + got, sizeof text - got, 0);
        if (part < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (part <= 0)
            return -1;
        got += (size_t)part;
    }
    if (memcmp(text, "HTTP/1.", 7) != 0)
        return -1;
    return (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
}

int http_self_test_request(struct http_server *server, struct http_worker *worker,
                           const char *request, uint64_t timeout) {
    int pair[2];
    const struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *peer = (const struct sockaddr *)&address;
    int status = 0;
    enum http_room room;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return 0;
    struct http_connection *connection =
        http_connections_add(&server->connections, pair[0], peer, HTTP_CLASS_OWN, &room);
    if (connection == NULL) {
        close(pair[0]);
    } else {
        (void)http_connections_assign(&server->connections, connection, worker, 1);
        http_worker_take(worker, pair[0], peer, sizeof address.sun_family);
        if (send(pair[1], request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request))
            status = read_status(pair[1], cn_clock_nanoseconds() + timeout);
    }
    close(pair[1]);
    return status;
}
