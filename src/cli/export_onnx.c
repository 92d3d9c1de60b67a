/* export_onnx.c: a network as an ONNX file. Values lie as here, channels last; each convolution and
 * pooling stands between two Transposes, which runtimes take away. No state.
 */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/export.h"
#include "convnet/layer.h"

enum { OPSET = 17, IR_VERSION = 8, NAME = CN_TENSOR_FORM_NAME, RANK = CN_TENSOR_FORM_RANK };
enum { FLOAT = 1, INT64 = 7 };

/* ---- Protocol buffers, as far as they are written ---- */

static void put_varint(struct cn_text *text, uint64_t value) {
    do {
        const uint8_t byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        cn_text_add_bytes(text, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_int(struct cn_text *text, unsigned field, int64_t value) {
    put_varint(text, field << 3);
    put_varint(text, (uint64_t)value);
}

static void put_bytes(struct cn_text *text, unsigned field, const void *bytes, size_t length) {
    put_varint(text, field << 3 | 2);
    put_varint(text, length);
    cn_text_add_bytes(text, bytes, length);
}

static void put_string(struct cn_text *text, unsigned field, const char *string) {
    put_bytes(text, field, string, strlen(string));
}

/* Appends a message and empties it. */
static void put_message(struct cn_text *text, unsigned field, struct cn_text *message) {
    put_bytes(text, field, message->bytes, message->length);
    text->failed |= message->failed;
    free(message->bytes);
    *message = (struct cn_text){0};
}

/* ---- Attributes of the next node ---- */

static void attribute_end(struct cn_text *attributes, struct cn_text *one, int type) {
    put_int(one, 20, type);
    put_message(attributes, 5, one);
}

static void add_int(struct cn_text *attributes, const char *name, int64_t value) {
    struct cn_text one = {0};
    put_string(&one, 1, name);
    put_int(&one, 3, value);
    attribute_end(attributes, &one, 2);
}

static void add_float(struct cn_text *attributes, const char *name, float value) {
    struct cn_text one = {0};
    put_string(&one, 1, name);
    put_varint(&one, 2 << 3 | 5);
    cn_text_add_bytes(&one, &value, sizeof value);
    attribute_end(attributes, &one, 1);
}

static void add_string(struct cn_text *attributes, const char *name, const char *value) {
    struct cn_text one = {0};
    put_string(&one, 1, name);
    put_string(&one, 4, value);
    attribute_end(attributes, &one, 3);
}

static void add_ints(struct cn_text *attributes, const char *name, size_t count,
                     const int64_t *values) {
    struct cn_text one = {0};
    put_string(&one, 1, name);
    for (size_t i = 0; i < count; i++)
        put_int(&one, 8, values[i]);
    attribute_end(attributes, &one, 7);
}

/* ---- The graph ---- */

/* The name of a value in the file. */
struct name {
    char text[NAME];
};

struct graph {
    const struct cn_model *model;
    const struct cn_network *network;
    struct cn_text nodes, constants;
    struct cn_text attributes; /* of the next node */
    struct name *values;       /* [inputs + layers] */
    size_t fresh;              /* names given so far */
    const struct cn_layer *layer;
    struct cn_error *error;
};

static struct name named(const char *text) {
    struct name name;
    (void)snprintf(name.text, sizeof name.text, "%s", text);
    return name;
}

static struct name fresh_name(struct graph *g) {
    struct name name;
    (void)snprintf(name.text, sizeof name.text, "%.*s/%zu", CN_LAYER_NAME,
                   g->layer != NULL ? g->layer->name : "tensor", ++g->fresh);
    return name;
}

static enum cn_status refuse_layer(const struct graph *g, const char *why) {
    return cn_fail(g->error, CN_UNSUPPORTED, "layer \"%s\" is a %s, which %s in ONNX",
                   g->layer->name, cn_layer_type_name(g->layer->type), why);
}

static struct name put_node_many(struct graph *g, const char *type, size_t count,
                                 const struct name *inputs) {
    struct cn_text node = {0};
    const struct name output = fresh_name(g);
    for (size_t i = 0; i < count; i++)
        put_string(&node, 1, inputs[i].text);
    put_string(&node, 2, output.text);
    put_string(&node, 3, output.text);
    put_string(&node, 4, type);
    cn_text_add_bytes(&node, g->attributes.bytes, g->attributes.length);
    node.failed |= g->attributes.failed;
    g->attributes.length = 0;
    put_message(&g->nodes, 1, &node);
    return output;
}

/* A node of one to three inputs ("" is none); its attributes are those added since the last. */
static struct name put_node(struct graph *g, const char *type, struct name a, struct name b,
                            struct name c) {
    const struct name inputs[] = {a, b, c};
    return put_node_many(g, type, c.text[0] != '\0' ? 3 : b.text[0] != '\0' ? 2 : 1, inputs);
}

static struct name put_unary(struct graph *g, const char *type, struct name a) {
    return put_node(g, type, a, named(""), named(""));
}

static struct name put_binary(struct graph *g, const char *type, struct name a, struct name b) {
    return put_node(g, type, a, b, named(""));
}

static struct name put_constant(struct graph *g, int type, size_t rank, const int64_t *dims,
                                const void *data, size_t bytes) {
    struct cn_text tensor = {0};
    const struct name name = fresh_name(g);
    for (size_t i = 0; i < rank; i++)
        put_int(&tensor, 1, dims[i]);
    put_int(&tensor, 2, type);
    put_string(&tensor, 8, name.text);
    put_bytes(&tensor, 9, data, bytes);
    put_message(&g->constants, 5, &tensor);
    return name;
}

static struct name put_floats(struct graph *g, size_t rank, const int64_t *dims,
                              const float *values) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return put_constant(g, FLOAT, rank, dims, values, count * sizeof *values);
}

static struct name put_vector(struct graph *g, const float *values, size_t count) {
    return put_floats(g, 1, (const int64_t[]){(int64_t)count}, values);
}

static struct name put_number(struct graph *g, float value) {
    return put_constant(g, FLOAT, 0, NULL, &value, sizeof value);
}

static struct name put_ints(struct graph *g, size_t count, const int64_t *values) {
    return put_constant(g, INT64, 1, (const int64_t[]){(int64_t)count}, values,
                        count * sizeof *values);
}

static struct name put_transpose(struct graph *g, struct name value, size_t rank,
                                 const int64_t *order) {
    add_ints(&g->attributes, "perm", rank, order);
    return put_unary(g, "Transpose", value);
}

/* To [any number of images, dims]. */
static struct name put_reshape(struct graph *g, struct name value, int rank, const int *dims) {
    int64_t shape[RANK + 1] = {-1};
    for (int i = 0; i < rank; i++)
        shape[i + 1] = dims[i];
    return put_binary(g, "Reshape", value, put_ints(g, (size_t)rank + 1, shape));
}

static struct name put_shape(struct graph *g, struct name value, const struct cn_shape *shape) {
    return put_reshape(g, value, shape->rank, shape->dims);
}

static const int64_t channels_first[] = {0, 3, 1, 2}, channels_last[] = {0, 2, 3, 1};

/* ---- What layers say ---- */

static int field_int(const struct graph *g, const char *key, int otherwise) {
    const int *value = cli_export_field(g->layer, key);
    return value != NULL ? *value : otherwise;
}

static float field_float(const struct graph *g, const char *key) {
    const float *value = cli_export_field(g->layer, key);
    return value != NULL ? *value : 0;
}

/* Rows and columns; 1 and 1 without the key. */
static void field_pair(const struct graph *g, const char *key, int pair[2]) {
    const int *value = cli_export_field(g->layer, key);
    pair[0] = value != NULL ? value[0] : 1;
    pair[1] = value != NULL ? value[1] : 1;
}

static const float *weights(const struct graph *g, const char *tensor) {
    return cli_export_weights(g->network, g->layer, tensor);
}

static bool is(const struct graph *g, const char *class_name) {
    return strcmp(cn_layer_type_name(g->layer->type), class_name) == 0;
}

/* ---- Activations ---- */

static struct name put_activation(struct graph *g, struct name value) {
    static const char *const types[] = {NULL, "Relu", "Sigmoid", "Tanh", "Softmax"};
    const int activation = field_int(g, "activation", CN_ACTIVATION_LINEAR);
    if (activation == CN_ACTIVATION_LINEAR)
        return value;
    if (activation == CN_ACTIVATION_SOFTMAX) {
        if (cli_export_calibrated(g->network) == g->layer)
            value = put_binary(g, "Div", value, put_number(g, g->network->temperature));
        add_int(&g->attributes, "axis", -1);
    }
    return put_unary(g, types[activation], value);
}

/* ---- Convolutions and poolings ---- */

/* Along one axis. */
struct window {
    int size, stride, dilation, in, out, before, after;
};

/* Keras's "valid", "same" and, over one axis, "causal". */
static void window_pad(struct window *w, int padding) {
    const int reach = (w->size - 1) * w->dilation + 1;
    const int more = (w->out - 1) * w->stride + reach - w->in;
    const int total = padding == CN_PADDING_VALID || more < 0 ? 0 : more;
    w->before = padding == CN_PADDING_SAME    ? total / 2
                : padding == CN_PADDING_VALID ? 0
                                              : reach - 1;
    w->after = padding == CN_PADDING_SAME ? total - total / 2 : 0;
}

/* Height, width and channels of a shape of a layer over one or two axes. */
static void image_dims(const struct cn_shape *shape, int axes, int dims[3]) {
    const bool lacks_channels = shape->rank == axes;
    dims[0] = axes == 2 ? shape->dims[0] : 1;
    dims[1] = shape->dims[axes - 1];
    dims[2] = lacks_channels ? 1 : shape->dims[axes];
}

static int axes_of(const struct graph *g) {
    return strstr(cn_layer_type_name(g->layer->type), "1D") != NULL ? 1 : 2;
}

static struct name put_picture(struct graph *g, struct name value, const int dims[3]) {
    if (g->layer->input_shape.rank != 3)
        value = put_reshape(g, value, 3, dims);
    return put_transpose(g, value, 4, channels_first);
}

static struct name put_picture_back(struct graph *g, struct name value) {
    value = put_transpose(g, value, 4, channels_last);
    return g->layer->output_shape.rank == 3 ? value : put_shape(g, value, &g->layer->output_shape);
}

static void windows_of(const struct graph *g, const char *size_key, const int in[3],
                       struct window windows[2]) {
    int size[2], strides[2], dilation[2], out[3];
    const int *given = cli_export_field(g->layer, "strides");
    field_pair(g, size_key, size);
    field_pair(g, "strides", strides);
    field_pair(g, "dilation_rate", dilation);
    /* Poolings: without strides they are the window's. */
    const bool pools = strcmp(size_key, "pool_size") == 0;
    image_dims(&g->layer->output_shape, axes_of(g), out);
    for (int i = 0; i < 2; i++) {
        const bool own = pools && (given == NULL || strides[i] == 0);
        windows[i] =
            (struct window){size[i], own ? size[i] : strides[i], dilation[i], in[i], out[i], 0, 0};
        window_pad(&windows[i],
                   i == 0 && axes_of(g) == 1 ? CN_PADDING_VALID : field_int(g, "padding", 0));
    }
}

static void add_windows(struct graph *g, const struct window w[2], bool dilated) {
    add_ints(&g->attributes, "kernel_shape", 2, (const int64_t[]){w[0].size, w[1].size});
    add_ints(&g->attributes, "strides", 2, (const int64_t[]){w[0].stride, w[1].stride});
    add_ints(&g->attributes, "pads", 4,
             (const int64_t[]){w[0].before, w[1].before, w[0].after, w[1].after});
    if (dilated)
        add_ints(&g->attributes, "dilations", 2, (const int64_t[]){w[0].dilation, w[1].dilation});
}

/* [rows, columns, a, b] as [b, a, rows, columns], or with `kept` as [a, b, rows, columns]. */
static struct name put_kernel(struct graph *g, const float *from, const int64_t dims[4], bool kept,
                              const int64_t shape[4]) {
    const size_t places = (size_t)(dims[0] * dims[1]), a = (size_t)dims[2], b = (size_t)dims[3];
    float *to = cn_floats_allocate(places * a * b);
    struct name name = named("");
    if (to == NULL) {
        g->nodes.failed = true;
        return name;
    }
    for (size_t p = 0; p < places; p++)
        for (size_t i = 0; i < a; i++)
            for (size_t k = 0; k < b; k++)
                to[(kept ? i * b + k : k * a + i) * places + p] = from[(p * a + i) * b + k];
    name = put_floats(g, 4, shape, to);
    free(to);
    return name;
}

static struct name put_convolution(struct graph *g, struct name value, const struct window w[2],
                                   struct name kernel, struct name bias, int groups) {
    add_windows(g, w, true);
    add_int(&g->attributes, "group", groups);
    return put_node(g, "Conv", value, kernel, bias);
}

static struct name bias_of(struct graph *g, int channels) {
    const float *bias = weights(g, "bias");
    return bias != NULL ? put_vector(g, bias, (size_t)channels) : named("");
}

/* A kernel of [rows, columns, channels, multiplier], each channel by itself. */
static struct name put_depthwise_kernel(struct graph *g, const char *tensor,
                                        const struct window w[2], int channels, int multiplier) {
    const int64_t dims[] = {w[0].size, w[1].size, channels, multiplier};
    const int64_t shape[] = {(int64_t)channels * multiplier, 1, w[0].size, w[1].size};
    return put_kernel(g, weights(g, tensor), dims, true, shape);
}

static enum cn_status convolution(struct graph *g, struct name value, struct name *ret) {
    struct window w[2];
    int in[3], out[3];
    image_dims(&g->layer->input_shape, axes_of(g), in);
    image_dims(&g->layer->output_shape, axes_of(g), out);
    windows_of(g, "kernel_size", in, w);
    value = put_picture(g, value, in);
    if (strncmp(cn_layer_type_name(g->layer->type), "Separable", 9) == 0) {
        const int multiplier = field_int(g, "depth_multiplier", 1), middle = in[2] * multiplier;
        const struct window one[2] = {{1, 1, 1, 0, 0, 0, 0}, {1, 1, 1, 0, 0, 0, 0}};
        value = put_convolution(g, value, w,
                                put_depthwise_kernel(g, "depthwise_kernel", w, in[2], multiplier),
                                named(""), in[2]);
        const struct name kernel =
            put_kernel(g, weights(g, "pointwise_kernel"), (const int64_t[]){1, 1, middle, out[2]},
                       false, (const int64_t[]){out[2], middle, 1, 1});
        value = put_convolution(g, value, one, kernel, bias_of(g, out[2]), 1);
    } else if (strncmp(cn_layer_type_name(g->layer->type), "Depthwise", 9) == 0) {
        const char *tensor = weights(g, "depthwise_kernel") != NULL ? "depthwise_kernel" : "kernel";
        value =
            put_convolution(g, value, w, put_depthwise_kernel(g, tensor, w, in[2], out[2] / in[2]),
                            bias_of(g, out[2]), in[2]);
    } else {
        const int groups = field_int(g, "groups", 1), part = in[2] / groups;
        const struct name kernel = put_kernel(
            g, weights(g, "kernel"), (const int64_t[]){w[0].size, w[1].size, part, out[2]}, false,
            (const int64_t[]){out[2], part, w[0].size, w[1].size});
        value = put_convolution(g, value, w, kernel, bias_of(g, out[2]), groups);
    }
    *ret = put_activation(g, put_picture_back(g, value));
    return CN_OK;
}

static enum cn_status transposed_convolution(struct graph *g, struct name value, struct name *ret) {
    struct window w[2];
    int in[3], out[3], size[2], strides[2], dilation[2];
    int64_t more[2];
    image_dims(&g->layer->input_shape, axes_of(g), in);
    image_dims(&g->layer->output_shape, axes_of(g), out);
    field_pair(g, "kernel_size", size);
    field_pair(g, "strides", strides);
    field_pair(g, "dilation_rate", dilation);
    for (int i = 0; i < 2; i++) {
        const int covered = (in[i] - 1) * strides[i] + (size[i] - 1) * dilation[i] + 1;
        const int cut = covered - out[i];
        const bool same = field_int(g, "padding", 0) == CN_PADDING_SAME && cut > 0;
        w[i] =
            (struct window){size[i], strides[i], dilation[i], in[i], out[i], same ? cut / 2 : 0, 0};
        w[i].after = cut - w[i].before > 0 ? cut - w[i].before : 0;
        more[i] = cut - w[i].before < 0 ? w[i].before - cut : 0;
    }
    value = put_picture(g, value, in);
    add_windows(g, w, true);
    add_ints(&g->attributes, "output_padding", 2, more);
    const struct name kernel =
        put_kernel(g, weights(g, "kernel"), (const int64_t[]){size[0], size[1], out[2], in[2]},
                   false, (const int64_t[]){in[2], out[2], size[0], size[1]});
    value = put_node(g, "ConvTranspose", value, kernel, bias_of(g, out[2]));
    *ret = put_activation(g, put_picture_back(g, value));
    return CN_OK;
}

static enum cn_status pooling(struct graph *g, struct name value, struct name *ret) {
    struct window w[2];
    int in[3];
    const bool maximum = strncmp(cn_layer_type_name(g->layer->type), "Max", 3) == 0;
    image_dims(&g->layer->input_shape, axes_of(g), in);
    windows_of(g, "pool_size", in, w);
    value = put_picture(g, value, in);
    add_windows(g, w, false);
    value = put_unary(g, maximum ? "MaxPool" : "AveragePool", value);
    *ret = put_picture_back(g, value);
    return CN_OK;
}

static enum cn_status global_pooling(struct graph *g, struct name value, struct name *ret) {
    const bool maximum = strncmp(cn_layer_type_name(g->layer->type), "GlobalMax", 9) == 0;
    const int axes = axes_of(g);
    if (g->layer->input_shape.rank == axes) { /* without channels */
        int dims[3];
        image_dims(&g->layer->input_shape, axes, dims);
        value = put_reshape(g, value, axes + 1, axes == 2 ? dims : dims + 1);
    }
    add_ints(&g->attributes, "axes", (size_t)axes, (const int64_t[]){1, 2});
    add_int(&g->attributes, "keepdims", 0);
    value = put_unary(g, maximum ? "ReduceMax" : "ReduceMean", value);
    *ret = put_shape(g, value, &g->layer->output_shape);
    return CN_OK;
}

static enum cn_status upsampling(struct graph *g, struct name value, struct name *ret) {
    int in[3], out[3];
    image_dims(&g->layer->input_shape, axes_of(g), in);
    image_dims(&g->layer->output_shape, axes_of(g), out);
    if (out[0] % in[0] != 0 || out[1] % in[1] != 0)
        return refuse_layer(g, "is written for whole factors only");
    const float scales[] = {1, 1, (float)(out[0] / in[0]), (float)(out[1] / in[1])};
    const bool linear = field_int(g, "interpolation", 0) != 0;
    value = put_picture(g, value, in);
    add_string(&g->attributes, "mode", linear ? "linear" : "nearest");
    add_string(&g->attributes, "coordinate_transformation_mode",
               linear ? "half_pixel" : "asymmetric");
    add_string(&g->attributes, "nearest_mode", "floor");
    value = put_node(g, "Resize", value, named(""), put_vector(g, scales, 4));
    *ret = put_picture_back(g, value);
    return CN_OK;
}

/* ---- Dense layers and normalisations ---- */

static enum cn_status dense(struct graph *g, struct name value, struct name *ret) {
    const int units = g->layer->output_shape.dims[g->layer->output_shape.rank - 1];
    const int inputs = g->layer->input_shape.dims[g->layer->input_shape.rank - 1];
    const int64_t dims[] = {inputs, units};
    value = put_binary(g, "MatMul", value, put_floats(g, 2, dims, weights(g, "kernel")));
    const struct name bias = bias_of(g, units);
    if (bias.text[0] != '\0')
        value = put_binary(g, "Add", value, bias);
    *ret = put_activation(g, value);
    return CN_OK;
}

/* x * scale + shift of each channel; lists of one number are for all. */
static struct name put_scale_shift(struct graph *g, struct name value, const float *scale,
                                   size_t scales, const float *shift, size_t shifts) {
    value = put_binary(g, "Mul", value, put_vector(g, scale, scales));
    return put_binary(g, "Add", value, put_vector(g, shift, shifts));
}

static enum cn_status per_channel(struct graph *g, struct name value, struct name *ret) {
    const size_t channels = (size_t)cn_shape_channels(&g->layer->input_shape);
    const bool batch = is(g, "BatchNormalization");
    const float *gamma = weights(g, "gamma"), *beta = weights(g, "beta");
    const float *mean = weights(g, batch ? "moving_mean" : "mean");
    const float *variance = weights(g, batch ? "moving_variance" : "variance");
    float *scale = cn_floats_allocate(2 * channels), *shift = scale + channels;
    if (scale == NULL)
        return cn_fail(g->error, CN_MEMORY, "no memory for %zu channels", channels);
    for (size_t c = 0; c < channels; c++) {
        const double least = batch ? (double)variance[c] + (double)field_float(g, "epsilon")
                                   : fmax((double)variance[c], 1e-14);
        const double by = (gamma != NULL ? (double)gamma[c] : 1) / sqrt(least);
        scale[c] = (float)by;
        shift[c] = (float)((beta != NULL ? (double)beta[c] : 0) - (double)mean[c] * by);
    }
    *ret = put_scale_shift(g, value, scale, channels, shift, channels);
    free(scale);
    return CN_OK;
}

static enum cn_status rescaling(struct graph *g, struct name value, struct name *ret) {
    const struct cn_floats *scale = cli_export_field(g->layer, "scale");
    const struct cn_floats *offset = cli_export_field(g->layer, "offset");
    *ret = put_scale_shift(g, value, scale->values, (size_t)scale->count, offset->values,
                           (size_t)offset->count);
    return CN_OK;
}

static enum cn_status prelu(struct graph *g, struct name value, struct name *ret) {
    const struct cn_tensor_spec *alpha = &g->layer->tensors[0];
    int64_t dims[CN_TENSOR_MAX_RANK];
    if (g->layer->tensor_count == 0)
        return refuse_layer(g, "is written with weights of its own only");
    for (int i = 0; i < alpha->rank; i++)
        dims[i] = alpha->dims[i];
    *ret = put_binary(g, "PRelu", value,
                      put_floats(g, (size_t)alpha->rank, dims, weights(g, "alpha")));
    return CN_OK;
}

/* ---- Functions of each number ---- */

static enum cn_status unary(struct graph *g, struct name x, struct name *ret) {
    /* Operators with two attributes at most, in the order alpha, beta. */
    static const struct {
        const char *function, *type, *alpha, *beta;
    } plain[] = {
        {"abs", "Abs", NULL, NULL},
        {"ceil", "Ceil", NULL, NULL},
        {"celu", "Celu", "alpha", NULL},
        {"cos", "Cos", NULL, NULL},
        {"elu", "Elu", "alpha", NULL},
        {"erf", "Erf", NULL, NULL},
        {"exp", "Exp", NULL, NULL},
        {"floor", "Floor", NULL, NULL},
        {"hard_sigmoid", "HardSigmoid", "alpha", "beta"},
        {"hard_swish", "HardSwish", NULL, NULL},
        {"leaky_relu", "LeakyRelu", "alpha", NULL},
        {"log", "Log", NULL, NULL},
        {"negative", "Neg", NULL, NULL},
        {"reciprocal", "Reciprocal", NULL, NULL},
        {"round", "Round", NULL, NULL},
        {"selu", "Selu", "alpha", "gamma"},
        {"sign", "Sign", NULL, NULL},
        {"sin", "Sin", NULL, NULL},
        {"softplus", "Softplus", NULL, NULL},
        {"softsign", "Softsign", NULL, NULL},
        {"sqrt", "Sqrt", NULL, NULL},
        {"thresholded_relu", "ThresholdedRelu", "alpha", NULL},
    };
    const struct cn_field *fields;
    size_t count;
    fields = cn_layer_type_fields(g->layer->type, &count);
    const char *function = fields[0].names[field_int(g, "function", 0)];
    const float alpha = field_float(g, "alpha"), beta = field_float(g, "beta");
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(plain[i].function, function) != 0)
            continue;
        if (plain[i].alpha != NULL)
            add_float(&g->attributes, plain[i].alpha, alpha);
        if (plain[i].beta != NULL)
            add_float(&g->attributes, plain[i].beta, beta);
        *ret = put_unary(g, plain[i].type, x);
        return CN_OK;
    }
    if (strcmp(function, "affine") == 0) {
        *ret = put_scale_shift(g, x, &alpha, 1, &beta, 1);
    } else if (strcmp(function, "clip") == 0) {
        *ret = put_node(g, "Clip", x, put_number(g, alpha), put_number(g, beta));
    } else if (strcmp(function, "power") == 0) {
        *ret = put_binary(g, "Pow", x, put_number(g, alpha));
    } else if (strcmp(function, "square") == 0) {
        *ret = put_binary(g, "Mul", x, x);
    } else if (strcmp(function, "mish") == 0) {
        *ret = put_binary(g, "Mul", x, put_unary(g, "Tanh", put_unary(g, "Softplus", x)));
    } else if (strcmp(function, "gelu") == 0) {
        const struct name scaled = put_binary(g, "Mul", x, put_number(g, 0.70710678118654752F));
        const struct name part =
            put_binary(g, "Add", put_unary(g, "Erf", scaled), put_number(g, 1));
        *ret = put_binary(g, "Mul", put_binary(g, "Mul", x, put_number(g, 0.5F)), part);
    } else {
        return refuse_layer(g, "has a function that is not written");
    }
    return CN_OK;
}

/* ---- Of several tensors ---- */

/* The layer's input i, with axes of 1 before its own where another input has more. */
static struct name operand(struct graph *g, size_t i, int rank) {
    const struct cn_input *input = &g->layer->inputs[i];
    int dims[RANK];
    if (input->shape.rank == rank)
        return g->values[input->value];
    for (int axis = 0; axis < rank; axis++) {
        const int own = axis - (rank - input->shape.rank);
        dims[axis] = own >= 0 ? input->shape.dims[own] : 1;
    }
    return put_reshape(g, g->values[input->value], rank, dims);
}

static enum cn_status merge(struct graph *g, const char *type, struct name *ret) {
    const int rank = g->layer->output_shape.rank;
    struct name value = operand(g, 0, rank);
    for (size_t i = 1; i < g->layer->input_count; i++)
        value = put_binary(g, type, value, operand(g, i, rank));
    if (is(g, "Average"))
        value = put_binary(g, "Div", value, put_number(g, (float)g->layer->input_count));
    *ret = value;
    return CN_OK;
}

static enum cn_status concatenation(struct graph *g, struct name *ret) {
    struct name inputs[64];
    if (g->layer->input_count > 64)
        return refuse_layer(g, "is written for 64 inputs at most");
    for (size_t i = 0; i < g->layer->input_count; i++)
        inputs[i] = g->values[g->layer->inputs[i].value];
    add_int(&g->attributes, "axis", field_int(g, "axis", -1));
    *ret = put_node_many(g, "Concat", g->layer->input_count, inputs);
    return CN_OK;
}

static enum cn_status binary(struct graph *g, struct name *ret) {
    static const char *const types[][2] = {
        {"add", "Add"},   {"subtract", "Sub"}, {"multiply", "Mul"}, {"divide", "Div"},
        {"power", "Pow"}, {"maximum", "Max"},  {"minimum", "Min"},  {"prelu", "PRelu"}};
    size_t count;
    const struct cn_field *fields = cn_layer_type_fields(g->layer->type, &count);
    const char *function = fields[0].names[field_int(g, "function", 0)];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], function) == 0)
            return merge(g, types[i][1], ret);
    return refuse_layer(g, "has a function that is not written");
}

/* ---- Movements ---- */

static enum cn_status permutation(struct graph *g, struct name value, struct name *ret) {
    const struct cn_ints *dims = cli_export_field(g->layer, "dims");
    int64_t order[RANK] = {0};
    for (int i = 0; i < dims->count; i++)
        order[i + 1] = dims->values[i];
    *ret = put_transpose(g, value, (size_t)dims->count + 1, order);
    return CN_OK;
}

/* ZeroPadding and Cropping: from the shapes and what goes before. */
static enum cn_status borders(struct graph *g, struct name value, struct name *ret) {
    const bool pads = strncmp(cn_layer_type_name(g->layer->type), "Zero", 4) == 0;
    const int *sides = cli_export_field(g->layer, pads ? "padding" : "cropping");
    const int axes = axes_of(g), rank = g->layer->input_shape.rank;
    int64_t pad[2 * RANK] = {0}, starts[2], ends[2], which[2] = {1, 2};
    for (int i = 0; i < axes; i++) {
        const int *side = sides + 2 * (i + 2 - axes);
        pad[1 + i] = side[0];
        pad[rank + 2 + i] = side[1];
        starts[i] = side[0];
        ends[i] = g->layer->input_shape.dims[i] - side[1];
    }
    if (pads) {
        *ret = put_binary(g, "Pad", value, put_ints(g, 2 * ((size_t)rank + 1), pad));
    } else {
        const struct name inputs[] = {value, put_ints(g, (size_t)axes, starts),
                                      put_ints(g, (size_t)axes, ends),
                                      put_ints(g, (size_t)axes, which)};
        *ret = put_node_many(g, "Slice", 4, inputs);
    }
    if (g->layer->output_shape.rank != rank)
        *ret = put_shape(g, *ret, &g->layer->output_shape);
    return CN_OK;
}

static enum cn_status padding(struct graph *g, struct name value, struct name *ret) {
    static const char *const modes[] = {"constant", "reflect", "edge"};
    const struct cn_ints *before = cli_export_field(g->layer, "before");
    const struct cn_ints *after = cli_export_field(g->layer, "after");
    int64_t pad[2 * (RANK + 1)] = {0};
    for (int i = 0; i < before->count; i++) {
        pad[1 + i] = before->values[i];
        pad[before->count + 2 + i] = after->values[i];
    }
    add_string(&g->attributes, "mode", modes[field_int(g, "mode", 0)]);
    *ret = put_node(g, "Pad", value, put_ints(g, 2 * ((size_t)before->count + 1), pad),
                    put_number(g, field_float(g, "value")));
    return CN_OK;
}

static enum cn_status slice(struct graph *g, struct name value, struct name *ret) {
    const struct cn_ints *begin = cli_export_field(g->layer, "begin");
    const struct cn_ints *size = cli_export_field(g->layer, "size");
    const struct cn_ints *strides = cli_export_field(g->layer, "strides");
    int64_t starts[RANK], ends[RANK], axes[RANK], steps[RANK];
    const size_t rank = (size_t)begin->count;
    for (size_t i = 0; i < rank; i++) {
        axes[i] = (int64_t)i + 1;
        starts[i] = begin->values[i];
        steps[i] = strides->values[i];
        ends[i] = starts[i] + steps[i] * size->values[i];
        if (steps[i] < 0 && ends[i] < 0)
            ends[i] = INT32_MIN; /* before the first one; below 0 would count from the end */
    }
    const struct name inputs[] = {value, put_ints(g, rank, starts), put_ints(g, rank, ends),
                                  put_ints(g, rank, axes), put_ints(g, rank, steps)};
    *ret = put_node_many(g, "Slice", 5, inputs);
    return CN_OK;
}

static enum cn_status reduction(struct graph *g, struct name value, struct name *ret) {
    static const char *const types[][2] = {{"mean", "ReduceMean"},
                                           {"max", "ReduceMax"},
                                           {"min", "ReduceMin"},
                                           {"product", "ReduceProd"},
                                           {"l1", "ReduceL1"},
                                           {"l2", "ReduceL2"},
                                           {"sum_square", "ReduceSumSquare"},
                                           {"log_sum", "ReduceLogSum"},
                                           {"log_sum_exp", "ReduceLogSumExp"}};
    size_t count;
    const struct cn_field *fields = cn_layer_type_fields(g->layer->type, &count);
    const char *function = fields[0].names[field_int(g, "function", 0)];
    const int64_t axis = field_int(g, "axis", -1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i][0], function) != 0)
            continue;
        add_ints(&g->attributes, "axes", 1, &axis);
        add_int(&g->attributes, "keepdims", 0);
        *ret = put_unary(g, types[i][1], value);
        return CN_OK;
    }
    if (strcmp(function, "sum") != 0)
        return refuse_layer(g, "has a function that is not written");
    add_int(&g->attributes, "keepdims", 0);
    *ret = put_binary(g, "ReduceSum", value, put_ints(g, 1, &axis));
    return CN_OK;
}

/* ---- THE list of layers ---- */

typedef enum cn_status layer_writer(struct graph *g, struct name value, struct name *ret);

static enum cn_status same_numbers(struct graph *g, struct name value, struct name *ret) {
    *ret = cn_shape_equal(&g->layer->input_shape, &g->layer->output_shape)
               ? value
               : put_shape(g, value, &g->layer->output_shape);
    return CN_OK;
}

static enum cn_status activation(struct graph *g, struct name value, struct name *ret) {
    *ret = put_activation(g, value);
    return CN_OK;
}

static const struct {
    const char *class_name;
    layer_writer *write;
} writers[] = {
    {"Conv2D", convolution},
    {"Conv1D", convolution},
    {"DepthwiseConv2D", convolution},
    {"DepthwiseConv1D", convolution},
    {"SeparableConv2D", convolution},
    {"SeparableConv1D", convolution},
    {"Conv2DTranspose", transposed_convolution},
    {"Conv1DTranspose", transposed_convolution},
    {"MaxPooling2D", pooling},
    {"MaxPooling1D", pooling},
    {"AveragePooling2D", pooling},
    {"AveragePooling1D", pooling},
    {"GlobalMaxPooling2D", global_pooling},
    {"GlobalMaxPooling1D", global_pooling},
    {"GlobalAveragePooling2D", global_pooling},
    {"GlobalAveragePooling1D", global_pooling},
    {"UpSampling2D", upsampling},
    {"UpSampling1D", upsampling},
    {"Resizing", upsampling},
    {"Dense", dense},
    {"BatchNormalization", per_channel},
    {"Normalization", per_channel},
    {"Rescaling", rescaling},
    {"PReLU", prelu},
    {"Activation", activation},
    {"Unary", unary},
    {"Flatten", same_numbers},
    {"Reshape", same_numbers},
    {"Dropout", same_numbers},
    {"Permute", permutation},
    {"ZeroPadding2D", borders},
    {"ZeroPadding1D", borders},
    {"Cropping2D", borders},
    {"Cropping1D", borders},
    {"Pad", padding},
    {"Slice", slice},
    {"Reduce", reduction},
};

static const char *const merges[][2] = {{"Add", "Add"},      {"Subtract", "Sub"},
                                        {"Multiply", "Mul"}, {"Average", "Add"},
                                        {"Maximum", "Max"},  {"Minimum", "Min"}};

static enum cn_status write_layer(struct graph *g, size_t l) {
    struct name *ret = &g->values[g->network->input_count + l];
    g->layer = &g->network->layers[l];
    const struct name value =
        g->layer->input_count > 0 ? g->values[g->layer->inputs[0].value] : named("");
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        if (is(g, merges[i][0]))
            return merge(g, merges[i][1], ret);
    if (is(g, "Concatenate"))
        return concatenation(g, ret);
    if (is(g, "Binary"))
        return binary(g, ret);
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        if (is(g, writers[i].class_name))
            return writers[i].write(g, value, ret);
    return refuse_layer(g, "has no operator that is written");
}

/* ---- Inputs, outputs and the whole ---- */

/* The axes of form `index` on one side; their number. */
static int form_axes(const struct cn_model *model, const char *side, size_t index, int axes[RANK]) {
    json_t *root = json_loads(model->tensors != NULL ? model->tensors : "{}", 0, NULL);
    const json_t *list =
        json_object_get(json_array_get(json_object_get(root, side), index), "axes");
    const int count = (int)json_array_size(list);
    for (int i = 0; i < count && i < RANK; i++)
        axes[i] = (int)json_integer_value(json_array_get(list, (size_t)i));
    json_decref(root);
    return count;
}

static void put_port(struct cn_text *graph, unsigned field, const struct cn_tensor_form *form) {
    struct cn_text dim = {0}, shape = {0}, tensor = {0}, type = {0}, info = {0};
    put_string(&dim, 2, "N");
    put_message(&shape, 1, &dim);
    for (int i = form->batched; i < form->rank; i++) {
        put_int(&dim, 1, form->dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, FLOAT);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_string(&info, 1, form->name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

/* From the source's order to the network's. */
static struct name put_input(struct graph *g, size_t index) {
    const struct cn_tensor_form *form = &g->model->inputs[index];
    const struct cn_shape *shape = &g->network->inputs[form->port].shape;
    struct name value = named(form->name);
    int axes[RANK];
    int64_t order[RANK + 1] = {0};
    if (form->places != NULL) {
        int count = form_axes(g->model, "inputs", index, axes);
        bool taken[RANK] = {false};
        for (int i = 0; i < count; i++) {
            order[i + 1] = axes[i] + !form->batched;
            taken[axes[i]] = true;
        }
        for (int i = form->batched; i < form->rank; i++)
            if (!taken[i])
                order[1 + count++] = i + !form->batched;
        value = put_transpose(g, value, (size_t)count + 1, order);
    }
    return put_shape(g, value, shape);
}

/* Gives the value the output's name, in the source's order. */
static void put_output(struct graph *g, size_t index) {
    const struct cn_tensor_form *form = &g->model->outputs[index];
    struct name value = g->values[g->network->outputs[form->port].value];
    struct cn_text node = {0};
    int dims[RANK], axes[RANK], count = form->rank - form->batched;
    int64_t back[RANK + 1] = {0};
    for (int i = 0; i < count; i++)
        dims[i] = form->dims[i + form->batched];
    if (form->places != NULL) {
        bool taken[RANK] = {false};
        int used = form_axes(g->model, "outputs", index, axes);
        for (int i = 0; i < used; i++)
            taken[axes[i]] = true;
        for (int i = form->batched; i < form->rank; i++)
            if (!taken[i])
                axes[used++] = i;
        for (int i = 0; i < used; i++) {
            dims[i] = form->dims[axes[i]];
            back[axes[i] + !form->batched] = i + 1;
        }
    }
    value = put_reshape(g, value, count, dims);
    if (form->places != NULL)
        value = put_transpose(g, value, (size_t)count + 1, back);
    put_string(&node, 1, value.text);
    put_string(&node, 2, form->name);
    put_string(&node, 4, "Identity");
    put_message(&g->nodes, 1, &node);
}

static void put_metadata(struct cn_text *file, const char *key, const char *value) {
    struct cn_text entry = {0};
    put_string(&entry, 1, key);
    put_string(&entry, 2, value);
    put_message(file, 14, &entry);
}

static void put_labels(struct cn_text *file, const struct cn_model *model) {
    struct cn_text labels = {0};
    cn_json_open(&labels, NULL, '[');
    for (size_t i = 0; i < model->label_count; i++)
        cn_json_add_string(&labels, NULL, model->labels[i]);
    cn_json_close(&labels, ']');
    if (model->label_count > 0)
        put_metadata(file, "labels", cn_text_string(&labels));
    free(labels.bytes);
}

static void put_file(struct graph *g, struct cn_text *file) {
    struct cn_text graph = {0}, opset = {0};
    char preprocessing[CN_PREPROCESSING_TEXT];
    cn_text_add_bytes(&graph, g->nodes.bytes, g->nodes.length);
    put_string(&graph, 2, g->network->name[0] != '\0' ? g->network->name : "network");
    cn_text_add_bytes(&graph, g->constants.bytes, g->constants.length);
    for (size_t i = 0; i < g->model->input_forms; i++)
        put_port(&graph, 11, &g->model->inputs[i]);
    for (size_t i = 0; i < g->model->output_forms; i++)
        put_port(&graph, 12, &g->model->outputs[i]);
    graph.failed |= g->nodes.failed || g->constants.failed;
    put_int(file, 1, IR_VERSION);
    put_string(file, 2, "convnet");
    put_message(file, 7, &graph);
    put_int(&opset, 2, OPSET);
    put_message(file, 8, &opset);
    put_labels(file, g->model);
    put_metadata(file, "preprocessing",
                 cn_preprocessing_format(&g->model->preprocessing, preprocessing));
}

enum cn_status cli_export_onnx(const struct cn_model *model, struct cn_text *ret_bytes,
                               struct cn_error *error) {
    const struct cn_network *network = model->network;
    struct graph g = {.model = model, .network = network, .error = error};
    enum cn_status status = CN_OK;
    g.values = calloc(network->input_count + network->layer_count, sizeof *g.values);
    if (g.values == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the graph");
    for (size_t i = 0; i < model->input_forms; i++)
        g.values[model->inputs[i].port] = put_input(&g, i);
    for (size_t l = 0; l < network->layer_count && status == CN_OK; l++)
        status = write_layer(&g, l);
    for (size_t k = 0; k < model->output_forms && status == CN_OK; k++)
        put_output(&g, k);
    if (status == CN_OK)
        put_file(&g, ret_bytes);
    if (status == CN_OK && ret_bytes->failed)
        status = cn_fail(error, CN_MEMORY, "no memory for the file");
    free(g.values);
    free(g.nodes.bytes);
    free(g.constants.bytes);
    free(g.attributes.bytes);
    return status;
}
