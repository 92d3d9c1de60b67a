/* budget.h: a limit on the bytes that many threads use together. A thread takes bytes before it
 * allocates memory and gives them back after it has freed it. A budget counts; it allocates
 * nothing. Thread-safe. */
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

/* Takes `bytes`; false, with nothing taken, if the sum would exceed the limit. */
bool cn_budget_take(struct cn_budget *budget, size_t bytes);
void cn_budget_give(struct cn_budget *budget, size_t bytes);

/* The largest number of bytes that were in use at once since the last call. */
size_t cn_budget_take_peak(struct cn_budget *budget);

/* The memory that this process may use: its cgroup's limit or the machine's memory. */
size_t cn_budget_machine(void);

/* A quarter of cn_budget_machine(), but at least 32 MiB and at most 512 MiB. */
size_t cn_budget_default(void);

#endif
