/* layer_type.h: the functions of a layer type: one row of THE table in layer_table.c.
 *
 * A row has a part for shapes, one for training and one for inference; types that compute the same
 * way share a part. Training runs forward and backward over a range of samples. A layer whose
 * samples depend on each other collects what it needs of each range, per shard, and then prepares
 * from all shards. Inference runs `infer` on packed parameters.
 */
#ifndef CONVNET_LAYERS_LAYER_TYPE_H
#define CONVNET_LAYERS_LAYER_TYPE_H

#include <stdint.h>

#include "convnet/layer.h"
#include "convnet/quantization.h"
#include "kernels/conv2d.h"
#include "kernels/pooling.h"

/* The geometry of a layer that is a convolution with bias and activation. */
struct cn_affine {
    struct cn_conv2d shape; /* in_height and in_width include the padding */
    int pad_top, pad_left;
    int height, width; /* of the input without padding */
    enum cn_activation activation;
    bool use_bias;
};

/* One layer's part in one mini-batch. Arrays of samples begin at sample `first`. */
struct cn_pass {
    size_t first, count;
    const float *x;         /* [count, input_shape]: the first input */
    const float *const *xs; /* all inputs, [input_count] */
    float *y;               /* [count, output_shape]; read by backward */
    const float *dy;        /* [count, output_shape] */
    float *dx;              /* the gradient by the first input, overwritten; NULL: not asked for */
    float *const *dxs;      /* by each input; some may be NULL */
    float *parameters;      /* the layer's; only prepare_forward may write them */
    float *gradients;       /* the layer's, added to */
    const float *packed;    /* packed_size floats */
    float *state;           /* state_size floats, from prepare_* to forward and backward */
    double *partial;        /* partial_size of this shard, zero before the first collect_* */
    size_t shard_count;
    float *scratch;             /* scratch_size floats of this thread */
    uint64_t seed, step, layer; /* with a sample's index they select its random numbers */
    bool dy_is_dz;              /* the loss has been derived through the activation already */
    float scale;                /* of one sample's loss in the batch's, which dy carries */
    double *penalty;            /* sum over samples; forward may add to it */
};

/* A step's values in a quantized network. */
struct cn_step_bytes {
    struct cn_byte_range in[2], out; /* of the first two inputs; out.scale 0: it writes floats */
};

/* Rows of a picture from `first` to before `end`. */
struct cn_rows {
    int first, end;
};

/* Rows and columns of zeros around a picture. */
struct cn_border {
    int top, bottom, left, right;
};

/* A layer made ready for inference: what does not depend on the image is computed once. */
struct cn_step {
    struct cn_layer layer; /* its activation may have come from the layer after it */
    const struct cn_layer_inference *inference; /* the type's functions, for floats or for bytes */
    const float *packed;                        /* packed_size floats */
    struct cn_step_bytes bytes;                 /* of a step on bytes */
    struct cn_border border;   /* zeros around the input that the layer before it made */
    float ceiling;             /* of the clip behind its ReLU; 0: none */
    struct cn_affine affine;   /* of Conv2D and Dense */
    struct cn_pooling pooling; /* of the poolings */
    bool pooled;               /* the step takes the maxima of `pooling` itself */
    bool by_rows;              /* `infer_rows` computes some rows */
    bool has_end;              /* `infer_end` must follow `infer_part` */
};

/* Functions for layers whose samples depend on each other; none is NULL. The collect_* functions
 * get x, or x and dy, of a range of samples. The prepare_* functions run serially when all samples
 * have been collected: `partial` is then [shard_count, partial_size], gradients are the first
 * shard's, and the arrays of samples are not valid. */
struct cn_layer_batch {
    size_t (*state_size)(const struct cn_layer *layer);
    size_t (*partial_size)(const struct cn_layer *layer); /* doubles */
    void (*collect_forward)(const struct cn_layer *layer, const struct cn_pass *pass);
    void (*prepare_forward)(const struct cn_layer *layer, const struct cn_pass *pass);
    void (*collect_backward)(const struct cn_layer *layer, const struct cn_pass *pass);
    void (*prepare_backward)(const struct cn_layer *layer, const struct cn_pass *pass);
};

struct cn_layer_training {
    /* NULL: as the type's inference computes, on `packed`, or on the parameters where `pack` is
     * NULL. */
    void (*forward)(const struct cn_layer *layer, const struct cn_pass *pass);
    void (*backward)(const struct cn_layer *layer, const struct cn_pass *pass);
    /* Sizes in floats; NULL: 0. */
    size_t (*packed_size)(const struct cn_layer *layer);
    void (*pack)(const struct cn_layer *layer, const float *parameters, float *packed);
    size_t (*scratch_size)(const struct cn_layer *layer);
    const struct cn_layer_batch *batch; /* NULL: samples are independent. Not used when frozen. */
};

struct cn_layer_inference {
    /* Computes the step's geometry from its layer; NULL: the type has none. */
    void (*prepare)(struct cn_step *step);
    /* y[count, output] from inputs[i][count, input i]; each image by itself. y overlaps no input,
     * or is inputs[0] itself where `in_place` is set. */
    void (*infer)(const struct cn_step *step, const float *const *inputs, size_t count, float *y,
                  float *scratch);
    /* Computes part `part` of the `parts` which together do what `infer` does, with the same bits.
     * The parts run at the same time, each with scratch of its own. NULL: there is only `infer`. */
    void (*infer_part)(const struct cn_step *step, const float *const *inputs, size_t count,
                       float *y, float *scratch, size_t part, size_t parts);
    /* What remains when all `parts` are done, on one thread. Only for steps that `has_end`. */
    void (*infer_end)(const struct cn_step *step, size_t count, float *y, size_t parts);
    /* Computes some rows of one image's output, with the same bits. x has the input's rows from
     * `x_first` on, y begins with row out.first. Only of steps that are `by_rows`, whose one input
     * is a picture. */
    void (*infer_rows)(const struct cn_step *step, const float *x, int x_first, float *y,
                       struct cn_rows out, float *scratch);
    /* The rows of the input under these rows of the output; some may be outside the picture. */
    struct cn_rows (*rows_under)(const struct cn_step *step, struct cn_rows out);
    /* Sizes in floats; NULL: 0. */
    size_t (*packed_size)(const struct cn_layer *layer);
    void (*pack)(const struct cn_layer *layer, const float *parameters, float *packed);
    size_t (*scratch_size)(const struct cn_step *step);
    bool in_place;
    bool takes_border, takes_ceiling; /* `prepare` uses the step's border, or its ceiling */
    /* The name of the kernel that computes the step, for `convnet info --plan`; NULL: the class
     * name says enough. */
    const char *(*kernel)(const struct cn_step *step);

    /* Changes packed parameters so that output channel c is multiplied by scale[c] and then
     * increased by shift[c]; NULL: nothing can be folded into this type. */
    void (*fold)(const struct cn_layer *layer, float *packed, const float *scale,
                 const float *shift);
    /* Writes the scale and the shift per channel that the layer is in inference. Returns false, and
     * writes nothing, if this layer is not that; NULL: no layer of this type is. */
    bool (*scale_shift)(const struct cn_layer *layer, const float *parameters, float *scale,
                        float *shift);
    /* The border of zeros that the layer puts around a picture; and the ceiling of the ReLU that
     * the layer is, or 0. NULL: no layer of this type is such a one. */
    struct cn_border (*border)(const struct cn_layer *layer);
    float (*ceiling)(const struct cn_layer *layer);
    /* The windows whose maxima the layer computes; NULL: it computes none. */
    struct cn_pooling (*maxima)(const struct cn_layer *layer);
    /* Makes the step take these maxima of its outputs; false if it cannot. NULL: it never can. */
    bool (*absorb_maxima)(struct cn_step *step, const struct cn_pooling *pooling);

    /* For quantized networks, in a table for floats: true if the layer changes nothing in a value
     * whose numbers are those of the bytes of `range`. NULL: it may change something. */
    bool (*passes_bytes)(const struct cn_layer *layer, struct cn_byte_range range);
    /* The table of the layer on bytes, whose functions get bytes in place of floats; NULL: none. */
    const struct cn_layer_inference *bytes;
    /* In a table for bytes: true if the layer can compute an output of range `out` from inputs of
     * these ranges. All scales are above 0, except that out.scale 0 asks for floats. */
    bool (*takes)(const struct cn_layer *layer, const struct cn_byte_range *in,
                  struct cn_byte_range out);
    bool one_range; /* its inputs and its output must have the same range */
    /* `pack` with the kernel's scales; NULL: the layer has no kernel. */
    void (*pack_bytes)(const struct cn_step *step, const float *parameters, const float *scales,
                       float *packed);
};

struct cn_layer_type {
    const char *class_name;
    const char *onnx; /* the operators that it implements, separated by spaces; NULL: none */

    size_t config_size;
    const void *defaults; /* config_size bytes */
    const struct cn_field *fields;
    size_t field_count;
    size_t late_fields; /* the number of fields, at the end, that are newer than some model files:
                           they are written only where they do not have their default */

    size_t min_inputs, max_inputs; /* both 0: one input */
    /* Shape inference: reads config and inputs, writes output_shape and the tensors. */
    enum cn_status (*build)(struct cn_layer *layer, struct cn_error *error);
    unsigned long long (*macs)(const struct cn_layer *layer); /* NULL: none */
    /* Conv2D and Dense: the geometry that affine.c works on. */
    struct cn_affine (*affine)(const struct cn_layer *layer);
    /* The activation in the configuration, NULL if the type has none. */
    enum cn_activation *(*activation)(struct cn_layer *layer);
    bool activation_only; /* the layer is its activation and nothing else */

    const struct cn_layer_training *training;   /* NULL: a network with this type is not trained */
    const struct cn_layer_inference *inference; /* NULL: inference passes the first input on, in the
                                                   output's shape */
};

/* A type's configuration: its defaults, and the table of its keys. */
#define CN_LAYER_KEYS(default_values, table)                                                       \
    .config_size = sizeof(default_values), .defaults = &(default_values), .fields = (table),       \
    .field_count = sizeof(table) / sizeof *(table)

extern const struct cn_layer_type cn_conv2d_type, cn_conv1d_type, cn_depthwise_conv2d_type,
    cn_depthwise_conv1d_type, cn_separable_conv2d_type, cn_separable_conv1d_type,
    cn_conv2d_transpose_type, cn_conv1d_transpose_type, cn_max_pooling2d_type,
    cn_max_pooling1d_type, cn_average_pooling2d_type, cn_average_pooling1d_type,
    cn_global_max_pooling2d_type, cn_global_max_pooling1d_type, cn_global_average_pooling2d_type,
    cn_global_average_pooling1d_type, cn_flatten_type, cn_dense_type, cn_dropout_type,
    cn_activation_type, cn_batch_normalization_type, cn_add_type, cn_subtract_type,
    cn_multiply_type, cn_average_type, cn_maximum_type, cn_minimum_type, cn_concatenate_type,
    cn_reshape_type, cn_permute_type, cn_repeat_vector_type, cn_zero_padding2d_type,
    cn_zero_padding1d_type, cn_cropping2d_type, cn_cropping1d_type, cn_up_sampling2d_type,
    cn_up_sampling1d_type, cn_resizing_type, cn_layer_normalization_type,
    cn_group_normalization_type, cn_unit_normalization_type, cn_local_response_normalization_type,
    cn_rescaling_type, cn_normalization_type, cn_prelu_type, cn_spatial_dropout1d_type,
    cn_spatial_dropout2d_type, cn_gaussian_noise_type, cn_gaussian_dropout_type,
    cn_alpha_dropout_type, cn_activity_regularization_type, cn_random_flip_type,
    cn_random_rotation_type, cn_random_zoom_type, cn_random_translation_type,
    cn_random_contrast_type, cn_random_brightness_type;

/* The loss that an ActivityRegularization adds for these values. */
double cn_activity_regularization_of(const struct cn_layer *layer, const float *values,
                                     size_t count);

/* Types for operations of other programs' graphs that Keras does not have. */
extern const struct cn_layer_type cn_binary_type, cn_constant_type, cn_matmul_type, cn_pad_type,
    cn_reduce_type, cn_resize_type, cn_slice_type, cn_unary_type, cn_where_type;

/* True if the layer's outputs are a softmax's. */
bool cn_layer_gives_softmax(const struct cn_layer *layer);

/* True if training must see the whole batch before it can run the layer. */
static inline bool cn_layer_stops(const struct cn_layer *layer) {
    return layer->type->training != NULL && layer->type->training->batch != NULL && !layer->frozen;
}

/* `layer` ready to run on `packed`, both borrowed. */
struct cn_step cn_step_of(const struct cn_layer *layer, const float *packed);

/* The same on bytes. */
struct cn_step cn_step_of_bytes(const struct cn_layer *layer, const float *packed,
                                struct cn_step_bytes bytes);

/* The layer's part of forward in training. */
void cn_layer_forward(const struct cn_layer *layer, const struct cn_pass *pass);

/* `pack` of a type whose inference reads the parameters as they are. */
void cn_layer_pack_unchanged(const struct cn_layer *layer, const float *parameters, float *packed);

/* True if the layer has a kernel of its own that can be quantized. */
bool cn_layer_has_scales(const struct cn_layer *layer);

/* Steps of a plan that convert between floats and bytes; they have no layer in the network. */
extern const struct cn_layer_type cn_quantize_type, cn_dequantize_type;

/* CN_INVALID unless the input has this rank; the message names the layer and its input. */
enum cn_status cn_layer_need_rank(const struct cn_layer *layer, int rank, const char *advice,
                                  struct cn_error *error);

#endif
