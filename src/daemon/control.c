/* control.c: sends calls to a running daemon over its admin socket, so that scripts and the service
 * manager get a true exit status. A client of the daemon's own HTTP API. One thread. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control.h"

/* The admin socket of the shipped units. */
#define SERVICE_SOCKET "/run/convnetd/admin.sock"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, ANSWER_LIMIT = 64 << 20 };

/* Seconds to wait for the next byte of an answer, since reading a model may take long. */
enum { ANSWER_PATIENCE = 300 };

struct control_answer {
    int status;
    char *bytes; /* the whole answer; freed by the caller */
    const char *body;
};

static void print_reload(const json_t *body) {
    printf("reloaded: %lld loaded, %lld unchanged, %lld gone\n",
           (long long)json_integer_value(json_object_get(body, "loaded")),
           (long long)json_integer_value(json_object_get(body, "unchanged")),
           (long long)json_integer_value(json_object_get(body, "gone")));
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void print_models(const json_t *body) {
    size_t i;
    json_t *row;
    json_array_foreach(body, i, row)
        printf("%-24s %-8s %-12s %s\n", text_of(row, "name"), text_of(row, "version"),
               text_of(row, "state"), text_of(row, "reason"));
}

static void print_done(const json_t *body) {
    printf("%s %s\n", json_object_get(body, "load") != NULL ? "loaded" : "unloaded",
           text_of(body, "name"));
}

/* THE list of calls. `print` NULL: the answer is printed unchanged. */
static const struct control_call {
    const char *word, *method, *path;
    const char
        *after_name; /* the path is before_name, the name, after_name; NULL: the call has no name */
    void (*print)(const json_t *body);
    const char *help;
} calls[] = {
    {"reload", "POST", "/admin/reload", NULL, print_reload,
     "read models, keys and certificates again"},
    {"status", "GET", "/v2/health/ready", NULL, NULL, "is it ready? exit status 1 if it is not"},
    {"models", "POST", "/v2/repository/index", NULL, print_models, "list the models"},
    {"load", "POST", "/v2/repository/models/", "/load", print_done, "read one model again"},
    {"unload", "POST", "/v2/repository/models/", "/unload", print_done, "stop serving a model"},
    {"stats", "GET", "/v2/models/stats", NULL, NULL, "print the counts of each model as JSON"},
};
enum { CALLS = sizeof calls / sizeof *calls };

static const struct control_call *find_call(const char *word) {
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].word, word) == 0)
            return &calls[i];
    return NULL;
}

bool control_recognize(int argc, char **argv) {
    return argc > 1 && find_call(argv[1]) != NULL;
}

void control_describe(char *text, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < CALLS && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "  convnetd %-6s%-6s %s\n", calls[i].word,
                             calls[i].after_name != NULL ? " NAME" : "", calls[i].help);
}

static int control_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = ANSWER_PATIENCE};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (strlen(path) >= sizeof address.sun_path) {
        (void)close(fd);
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    const int fault = errno;
    (void)close(fd);
    errno = fault;
    return -1;
}

static bool control_send(int fd, const char *text) {
    for (size_t left = strlen(text); left > 0;) {
        const ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        text += sent;
        left -= (size_t)sent;
    }
    return true;
}

/* Reads until the daemon closes the connection, which the request asks for. */
static bool control_receive(int fd, struct control_answer *answer) {
    size_t length = 0, capacity = 0;
    for (;;) {
        if (length + 1 >= capacity) {
            capacity = capacity > 0 ? 2 * capacity : 4096;
            char *larger = capacity <= ANSWER_LIMIT ? realloc(answer->bytes, capacity) : NULL;
            if (larger == NULL) {
                errno = ENOMEM;
                return false;
            }
            answer->bytes = larger;
        }
        const ssize_t got = recv(fd, answer->bytes + length, capacity - length - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    answer->bytes[length] = '\0';
    answer->body = strstr(answer->bytes, "\r\n\r\n");
    errno = EPROTO;
    if (sscanf(answer->bytes, "HTTP/1.1 %d", &answer->status) != 1 || answer->body == NULL)
        return false;
    answer->body += 4;
    return true;
}

/* Prints the daemon's answer in words and returns the exit status. */
static int control_report(const struct control_call *call, const struct control_answer *answer) {
    json_error_t problem;
    json_t *body = json_loads(answer->body, JSON_DECODE_ANY, &problem);
    const bool done = answer->status == 200;
    if (!done && json_is_string(json_object_get(body, "error")))
        (void)fprintf(stderr, "convnetd: %s: %s\n", call->word, text_of(body, "error"));
    else if (!done)
        (void)fprintf(stderr, "convnetd: %s: answered %d: %s\n", call->word, answer->status,
                      answer->body);
    else if (call->print != NULL && body != NULL)
        call->print(body);
    else
        (void)printf("%s%s", answer->body[0] != '\0' ? answer->body : "ready",
                     strchr(answer->body, '\n') != NULL ? "" : "\n");
    json_decref(body);
    return done && fflush(stdout) == 0 ? EXIT_DONE : EXIT_REFUSED;
}

/* Encodes a name for a path: every byte but letters, digits and "-._~" (RFC 3986, 2.1). */
static void encode_name(const char *name, char *text, size_t size) {
    size_t used = 0;
    for (; *name != '\0' && used + 4 < size; name++) {
        const unsigned char c = (unsigned char)*name;
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                           (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;
        used += (size_t)(plain ? snprintf(text + used, size - used, "%c", c)
                               : snprintf(text + used, size - used, "%%%02X", c));
    }
    text[used] = '\0';
}

int control_run(const char *word, const char *operand, const struct daemon_options *options) {
    const struct control_call *call = find_call(word);
    const char *path = options->admin_socket[0] != '\0' ? options->admin_socket : SERVICE_SOCKET;
    struct control_answer answer = {0};
    char name[256], request[768];
    if ((call->after_name != NULL) != (operand != NULL)) {
        (void)fprintf(stderr, "convnetd: %s %s\n", word,
                      call->after_name != NULL ? "needs the name of a model" : "takes no name");
        return EXIT_USAGE;
    }
    encode_name(operand != NULL ? operand : "", name, sizeof name);
    (void)snprintf(request, sizeof request,
                   "%s %s%s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Content-Length: 0\r\n\r\n",
                   call->method, call->path, name,
                   call->after_name != NULL ? call->after_name : "");
    const int fd = control_connect(path);
    if (fd < 0) {
        (void)fprintf(
            stderr,
            "convnetd: %s: nobody answers on the admin socket %s: %s; is a daemon running "
            "with this admin-socket?\n",
            word, path, strerror(errno));
        return EXIT_REFUSED;
    }
    int status = EXIT_REFUSED;
    if (control_send(fd, request) && control_receive(fd, &answer))
        status = control_report(call, &answer);
    else
        (void)fprintf(stderr, "convnetd: %s: no answer on %s: %s\n", word, path, strerror(errno));
    (void)close(fd);
    free(answer.bytes);
    return status;
}
