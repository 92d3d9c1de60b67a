/* threads.c: how many threads are worth starting here: the processors that the affinity mask
 * allows, and no more than the container's quota, which OpenMP does not look at. No state. */
#include <sched.h>
#include <stdio.h>

#include "convnet/plan.h"

static long read_long(const char *path) {
    long value = -1;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%ld", &value) != 1)
        value = -1;
    (void)fclose(file);
    return value;
}

/* Processors that the cgroup's quota is worth; 0: no quota. */
static long quota(void) {
    long limit = -1, period = -1;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &limit, &period) != 2)
            limit = -1; /* "max 100000" */
        (void)fclose(file);
    } else {
        limit = read_long("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
        period = read_long("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    }
    if (limit <= 0 || period <= 0)
        return 0;
    return limit / period > 0 ? limit / period : 1;
}

int cn_default_threads(void) {
    cpu_set_t mask;
    const long quota_threads = quota();
    int threads = 1;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0)
        threads = CPU_COUNT(&mask);
    if (quota_threads > 0 && quota_threads < threads)
        threads = (int)quota_threads;
    return threads > 0 ? threads : 1;
}
