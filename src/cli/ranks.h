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

/* For commands that do not support ranks: CN_UNSUPPORTED when mpirun has started several of them.
 */
enum cn_status cli_ranks_refuse(const char *command, struct cn_error *error);

/* True on all ranks if `own` is true on any. */
bool cli_ranks_any(const struct cn_ranks *ranks, bool own);

/* True on the one rank that writes files and prints. */
static inline bool cli_ranks_speaks(const struct cn_ranks *ranks) {
    return ranks == NULL || ranks->rank == 0;
}

#endif
