/* ranks.c: see ranks.h. The functions that need no MPI, and substitutes for a build without it. */
#include "cli/ranks.h"

#include <stdlib.h>

bool cli_ranks_any(const struct cn_ranks *ranks, bool own) {
    bool flags[CN_RANKS_MAX] = {false};
    size_t bounds[CN_RANKS_MAX + 1];
    if (ranks == NULL)
        return own;
    for (int r = 0; r <= ranks->count; r++)
        bounds[r] = (size_t)r * sizeof *flags;
    flags[ranks->rank] = own;
    cn_ranks_gather(ranks, flags, bounds);
    for (int r = 0; r < ranks->count; r++)
        own = own || flags[r];
    return own;
}

#ifndef HAVE_MPI

enum cn_status cli_ranks_begin(const struct cn_ranks **ret_ranks, struct cn_error *error) {
    const char *count = getenv("OMPI_COMM_WORLD_SIZE"); /* Open MPI tells each process */
    *ret_ranks = NULL;
    if (count == NULL || atoi(count) <= 1)
        return CN_OK;
    return cn_fail(error, CN_UNSUPPORTED,
                   "mpirun started %s processes, but this build has no MPI, so that each would do "
                   "all the work and overwrite the others' files; build with configure --with-mpi",
                   count);
}

void cli_ranks_end(int exit_status) {
    (void)exit_status;
}
#endif
