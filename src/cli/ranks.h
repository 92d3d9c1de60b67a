/* ranks.h: the processes that `mpirun` has started together. */
#ifndef CONVNET_CLI_RANKS_H
#define CONVNET_CLI_RANKS_H

#include <stdbool.h>

#include "convnet/ranks.h"
#include "convnet/status.h"

/* *ret_ranks: all of them, borrowed until the end, or NULL for this process alone. To be called
 * before other threads are. CN_UNSUPPORTED when there are several and the build has no MPI. */
enum cn_status cli_ranks_begin(const struct cn_ranks **ret_ranks, struct cn_error *error);

/* Before the process ends; a failure ends the others, too. */
void cli_ranks_end(int exit_status);

/* For a command that knows no ranks: CN_UNSUPPORTED when mpirun has started several of it. */
enum cn_status cli_ranks_refuse(const char *command, struct cn_error *error);

/* True on all ranks if it is on any. */
bool cli_ranks_any(const struct cn_ranks *ranks, bool own);

/* Of these ranks, does this one write and speak? */
static inline bool cli_ranks_speaks(const struct cn_ranks *ranks) {
    return ranks == NULL || ranks->rank == 0;
}

#endif
