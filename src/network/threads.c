/* threads.c: the number of threads to use: the processors that the affinity mask allows, limited by
 * the cgroup's quota, which OpenMP ignores. No state. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "convnet/plan.h"

enum { PATH_SIZE = 4096 };

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

/* The number of processors that a quota allows; 0: no quota. */
static long quota_processors(long limit, long period) {
    if (limit <= 0 || period <= 0)
        return 0;
    return limit / period > 0 ? limit / period : 1;
}

/* The quota of the control group `group` ("/a/b", or "" for the topmost visible one) in version 2.
 */
static long quota_of(const char *group) {
    char path[PATH_SIZE + 64];
    long limit = -1, period = -1;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &limit, &period) != 2)
        limit = -1; /* "max 100000" */
    (void)fclose(file);
    return quota_processors(limit, period);
}

/* The same for version 1. */
static long old_quota_of(const char *group) {
    char path[PATH_SIZE + 64];
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
    const long limit = read_long(path);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
    return quota_processors(limit, read_long(path));
}

/* The smallest of the quotas of the group and those above it, and `least`. Modifies `group`. */
static long least_quota(long least, long (*quota)(const char *group), char *group) {
    for (;;) {
        const long here = quota(group);
        if (here > 0 && (least == 0 || here < least))
            least = here;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* A service's quota is set on its own group. In a container that group is the topmost visible one,
 * whether or not /proc gives its path outside. */
static long quota(void) {
    char line[PATH_SIZE], top[1] = "";
    long least = least_quota(least_quota(0, old_quota_of, top), quota_of, top);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) { /* id:controllers:group */
        char *list = strchr(line, ':'), *group = list != NULL ? strchr(list + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *list++ = *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (*list == '\0')
            least = least_quota(least, quota_of, group);
        else if (strcmp(list, "cpu") == 0 || strcmp(list, "cpu,cpuacct") == 0)
            least = least_quota(least, old_quota_of, group);
    }
    if (file != NULL)
        (void)fclose(file);
    return least;
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
