/* ranks.h: several processes that train one network together, which MPI calls "ranks".
 *
 * The library does not use MPI: the program provides these functions (src/cli/ranks_mpi.c). */
#ifndef CONVNET_RANKS_H
#define CONVNET_RANKS_H

#include <stddef.h>

#include "convnet/declare.h"

CN_DECLARATIONS_BEGIN

/* Messages between two ranks arrive in the order in which they were begun, and each is received by
 * one call with its size. A sent buffer may not change, and a received one may not be read, until
 * `finish`. The thread that trains calls all of these. None returns when a rank is lost: the
 * process ends. */
enum { CN_RANKS_MAX = 32 }; /* the number of parts of a mini-batch: CN_GRADIENT_SHARDS */
struct cn_ranks {
    int rank, count; /* 0 <= rank < count */
    void *data;
    void (*send)(void *data, int to, const void *bytes, size_t size); /* begins to send */
    void (*receive)(void *data, int from, void *bytes, size_t size);  /* begins to receive */
    void (*progress)(void *data); /* makes progress without waiting */
    void (*finish)(void *data);   /* waits for everything that was begun */
};

/* Gives every rank all parts of `buffer`: rank r's own part is the bytes from bounds[r] to bounds[r
 * + 1]. bounds: [count + 1], ascending, the same on every rank. */
void cn_ranks_gather(const struct cn_ranks *ranks, void *buffer, const size_t *bounds);

CN_DECLARATIONS_END

#endif
