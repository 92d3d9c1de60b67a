/* fuzz_server.c: any bytes on a connection to the real server over a unix socket: it must answer
 * with complete HTTP responses or close the connection, and must never hang. */
#include <errno.h>
#include <poll.h>
#include <sanitizer/lsan_interface.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/log.h"
#include "daemon/service.h"
#include "fuzz/fuzz.h"

enum { PATIENCE = 20000 /* milliseconds without a byte or an end */ };

static struct sockaddr_un place = {.sun_family = AF_UNIX};
static socklen_t place_length;

/* The server gets its socket like from a service manager, as descriptor 3. */
static void pass_socket(void) {
    char number[20];
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(place.sun_path + 1, sizeof place.sun_path - 1, "convnet-fuzz-%d", (int)getpid());
    place_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(place.sun_path + 1));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&place, place_length) != 0 ||
        listen(fd, 8) != 0 || dup2(fd, 3) != 3)
        abort();
    if (fd != 3)
        (void)close(fd);
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
}

static struct service *service;

/* Called when the process ends. */
static void stop_server(void) {
    if (!service_free(service))
        abort();
}

static void start_server(void) {
    static struct daemon_options options;
    struct cn_error error = {0};
    struct cn_model *model = fuzz_model();
    char path[64];
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(path, sizeof path, "/tmp/convnet-fuzz-%d.safetensors", (int)getpid());
    if (cn_model_write(model, path, &error) != CN_OK)
        abort();
    cn_model_free(model);
    pass_socket();
    options_init(&options);
    memcpy(options.model, path, strlen(path) + 1);
    memcpy(options.model_file, path, strlen(path) + 1);
    options.http_threads = 1;
    options.threads = 1;
    options.max_body = 1 << 20;
    log_set_level(LOG_LEVEL_ERROR);
    __lsan_disable(); /* the statistics are in mapped memory, where LeakSanitizer looks for no
                       * pointers */
    if (service_start(&options, &service, &error) != CN_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort();
    }
    __lsan_enable();
    (void)unlink(path);
    (void)atexit(stop_server);
}

static void send_all(int fd, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        const ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return; /* the server has closed the connection and need not read the rest */
        if (sent < 0) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT | POLLIN};
            char dropped[4096];
            if (poll(&wait, 1, PATIENCE) <= 0)
                abort();
            if ((wait.revents & POLLIN) != 0 &&
                recv(fd, dropped, sizeof dropped, MSG_DONTWAIT) == 0)
                return;
            continue;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Each answer until the end must begin like a response. */
static void receive_all(int fd) {
    char text[16384];
    size_t got = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        char *to = got < sizeof text ? text + got : text + 16;
        const size_t room = got < sizeof text ? sizeof text - got : sizeof text - 16;
        if (poll(&wait, 1, PATIENCE) <= 0)
            abort();
        const ssize_t part = recv(fd, to, room, 0);
        if (part <= 0)
            break;
        got += (size_t)part;
    }
    if (got > 0 && (got < 12 || memcmp(text, "HTTP/1.", 7) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static bool started;
    if (!started)
        start_server();
    started = true;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&place, place_length) != 0)
        abort();
    send_all(fd, bytes, length);
    (void)shutdown(fd, SHUT_WR);
    receive_all(fd);
    (void)close(fd);
    return 0;
}
