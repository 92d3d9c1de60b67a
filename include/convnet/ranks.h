/* ranks.h: several processes that train one network together, "ranks" as MPI calls them.
 *
 * The library knows no MPI: the program gives these functions (src/cli/mpi_ranks.c).
 */
#ifndef CONVNET_RANKS_H
#define CONVNET_RANKS_H

#include <stddef.h>

#include "convnet/declare.h"

CN_DECLARATIONS_BEGIN

/* Between two ranks, messages arrive in the order in which they were begun, and each is received by
 * one call with its size. What is sent may not change, and what is received may not be read, until
 * `finish`. All are called from the thread that trains. None returns when a rank is lost: the
 * process ends. */
enum { CN_RANKS_MAX = 32 }; /* as many as a mini-batch has parts: CN_GRADIENT_SHARDS */
struct cn_ranks {
    int rank, count; /* 0 <= rank < count */
    void *data;
    void (*send)(void *data, int to, const void *bytes, size_t size); /* begins */
    void (*receive)(void *data, int from, void *bytes, size_t size);  /* begins */
    void (*progress)(void *data); /* lets what has begun go on; does not wait */
    void (*finish)(void *data);   /* waits for all that has begun */
};

/* Every rank gets all parts of `buffer`: rank r's own part is the bytes from bounds[r] to
 * bounds[r + 1]. bounds: [count + 1], ascending, the same on every rank. */
void cn_ranks_gather(const struct cn_ranks *ranks, void *buffer, const size_t *bounds);

CN_DECLARATIONS_END

#endif
