/* budget.h: a number of bytes that many threads share: taken before memory is, given back after it
 * was freed. Counts; allocates nothing. Thread-safe. */
#ifndef CONVNET_BASE_BUDGET_H
#define CONVNET_BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomics.h"

struct cn_budget {
    size_t limit; /* constant */
    atomic_size_t used;
    atomic_size_t peak; /* since cn_budget_take_peak */
};

/* False, with nothing taken, if that were over the limit. */
bool cn_budget_take(struct cn_budget *budget, size_t bytes);
void cn_budget_give(struct cn_budget *budget, size_t bytes);

/* The most that was used since the last call. */
size_t cn_budget_take_peak(struct cn_budget *budget);

/* The memory that this process may use: its cgroup's limit or the machine's memory. */
size_t cn_budget_machine(void);

/* A quarter of that, 32 MiB at least and 512 MiB at most. */
size_t cn_budget_default(void);

#endif
