/* interrupt.c: records a signal, for commands that end at the next good point, and reads input so
 * that a signal ends the wait for it. The state is the process's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/cli.h"

static volatile sig_atomic_t noted;
/* Readable after a signal, so that poll sees one that comes just before it, on any thread. */
static int noted_event = -1;

static void note_interrupt(int number) {
    const int saved = errno;
    noted = number;
    (void)eventfd_write(noted_event, 1);
    errno = saved;
}

void cli_interrupt_catch(void) {
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    noted_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

int cli_interrupted(void) {
    return noted;
}

static ssize_t input_read(void *cookie, char *bytes, size_t size) {
    const int fd = (int)(intptr_t)cookie;
    struct pollfd waits[2] = {{.fd = fd, .events = POLLIN}, {.fd = noted_event, .events = POLLIN}};
    while (noted == 0) {
        const int ready = poll(waits, 2, -1);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (noted != 0 || ready < 0)
            continue;
        const ssize_t got = read(fd, bytes, size);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
    }
    errno = EINTR;
    return -1;
}

static int input_close(void *cookie) {
    const int fd = (int)(intptr_t)cookie;
    return fd == STDIN_FILENO ? 0 : close(fd);
}

FILE *cli_open_input(const char *path) {
    /* O_NONBLOCK: a FIFO without a writer is waited for in input_read. */
    const int fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    void *cookie = (void *)(intptr_t)fd;
    if (fd < 0)
        return NULL;
    FILE *file =
        fopencookie(cookie, "r", (cookie_io_functions_t){.read = input_read, .close = input_close});
    if (file == NULL)
        (void)input_close(cookie);
    return file;
}
