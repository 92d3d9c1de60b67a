/* process.c: the process's own resources, under the names that Prometheus' clients agree on. Reads
 * /proc; values that cannot be read are omitted. */
#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "metrics/metric_table.h"

static void render_line(FILE *out, enum statistics_reading reading, double value) {
    const char *name = statistics_render_reading_head(out, reading);
    (void)fprintf(out, "%s %.15g\n", name, value);
}

/* The fields of /proc/self/stat after the program's name, which may contain any character. */
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
    render_line(out, STATISTICS_PROCESS_CPU, (double)(user + kernel) / ticks);
    render_line(out, STATISTICS_PROCESS_THREADS, (double)threads);
    render_line(out, STATISTICS_PROCESS_START, booted + (double)start / ticks);
    render_line(out, STATISTICS_PROCESS_VIRTUAL, (double)bytes);
    render_line(out, STATISTICS_PROCESS_RESIDENT, (double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void render_descriptors(FILE *out) {
    struct rlimit limit;
    double open = -3; /* ".", ".." and the listing itself */
    DIR *folder = opendir("/proc/self/fd");
    if (folder != NULL) {
        while (readdir(folder) != NULL)
            open++;
        (void)closedir(folder);
        render_line(out, STATISTICS_PROCESS_OPEN_FDS, open);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        render_line(out, STATISTICS_PROCESS_MAX_FDS, (double)limit.rlim_cur);
}

void statistics_render_process(FILE *out) {
    render_stat(out);
    render_descriptors(out);
}
