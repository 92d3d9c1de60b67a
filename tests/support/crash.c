/* crash.c: reports where a unit test was when a signal ended it; Criterion reports only the signal.
 * The lines are appended to the file that the environment's CRASH_REPORT names, or written to
 * stderr, which Criterion's TAP output silences. The signal then ends the test as before. */
#include <execinfo.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 32 };

/* Uses stdio and backtrace(), which a signal handler must not use; but this process ends anyway. */
static void crash_report(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    void *frames[FRAMES];
    char line[512];
    const char *path = getenv("CRASH_REPORT");
    FILE *report = path != NULL ? fopen(path, "a") : stderr;
    if (report == NULL)
        return;
    const uintptr_t address = (uintptr_t)info->si_addr;
    (void)fprintf(report, "CRASH: %s, code %d, address %#zx\n", strsignal(signal_number),
                  info->si_code, (size_t)address);
    if (info->si_code <= 0) /* another process or raise() sent the signal */
        (void)fprintf(report, "CRASH: sent by process %d of %d\n", info->si_pid, (int)getpid());
    const int count = backtrace(frames, FRAMES);
    char **names = backtrace_symbols(frames, count);
    for (int i = 0; names != NULL && i < count; i++)
        (void)fprintf(report, "CRASH: %s\n", names[i]);
    /* The mappings around the address distinguish a read past the end of a block from a random
     * address. */
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        size_t from, to;
        if (sscanf(line, "%zx-%zx", &from, &to) == 2 && address + (1 << 20) >= from &&
            address <= to + (1 << 20))
            (void)fprintf(report, "CRASH: mapped %s", line);
    }
    (void)fflush(report);
    (void)raise(signal_number); /* when this handler returns */
}

/* A sanitizer has installed its own handlers, which stay. */
__attribute__((constructor)) static void crash_report_register(void) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM};
    const struct sigaction action = {.sa_sigaction = crash_report,
                                     .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};
    struct sigaction before;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            (void)sigaction(signals[i], &action, NULL);
}
