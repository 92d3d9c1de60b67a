/* ranks.h: the processes that `mpirun` has started together. */
#ifndef CONVNET_CLI_RANKS_H
#define CONVNET_CLI_RANKS_H

#include <stdbool.h>

#include "convnet/ranks.h"
#include "convnet/status.h"

/* Sets *ret_ranks to all processes, borrowed until the end, or to NULL for this process alone. Call
 * it before other threads start. CN_UNSUPPORTED when there are several and the build has no MPI. */
enum cn_status cli_ranks_begin(const struct cn_ranks **ret_ranks, struct cn_error *error);

/* Call it before the process ends; a failure ends the other ranks too. */
void cli_ranks_end(int exit_status);

/* True on all ranks if it is on any; also waits for all. ranks NULL: this process alone. */
bool cli_ranks_any(const struct cn_ranks *ranks, bool own);

/* True on the one rank that writes files and prints. */
static inline bool cli_ranks_speaks(const struct cn_ranks *ranks) {
    return ranks == NULL || ranks->rank == 0;
}

#endif
