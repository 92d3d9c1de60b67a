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

/* Floats before one layer's part of the workspace's blocks. */
struct cn_layer_part {
    size_t activation, slope;           /* its output, and the gradient by it */
    bool activation_whole, slope_whole; /* of the whole batch, or of the thread's chunk */
    size_t packed, state, partial;
};

struct cn_gradient_workspace {
    size_t max_batch_size, layer_count, parameter_count;
    size_t chunk;     /* samples */
    size_t last_stop; /* the last layer that sees the whole batch first; layer_count: none does */
    int threads;
    struct cn_layer_part *parts;
    float *whole;
    size_t local_size, scratch_size;
    float *local;   /* [threads, local_size] */
    float *scratch; /* [threads, scratch_size] */
    float *packed, *state;
    float *gradients; /* [CN_GRADIENT_SHARDS, parameter_count] */
    size_t partial_size;
    double *partials; /* [layer][CN_GRADIENT_SHARDS, partial_size of the layer] */
    double losses[CN_GRADIENT_SHARDS];
    size_t correct[CN_GRADIENT_SHARDS];
};

#endif
