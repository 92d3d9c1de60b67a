/* ranks_mpi.c: messages between ranks by MPI, for processes that mpirun or srun has started; other
 * processes never call MPI. One thread calls it. If a rank is lost all ranks end, as Open MPI does
 * it. */
#include <mpi.h>
#include <stdlib.h>

#include "cli/ranks.h"

enum { MESSAGE_BYTES = 1 << 30 }; /* MPI counts in int */

/* The operations that have begun. */
static struct {
    MPI_Request *requests;
    size_t count, capacity;
} begun;

static struct cn_ranks ranks;

static MPI_Request *next_request(void) {
    if (begun.count == begun.capacity) {
        size_t capacity = begun.capacity == 0 ? 64 : 2 * begun.capacity;
        MPI_Request *requests = reallocarray(begun.requests, capacity, sizeof *requests);
        if (requests == NULL)
            (void)MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
        begun.requests = requests;
        begun.capacity = capacity;
    }
    return &begun.requests[begun.count++];
}

static void mpi_send(void *data, int to, const void *bytes, size_t size) {
    const unsigned char *next = bytes;
    (void)data;
    for (size_t done = 0; done < size; done += MESSAGE_BYTES) {
        size_t part = size - done < MESSAGE_BYTES ? size - done : MESSAGE_BYTES;
        (void)MPI_Isend(next + done, (int)part, MPI_BYTE, to, 0, MPI_COMM_WORLD, next_request());
    }
}

static void mpi_receive(void *data, int from, void *bytes, size_t size) {
    unsigned char *next = bytes;
    (void)data;
    for (size_t done = 0; done < size; done += MESSAGE_BYTES) {
        size_t part = size - done < MESSAGE_BYTES ? size - done : MESSAGE_BYTES;
        (void)MPI_Irecv(next + done, (int)part, MPI_BYTE, from, 0, MPI_COMM_WORLD, next_request());
    }
}

static void mpi_progress(void *data) {
    int flag;
    (void)data;
    if (begun.count > 0) {
        (void)MPI_Testall((int)begun.count, begun.requests, &flag, MPI_STATUSES_IGNORE);
        begun.count = flag ? 0 : begun.count;
    }
}

static void mpi_finish(void *data) {
    (void)data;
    (void)MPI_Waitall((int)begun.count, begun.requests, MPI_STATUSES_IGNORE);
    begun.count = 0;
}

/* True under Open MPI's mpirun, and launchers that use PMIx or PMI-2, such as Slurm's srun. */
static bool was_launched(void) {
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL ||
           getenv("PMI_RANK") != NULL;
}

enum cn_status cli_ranks_begin(const struct cn_ranks **ret_ranks, struct cn_error *error) {
    int provided, count, rank;
    *ret_ranks = NULL;
    if (!was_launched())
        return CN_OK;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
        provided < MPI_THREAD_FUNNELED) {
        return cn_fail(error, CN_UNSUPPORTED,
                       "this MPI allows no threads beside the one that calls it");
    }
    (void)MPI_Comm_size(MPI_COMM_WORLD, &count);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (count > CN_RANKS_MAX) {
        return cn_fail(error, CN_INVALID, "there are %d ranks; up to %d can work together", count,
                       CN_RANKS_MAX);
    }
    ranks = (struct cn_ranks){rank, count, NULL, mpi_send, mpi_receive, mpi_progress, mpi_finish};
    *ret_ranks = count > 1 ? &ranks : NULL;
    return CN_OK;
}

void cli_ranks_end(int exit_status) {
    int initialized = 0;
    (void)MPI_Initialized(&initialized);
    if (!initialized)
        return;
    if (exit_status != 0)
        (void)MPI_Abort(MPI_COMM_WORLD, exit_status);
    (void)MPI_Finalize();
    free(begun.requests);
}
