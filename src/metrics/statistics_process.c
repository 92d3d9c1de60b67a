/* statistics_process.c: the process's own resources, by the names that Prometheus' clients agree
 * on. Reads /proc; what cannot be read is left out. */
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "metrics/statistics_private.h"

static void line(FILE *out, const char *name, const char *type, const char *help, double value) {
    statistics_head(out, name, type, help);
    (void)fprintf(out, "%s %.15g\n", name, value);
}

/* The fields of /proc/self/stat that follow the program's name, which may hold anything. */
static void render_stat(FILE *out) {
    char text[1024];
    unsigned long long start = 0;
    unsigned long user = 0, kernel = 0, bytes = 0;
    long pages = 0, threads = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return;
    const size_t length = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    if (fields == NULL ||
        sscanf(fields,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld "
               "%*d %llu %lu %ld",
               &user, &kernel, &threads, &start, &bytes, &pages) != 6)
        return;
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    struct timespec now, up;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)clock_gettime(CLOCK_BOOTTIME, &up);
    const double booted =
        (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) * 1e-9;
    line(out, "process_cpu_seconds_total", "counter",
         "Total user and system CPU time spent in seconds.", (double)(user + kernel) / ticks);
    line(out, "process_threads", "gauge", "Number of OS threads in the process.", (double)threads);
    line(out, "process_start_time_seconds", "gauge",
         "Start time of the process since unix epoch in seconds.", booted + (double)start / ticks);
    line(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
         (double)bytes);
    line(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
         (double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void render_descriptors(FILE *out) {
    struct rlimit limit;
    double open = -3; /* ".", ".." and the listing itself */
    DIR *folder = opendir("/proc/self/fd");
    if (folder != NULL) {
        while (readdir(folder) != NULL)
            open++;
        (void)closedir(folder);
        line(out, "process_open_fds", "gauge", "Number of open file descriptors.", open);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        line(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
             (double)limit.rlim_cur);
}

void statistics_render_process(FILE *out) {
    render_stat(out);
    render_descriptors(out);
}
