/* gradient_private.h: the workspace for the forward and backward pass of a mini-batch.
 *
 * The batch is divided into CN_GRADIENT_SHARDS fixed ranges of samples, and a shard into chunks of
 * a few samples, which run through several layers while their activations are in the cache. Values
 * that no later region reads are in a buffer of the thread that the next chunk reuses; the others
 * are in arrays for the whole batch. */
#ifndef CONVNET_NETWORK_GRADIENT_PRIVATE_H
#define CONVNET_NETWORK_GRADIENT_PRIVATE_H

#include "convnet/network.h"
#include "network/gradient_sum.h"

/* The place of the gradient with respect to one input of a layer. */
struct cn_edge {
    bool needed;  /* a layer before it learns from it */
    bool added;   /* added to what a later user has written; otherwise written */
    size_t spare; /* if added: the offset of its buffer among the thread's spare ones */
};

/* The results for a shard's samples. */
struct cn_shard_outcome {
    double loss;      /* sum */
    uint32_t correct; /* number of correct answers */
    uint32_t flag;    /* in the rank's first shard: the mini-batch's flag */
};

/* The offsets of one layer's parts in the workspace's blocks. */
struct cn_layer_part {
    bool leads;                         /* the output of the loss depends on it */
    bool back;                          /* the backward pass includes the layer */
    size_t edges;                       /* the index of its first edge */
    size_t activation, slope;           /* its output, and the gradient with respect to that */
    bool activation_whole, slope_whole; /* for the whole batch, or for the thread's chunk */
    size_t packed, state, partial;
};

struct cn_gradient_workspace {
    size_t max_batch_size, layer_count, parameter_count;
    size_t output; /* the layer whose output the loss reads */
    size_t output_users;
    size_t chunk;     /* samples per chunk */
    size_t last_stop; /* the last layer that needs the whole batch first; layer_count: none */
    int threads;
    struct cn_layer_part *parts;
    struct cn_edge *edges;
    size_t whole_size, packed_size, state_size; /* floats */
    float *whole;
    size_t local_size, spare, scratch_size; /* spare: the offset of the spare buffers in `local` */
    float *local;                           /* [threads, local_size] */
    float *scratch;                         /* [threads, most_inputs], for the running layer */
    size_t most_inputs;
    const float **xs; /* [threads, most_inputs], of the layer at work */
    float **dxs;
    float *packed, *state;
    bool *backs;                   /* [layer_count]: parts' `back` */
    const struct cn_ranks *ranks;  /* NULL: this process alone */
    size_t *bounds;                /* [ranks + 1], scratch */
    size_t first_shard, end_shard; /* of this rank */
    struct cn_gradient_sum *sum;
    size_t partial_size;
    double *partials; /* [layer][CN_GRADIENT_SHARDS, partial_size of the layer] */
    struct cn_shard_outcome outcomes[CN_GRADIENT_SHARDS];
};

#endif
