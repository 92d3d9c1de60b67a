/* budget.c: see budget.h. */
#include "base/budget.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEBIBYTE = 1 << 20 };

bool cn_budget_take(struct cn_budget *budget, size_t bytes) {
    const size_t before = atomic_fetch_add(&budget->used, bytes);
    if (bytes > budget->limit || before > budget->limit - bytes) {
        atomic_fetch_sub(&budget->used, bytes);
        return false;
    }
    size_t peak = budget->peak;
    while (peak < before + bytes &&
           !atomic_compare_exchange_weak(&budget->peak, &peak, before + bytes))
        continue;
    return true;
}

void cn_budget_give(struct cn_budget *budget, size_t bytes) {
    atomic_fetch_sub(&budget->used, bytes);
}

size_t cn_budget_take_peak(struct cn_budget *budget) {
    return atomic_exchange(&budget->peak, budget->used);
}

/* Reads a limit from a cgroup's file; SIZE_MAX for "max" or a missing file. */
static size_t read_limit(const char *path) {
    char text[32] = "";
    char *end = text;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return SIZE_MAX;
    const bool got = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    const unsigned long long value = got ? strtoull(text, &end, 10) : 0;
    return end != text && value > 0 ? (size_t)value : SIZE_MAX;
}

/* The lowest limit of this process's cgroup (version 2) and of the visible ones above it. */
static size_t cgroup_limit(void) {
    char line[1024] = "", path[1100];
    size_t least = SIZE_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return SIZE_MAX;
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "0::/", 4) != 0)
        line[0] = '\0';
    (void)fclose(file);
    line[strcspn(line, "\n")] = '\0';
    char *group = line[0] != '\0' ? line + 3 : line;
    for (;;) {
        (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
        const size_t limit = read_limit(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

size_t cn_budget_machine(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const size_t machine = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    const size_t group = cgroup_limit();
    return group < machine ? group : machine;
}

size_t cn_budget_default(void) {
    const size_t part = cn_budget_machine() / 4;
    if (part < (size_t)32 * MEBIBYTE)
        return (size_t)32 * MEBIBYTE;
    return part < (size_t)512 * MEBIBYTE ? part : (size_t)512 * MEBIBYTE;
}
