/* convnetd.c: the process: options, environment, signals. service.c serves. The main thread waits
 * for signals and notifies the watchdog; it computes nothing. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/openmp.h"
#include "base/time.h"
#include "daemon/control.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/sandbox.h"
#include "daemon/service.h"
#include "places.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

#ifdef HAVE_JEMALLOC
/* Options of jemalloc, which looks them up by this name. The buffers of a request with a thousand
 * images take megabytes. Freed memory is kept for two seconds, for the next request, and then
 * returned to the system by a thread of jemalloc's, whichever thread freed it. */
extern const char *malloc_conf;
__attribute__((visibility("default"))) const char *malloc_conf =
    "background_thread:true,max_background_threads:1,dirty_decay_ms:2000,muzzy_decay_ms:0";
#endif

static void print_error(const struct cn_error *error) {
    if (error->source[0] != '\0' && error->offset >= 0)
        (void)fprintf(stderr, "convnetd: %s:%lld: %s\n", error->source, error->offset, error->text);
    else if (error->source[0] != '\0')
        (void)fprintf(stderr, "convnetd: %s: %s\n", error->source, error->text);
    else
        (void)fprintf(stderr, "convnetd: %s\n", error->text);
}

static int check_config(const struct daemon_options *options) {
    struct cn_error error = {0};
    log_set_level(LOG_LEVEL_ERROR);
    if (service_check(options, &error) == CN_OK)
        return EXIT_SUCCESS;
    print_error(&error);
    return EXIT_FAILED;
}

/* Blocks the signals that the main thread reads; later threads inherit the mask. */
static int open_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log file at its size limit must not end the daemon */
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Begins the shutdown `delay` nanoseconds after the first request for it. */
static void begin_stop(struct service *service, uint64_t delay, uint64_t *stop_at, int signal) {
    const bool first = *stop_at == 0;
    *stop_at = cn_clock_nanoseconds() + (first ? delay : 0);
    log_write(LOG_LEVEL_INFO, "%s: %s", signal == SIGTERM ? "SIGTERM" : "SIGINT",
              first && delay > 0 ? "not ready from now on, ending after shutdown-delay"
                                 : "finishing what runs");
    if (!first)
        return;
    service_begin_stop(service);
    notify_stopping();
}

static void handle_signals(int signals, struct service *service, uint64_t delay,
                           uint64_t *stop_at) {
    struct signalfd_siginfo info;
    bool hangup = false;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            hangup = true;
        else
            begin_stop(service, delay, stop_at, (int)info.ssi_signo);
    }
    if (hangup && *stop_at == 0) {
        notify_reloading();
        service_reload(service);
    }
}

/* How long poll may sleep, in milliseconds: until the next watchdog signal or the end; -1: no
 * limit. */
static int sleep_time(uint64_t watchdog, uint64_t stop_at) {
    const uint64_t now = cn_clock_nanoseconds();
    uint64_t time = UINT64_MAX;
    if (watchdog > 0)
        time = watchdog / 3;
    const uint64_t left = stop_at > now ? stop_at - now : 0;
    if (stop_at != 0 && left < time)
        time = left;
    return time == UINT64_MAX ? -1 : (int)((time + 999999) / 1000000);
}

static void daemon_run(int signals, struct service *service, uint64_t delay) {
    const uint64_t watchdog = notify_watchdog();
    uint64_t stop_at = 0; /* by cn_clock_nanoseconds; 0: no shutdown was requested */
    char text[1200];
    struct pollfd waits[] = {{.fd = signals, .events = POLLIN},
                             {.fd = service_reload_fd(service), .events = POLLIN}};
    while (stop_at == 0 || cn_clock_nanoseconds() < stop_at) {
        if (poll(waits, 2, sleep_time(watchdog, stop_at)) > 0) {
            handle_signals(signals, service, delay, &stop_at);
            if (service_reloaded(service) && stop_at == 0) {
                service_describe(service, text, sizeof text);
                notify_ready(text);
            }
        }
        /* The watchdog is told only if each HTTP thread and the compute thread have answered. */
        if (watchdog > 0 && service_alive(service, watchdog / 3))
            notify_alive();
    }
}

static int serve(const struct daemon_options *options) {
    struct cn_error error = {0};
    struct service *service = NULL;
    char text[1200];
    int signals = open_signals();
    if (signals < 0) {
        (void)fprintf(stderr, "convnetd: cannot read signals: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    json_object_seed(0); /* before any thread starts, since it is not thread-safe */
    sandbox_close_files(options);
    if (service_start(options, &service, &error) != CN_OK) {
        log_failure("cannot start", &error);
        close(signals);
        return EXIT_FAILED;
    }
    sandbox_close_calls(options);
    service_describe(service, text, sizeof text);
    log_write(LOG_LEVEL_INFO, "%s", text);
    notify_ready(text);
    daemon_run(signals, service, cn_nanoseconds(options->shutdown_delay));
    const bool whole = service_free(service);
    close(signals);
    log_write(LOG_LEVEL_INFO, "stopped");
    return whole ? EXIT_SUCCESS : EXIT_FAILED;
}

/* `convnetd CALL [NAME] [OPTION...]`: the options say where the daemon's admin socket is. Without
 * options the installed configuration says it, if it can be read. */
static int call_daemon(int argc, char **argv) {
    static struct daemon_options options;
    struct cn_error error = {0};
    enum daemon_action action = ACTION_SERVE;
    const char *word = argv[1], *name = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
    const int taken = name != NULL ? 2 : 1;
    argv[taken] = argv[0];
    if (options_read(argc - taken, argv + taken, &options, &action, &error) != CN_OK) {
        print_error(&error);
        return EXIT_USAGE;
    }
    if (argc - taken == 1) /* without options an unreadable file is ignored */
        (void)options_read_file(&options, CN_CONFIGURATION, NULL);
    return control_run(word, name, &options);
}

int main(int argc, char **argv) {
    static struct daemon_options options;
    struct cn_error error = {0};
    enum daemon_action action = ACTION_SERVE;
    if (control_recognize(argc, argv))
        return call_daemon(argc, argv);
    cn_openmp_wait_passively(argv);
    if (options_read(argc, argv, &options, &action, &error) != CN_OK) {
        print_error(&error);
        return EXIT_USAGE;
    }
    if (action == ACTION_PRINT_CONFIG) {
        options_print(&options, stdout);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
    }
    if (action == ACTION_CHECK_CONFIG)
        return check_config(&options);
    log_set_level((enum log_level)options.log_level);
    log_set_format((enum log_format)options.log_format);
    return serve(&options);
}
