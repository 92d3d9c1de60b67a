/* gradient_private.h: the workspace of a mini-batch's forward and backward pass.
 *
 * The batch is cut into CN_GRADIENT_SHARDS fixed ranges of samples, a shard into chunks of a few
 * samples that run through several layers while their activations are in the cache. What no later
 * region of the pass reads lives in a buffer of the thread, used again for the next chunk; the rest
 * in arrays of the whole batch.
 */
#ifndef CONVNET_NETWORK_GRADIENT_PRIVATE_H
#define CONVNET_NETWORK_GRADIENT_PRIVATE_H

#include "convnet/network.h"
#include "network/gradient_sum.h"

/* Where the gradient by one input of a layer goes. */
struct cn_edge {
    bool needed;  /* somebody before it learns from it */
    bool added;   /* to what a later user has written; else it is written */
    size_t spare; /* of an added one: floats before its buffer among the thread's spares */
};

/* Of a shard's samples. */
struct cn_shard_outcome {
    double loss;      /* sum */
    uint32_t correct; /* how many are right */
    uint32_t flag;    /* of the rank's first shard: the mini-batch's */
};

/* Floats before one layer's part of the workspace's blocks. */
struct cn_layer_part {
    bool leads;                         /* to the output that the loss sees */
    bool back;                          /* the backward pass goes through the layer */
    size_t edges;                       /* index of its first one */
    size_t activation, slope;           /* its output, and the gradient by it */
    bool activation_whole, slope_whole; /* of the whole batch, or of the thread's chunk */
    size_t packed, state, partial;
};

struct cn_gradient_workspace {
    size_t max_batch_size, layer_count, parameter_count;
    size_t output; /* the layer whose output the loss sees */
    size_t output_users;
    size_t chunk;     /* samples */
    size_t last_stop; /* the last layer that sees the whole batch first; layer_count: none does */
    int threads;
    struct cn_layer_part *parts;
    struct cn_edge *edges;
    size_t whole_size, packed_size, state_size; /* floats */
    float *whole;
    size_t local_size, spare, scratch_size; /* spare: where the spares begin in `local` */
    float *local;                           /* [threads, local_size] */
    float *scratch;                         /* [threads, scratch_size] */
    size_t most_inputs;
    const float **xs; /* [threads, most_inputs], of the layer at work */
    float **dxs;
    float *packed, *state;
    bool *backs;                   /* [layer_count]: parts' `back` */
    const struct cn_ranks *ranks;  /* NULL: this process alone */
    size_t *bounds;                /* [ranks + 1], scratch of a gathering */
    size_t first_shard, end_shard; /* this rank's */
    struct cn_gradient_sum *sum;
    size_t partial_size;
    double *partials; /* [layer][CN_GRADIENT_SHARDS, partial_size of the layer] */
    struct cn_shard_outcome outcomes[CN_GRADIENT_SHARDS];
};

#endif
