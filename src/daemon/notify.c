/* notify.c: tells systemd the daemon's state. Main thread, except for notify_status. */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include "daemon/notify.h"

#ifdef HAVE_LIBSYSTEMD
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/time.h"

void notify_ready(const char *status) {
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_status(const char *status) {
    (void)sd_notifyf(0, "STATUS=%s", status);
}

void notify_reloading(void) {
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading the model",
                     cn_clock_nanoseconds() / 1000);
}

void notify_stopping(void) {
    (void)sd_notify(0, "STOPPING=1\nSTATUS=Finishing what runs");
}

void notify_alive(void) {
    (void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog(void) {
    uint64_t microseconds = 0;
    return sd_watchdog_enabled(0, &microseconds) > 0 ? microseconds * 1000 : 0;
}

size_t notify_listeners(struct http_listener *ret_listeners, size_t room) {
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    size_t taken = 0;
    for (int i = 0; i < count; i++) {
        const int fd = SD_LISTEN_FDS_START + i;
        if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 && taken < room) {
            (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            ret_listeners[taken++] = (struct http_listener){
                .fd = fd,
                .class = strcmp(names[i], "admin") == 0 ? HTTP_CLASS_ADMIN : HTTP_CLASS_CLIENT,
                .tls = strcmp(names[i], "https") == 0};
        }
        free(names[i]);
    }
    free(names);
    return taken;
}

#else

void notify_ready(const char *status) {
    (void)status;
}
void notify_status(const char *status) {
    (void)status;
}

void notify_reloading(void) {
}
void notify_stopping(void) {
}
void notify_alive(void) {
}
uint64_t notify_watchdog(void) {
    return 0;
}
size_t notify_listeners(struct http_listener *ret_listeners, size_t room) {
    (void)ret_listeners;
    (void)room;
    return 0;
}

#endif
