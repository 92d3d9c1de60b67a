/* network.h: a graph of layers over one block of parameters, and its gradient.
 *
 * A value is what flows along an edge: value v is the network's input v, or, from input_count on,
 * the output of layer v - input_count. Layers are in topological order: a layer reads only values
 * of earlier ones. A Sequential model is a chain in which each layer reads the one before.
 *
 * Arrays are float32, row-major, NHWC ("channels_last") as in Keras: images [batch, height, width,
 * channels], convolution kernels [kernel_height, kernel_width, in_channels, out_channels], dense
 * kernels [in, out]. */
#ifndef CONVNET_NETWORK_H
#define CONVNET_NETWORK_H

#include <stdint.h>

#include "convnet/layer.h"
#include "convnet/quantization.h"
#include "convnet/ranks.h"

CN_DECLARATIONS_BEGIN

enum {
    CN_TENSOR_NAME = CN_LAYER_NAME + 24, /* "<layer>/<tensor>" */
    CN_NETWORK_MAX_LAYERS = 4096,
    CN_NETWORK_MAX_PORTS = 64, /* inputs and outputs */
    CN_PORT_NAME = 128,        /* bytes of an input's or output's name, with its NUL */
    CN_NETWORK_MAX_PARAMETERS = 1 << 28
};

/* One named slice of the parameter block. */
struct cn_tensor {
    char name[CN_TENSOR_NAME]; /* "conv2d/kernel" */
    int rank;
    int dims[CN_TENSOR_MAX_RANK];
    size_t offset; /* floats into `parameters` */
    size_t size;   /* floats */
    bool trainable;
};

/* An input or an output of a network. */
struct cn_port {
    char name[CN_PORT_NAME]; /* UTF-8 without control characters */
    struct cn_shape shape;
    size_t value;
};

/* Read the fields freely; change them only through the functions below (but `parameters` may be
 * written by an optimizer or a reader). */
struct cn_network {
    char name[CN_LAYER_NAME];
    struct cn_shape input_shape, output_shape; /* of the first input and the first output */
    size_t input_count, output_count;
    struct cn_port *inputs, *outputs;
    size_t layer_count;
    struct cn_layer *layers;
    size_t tensor_count;
    struct cn_tensor *tensors;
    size_t parameter_count; /* floats in `parameters`, trainable or not */
    float *parameters;      /* 64-byte aligned; NULL until cn_network_build */
    float temperature;      /* plans divide the inputs of a final softmax by it; 1: as trained */
    struct cn_quantization *quantization; /* owned; NULL: all is floats */
};

/* Creates an empty network for samples of `input_shape`. Caller frees with cn_network_free.
 * CN_INVALID for an impossible shape. */
enum cn_status cn_network_create(const struct cn_shape *input_shape,
                                 struct cn_network **ret_network, struct cn_error *error);

/* Appends a layer that reads the last one (the first input if there is none), with configuration
 * `config` (the type's struct, as cn_layer_type_defaults fills it; copied), and infers its output
 * shape. `name` NULL gives Keras's: "conv2d", "conv2d_1". CN_INVALID for a duplicate name, or with
 * the layer and both shapes if they do not fit. */
enum cn_status cn_network_add(struct cn_network *network, const struct cn_layer_type *type,
                              const char *name, const void *config, struct cn_error *error);

/* Adds an input; only before the first layer. The rule for `name` is that of ports. CN_INVALID for
 * an impossible shape, a duplicate name or a late call. */
enum cn_status cn_network_add_input(struct cn_network *network, const char *name,
                                    const struct cn_shape *shape, struct cn_error *error);

/* Renames input `input`. */
enum cn_status cn_network_name_input(struct cn_network *network, size_t input, const char *name,
                                     struct cn_error *error);

/* The description of a layer that is added to a graph. */
struct cn_layer_call {
    const struct cn_layer_type *type; /* NULL with `shares` */
    const char *name;                 /* NULL: Keras's */
    const void *config;               /* as in cn_network_add; NULL: the defaults */
    size_t input_count;
    const size_t *inputs; /* values */
    bool frozen;
    size_t shares; /* index plus 1 of a layer whose type, configuration and weights are used again;
                      0: none */
};

/* Appends a layer that reads `call->inputs`; its value is *ret_value (may be NULL). The errors of
 * cn_network_add, and CN_INVALID for a value that does not exist yet or a number of inputs that the
 * type does not accept. */
enum cn_status cn_network_add_call(struct cn_network *network, const struct cn_layer_call *call,
                                   size_t *ret_value, struct cn_error *error);

/* Makes these `count` values the network's outputs, in this order; `names` NULL: the layers' names.
 * Without a call the last layer's output is the only one. */
enum cn_status cn_network_set_outputs(struct cn_network *network, size_t count,
                                      const size_t *values, const char *const *names,
                                      struct cn_error *error);

/* The shape of an existing value. Borrowed. */
const struct cn_shape *cn_network_value_shape(const struct cn_network *network, size_t value);

/* True if every layer reads only the layer before it and the last one is the only output. */
bool cn_network_is_chain(const struct cn_network *network);

/* Completes the list of layers and allocates the parameter block, all zero. */
enum cn_status cn_network_build(struct cn_network *network, struct cn_error *error);

/* Fills the parameters by each tensor's initializer (Keras's defaults: glorot_uniform kernels, zero
 * biases) from a stream that depends only on `seed` and the tensor's position. */
void cn_network_initialize(struct cn_network *network, uint64_t seed);

/* A deep copy. Caller frees with cn_network_free. */
enum cn_status cn_network_copy(const struct cn_network *network, struct cn_network **ret_copy,
                               struct cn_error *error);

/* Accepts NULL and half-built networks. */
void cn_network_free(struct cn_network *network);

/* The number of trainable floats, which Keras calls "Trainable params". */
size_t cn_network_trainable_count(const struct cn_network *network);

/* The meaning of an output's numbers. Only the first three are probabilities. */
enum cn_output_kind {
    CN_OUTPUT_SOFTMAX = 0, /* one probability per class, with the sum 1 */
    CN_OUTPUT_SIGMOID,     /* one probability: of the second of two classes */
    CN_OUTPUT_SIGMOIDS,    /* an independent probability per label */
    CN_OUTPUT_LOGITS, /* a vector of real numbers: the largest one is the likeliest class, unless
                         the network answers something else than classes */
    CN_OUTPUT_NUMBER, /* one number: a regression */
    CN_OUTPUT_MAP     /* an array of rank 2 or more, such as a segmentation */
};
extern const char *const cn_output_kind_names[]; /* "softmax", "sigmoid", ..., NULL */

/* The kind of output `output`, derived from the last layer that computes anything. */
enum cn_output_kind cn_network_output_kind(const struct cn_network *network, size_t output);

/* ---- Losses ---- */

/* Keras's losses with Keras's defaults: the rows of THE table in loss.c. `t` is the target, `p` the
 * output. */
enum cn_loss {
    CN_LOSS_MEAN_SQUARED_ERROR = 0,         /* mean over outputs, then over the batch (Keras) */
    CN_LOSS_CATEGORICAL_CROSSENTROPY,       /* -sum(t log p); fused with a final softmax */
    CN_LOSS_BINARY_CROSSENTROPY,            /* each output independently; fused with a sigmoid */
    CN_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY, /* alpha 0.25, gamma 2 (Lin et al. 2017) */
    CN_LOSS_BINARY_FOCAL_CROSSENTROPY,      /* gamma 2 */
    CN_LOSS_MEAN_ABSOLUTE_ERROR,
    CN_LOSS_HUBER, /* delta 1 (Huber 1964) */
    CN_LOSS_LOG_COSH,
    CN_LOSS_HINGE, /* targets -1 and 1 */
    CN_LOSS_SQUARED_HINGE,
    CN_LOSS_KL_DIVERGENCE,
    CN_LOSS_POISSON,
};
extern const char *const cn_loss_names[];       /* "mean_squared_error", ..., NULL */
extern const char *const cn_loss_short_names[]; /* "mse", ... by the same index; "" for none */

/* Loss of one sample: `outputs` [class_count] for class `label`. Probabilities are clipped to
 * [1e-7, 1 - 1e-7] before the logarithm, as Keras does. label_smoothing is Keras's: target = onehot
 * * (1 - s) + s / class_count; for binary losses onehot * (1 - s) + s / 2. */
double cn_loss_value(enum cn_loss loss, const float *outputs, size_t class_count, unsigned label,
                     float label_smoothing);

/* Checks that a network can be trained with this loss. *ret_missing is the activation to add to its
 * outputs if they are logits (Keras's from_logits); CN_ACTIVATION_LINEAR: none. CN_INVALID says
 * what the loss needs and what the network gives. */
enum cn_status cn_loss_check(enum cn_loss loss, const struct cn_network *network,
                             enum cn_activation *ret_missing, struct cn_error *error);

/* ---- Training: forward and backward over a mini-batch ---- */

/* The number of parts of a mini-batch, whose gradients are added in a fixed order for any number of
 * threads and ranks. The bits of a training depend on this number. */
enum { CN_GRADIENT_SHARDS = CN_RANKS_MAX };

/* Activations, their gradients, dropout masks and gradients per shard for mini-batches of at most
 * `max_batch_size`. For one calling thread at a time; uses OpenMP inside. */
struct cn_gradient_workspace;

/* Caller frees with cn_gradient_workspace_free. `threads` >= 1 is the number of OpenMP threads. */
enum cn_status cn_gradient_workspace_create(const struct cn_network *network, size_t max_batch_size,
                                            int threads,
                                            struct cn_gradient_workspace **ret_workspace,
                                            struct cn_error *error);

/* The number of bytes of such a workspace for one process; nothing is allocated. */
enum cn_status cn_gradient_workspace_bytes(const struct cn_network *network, size_t max_batch_size,
                                           int threads, size_t *ret_bytes, struct cn_error *error);
void cn_gradient_workspace_free(struct cn_gradient_workspace *workspace);

/* From now on the gradients are computed together with other ranks (borrowed; NULL: alone), which
 * must make the same calls. Each rank computes its own samples only; all get the same bits as one
 * alone. CN_INVALID: more than CN_GRADIENT_SHARDS ranks; CN_MEMORY. */
enum cn_status cn_gradient_workspace_share(struct cn_gradient_workspace *workspace,
                                           const struct cn_network *network,
                                           const struct cn_ranks *ranks, struct cn_error *error);

/* The samples [*ret_first, *ret_end) of a mini-batch of `count` that this rank computes: it reads
 * only their images, labels, targets and weights. */
void cn_gradient_workspace_samples(const struct cn_gradient_workspace *workspace, size_t count,
                                   size_t *ret_first, size_t *ret_end);

/* The label of a sample of no class: its target is equal for all outputs, and it counts as correct
 * while no output is above 1/2. */
enum { CN_LABEL_NONE = UINT16_MAX };

/* One mini-batch. images: [count, input_shape]; labels: [count], each below the output size or
 * CN_LABEL_NONE. more_inputs: the arrays of the network's inputs from the second on. (seed, step)
 * select the dropout masks; the same pair gives the same masks. targets: [count, output size], each
 * row with the sum 1, which replace the labels' targets; may be NULL. weights: [count], factors of
 * each sample's loss and gradient; NULL: 1. */
struct cn_minibatch {
    size_t count;
    const float *images;
    const uint16_t *labels;
    uint64_t seed, step;
    const float *targets;
    const float *const *more_inputs;
    const float *weights;
    bool flag; /* shared between ranks: the result says whether any rank has set it */
};

struct cn_minibatch_result {
    double loss_sum; /* sum of the samples' losses */
    size_t correct;  /* number of samples whose largest output is their label */
    bool flag;
};

/* Forward in training mode (dropout on, batch statistics) and backward from the first output.
 * gradients: [parameter_count], overwritten with the gradient of the batch's mean loss, zero for
 * non-trainable tensors. Updates BatchNormalization's moving statistics in network->parameters.
 * Bit-identical for any `threads` of the workspace. Does not allocate. */
void cn_network_gradient(struct cn_network *network, struct cn_gradient_workspace *workspace,
                         const struct cn_minibatch *batch, enum cn_loss loss, float label_smoothing,
                         float *gradients, struct cn_minibatch_result *ret_result);

/* Compares cn_network_gradient with central differences of step `epsilon` at every `stride`-th
 * parameter. The forward masks stay those of (batch->seed, batch->step).
 * *ret_worst: largest |analytic - numeric| / max(|analytic|, |numeric|, floor), floor = 1e-2 times
 * the root mean square of the gradient. */
enum cn_status cn_network_check_gradient(struct cn_network *network,
                                         const struct cn_minibatch *batch, enum cn_loss loss,
                                         float label_smoothing, double epsilon, size_t stride,
                                         double *ret_worst, struct cn_error *error);

CN_DECLARATIONS_END

#endif
