/* onnx_convolution.c: ONNX's convolutions and poolings as Keras's layers. An operator over one axis
 * works on a picture of one row; padding that is neither of Keras's becomes a layer of its own.
 * Used by one thread. */
#include <float.h>
#include <string.h>

#include "import/onnx_private.h"

/* A window and its movement over the rows and the columns. */
struct window {
    int axes;        /* of the source: 1 or 2 */
    bool transposed; /* a convolution's transpose */
    int size[2], stride[2], dilation[2], before[2], after[2];
    int in[2], out[2]; /* out: ONNX's */
    int extra[2];      /* a transpose's rows beyond the last, or what ceil_mode adds */
};

static bool window_number(struct onnx_import *import, const char *what, int64_t value,
                          int64_t least, int *ret) {
    if (value < least || value > 1 << 20)
        return onnx_refuse(import, "its %s is %lld; from %lld to %d are supported", what,
                           (long long)value, (long long)least, 1 << 20);
    *ret = (int)value;
    return true;
}

/* Reads a list of an attribute for both axes, rows first. */
static bool window_list(struct onnx_import *import, const char *name, int axes, int64_t least,
                        int otherwise, int ret[2]) {
    size_t count;
    const int64_t *values = onnx_ints(import->node, name, &count);
    ret[0] = ret[1] = otherwise;
    if (values != NULL && count != (size_t)axes)
        return onnx_refuse(import, "its %s has %zu numbers for %d axes", name, count, axes);
    for (int i = 0; values != NULL && i < axes; i++)
        if (!window_number(import, name, values[i], least, &ret[2 - axes + i]))
            return false;
    return true;
}

/* Computes the padding of auto_pad SAME_UPPER and SAME_LOWER. */
static void window_same(struct window *w, int i, bool lower) {
    const int span = (w->size[i] - 1) * w->dilation[i] + 1;
    const int out = (w->in[i] + w->stride[i] - 1) / w->stride[i];
    const int needed = (out - 1) * w->stride[i] + span - w->in[i];
    const int total = needed > 0 ? needed : 0;
    w->before[i] = lower ? total - total / 2 : total / 2;
    w->after[i] = total - w->before[i];
}

static bool window_pads(struct onnx_import *import, struct window *w) {
    const char *automatic = onnx_string(import, import->node, "auto_pad", "NOTSET");
    size_t count;
    const int64_t *pads = onnx_ints(import->node, "pads", &count);
    const int at = 2 - w->axes;
    if (strcmp(automatic, "SAME_UPPER") == 0 || strcmp(automatic, "SAME_LOWER") == 0) {
        for (int i = at; i < 2 && !w->transposed; i++)
            window_same(w, i, strcmp(automatic, "SAME_LOWER") == 0);
        return true;
    }
    if (strcmp(automatic, "VALID") == 0 || pads == NULL)
        return true;
    if (count != (size_t)(2 * w->axes))
        return onnx_refuse(import, "its pads are %zu numbers for %d axes", count, w->axes);
    for (int i = 0; i < w->axes; i++)
        if (!window_number(import, "pads", pads[i], 0, &w->before[at + i]) ||
            !window_number(import, "pads", pads[w->axes + i], 0, &w->after[at + i]))
            return false;
    return true;
}

/* Reads the attributes; kernel: the window's size along the source's axes, NULL: kernel_shape. */
static bool window_read(struct onnx_import *import, const struct onnx_value *x,
                        const int64_t *kernel, bool transposed, struct window *ret) {
    struct window w = {.axes = x->rank - 2, .transposed = transposed};
    if (w.axes < 1 || w.axes > 2)
        return onnx_refuse(import, "it works on %d axes; 1 and 2 are supported", w.axes);
    const int at = 2 - w.axes;
    if (!window_list(import, "strides", w.axes, 1, 1, w.stride) ||
        !window_list(import, "dilations", w.axes, 1, 1, w.dilation) ||
        !window_list(import, "kernel_shape", w.axes, 1, 1, w.size))
        return false;
    for (int i = 0; i < 2; i++)
        w.in[i] = i < at ? 1 : (int)x->dims[2 + i - at];
    for (int i = 0; kernel != NULL && i < w.axes; i++)
        if (!window_number(import, "kernel", kernel[i], 1, &w.size[at + i]))
            return false;
    if (!window_pads(import, &w))
        return false;
    for (int i = 0; i < 2; i++) {
        const long long span = (long long)(w.size[i] - 1) * w.dilation[i] + 1;
        const long long padded = (long long)w.in[i] + w.before[i] + w.after[i];
        if (!transposed && span > padded)
            return onnx_refuse(import, "its window of %lld does not fit into its input of %lld",
                               span, padded);
        if (span > 1 << 24 || padded > 1 << 24)
            return onnx_refuse(import, "its window of %lld or its input of %lld is too large", span,
                               padded);
        w.out[i] = (int)((padded - span) / w.stride[i]) + 1;
    }
    *ret = w;
    return true;
}

/* Rows then columns as a JSON pair. */
static json_t *window_pair(const int pair[2]) {
    return json_pack("[i,i]", pair[0], pair[1]);
}

/* True if Keras's "same" pads exactly so. */
static bool window_is_same(const struct window *w) {
    for (int i = 0; i < 2; i++) {
        struct window keras = *w;
        window_same(&keras, i, false);
        if (keras.before[i] != w->before[i] || keras.after[i] != w->after[i])
            return false;
    }
    return true;
}

static bool window_is_valid(const struct window *w) {
    return w->before[0] == 0 && w->before[1] == 0 && w->after[0] == 0 && w->after[1] == 0;
}

/* Adds a layer that pads rows and columns with `value`; the window then needs no padding. */
static int window_pad(struct onnx_import *import, struct window *w, int layer, double value) {
    int dims[3];
    memcpy(dims, import->layers[layer].dims, sizeof dims);
    dims[0] += w->before[0] + w->after[0];
    dims[1] += w->before[1] + w->after[1];
    const int padded =
        value == 0 ? onnx_layer(import, "ZeroPadding2D",
                                json_pack("{s:[[i,i],[i,i]]}", "padding", w->before[0], w->after[0],
                                          w->before[1], w->after[1]),
                                1, &layer, 3, dims)
                   : onnx_layer(import, "Pad",
                                json_pack("{s:[i,i,i], s:[i,i,i], s:s, s:f}", "before",
                                          w->before[0], w->before[1], 0, "after", w->after[0],
                                          w->after[1], 0, "mode", "constant", "value", value),
                                1, &layer, 3, dims);
    for (int i = 0; i < 2; i++) {
        w->in[i] = dims[i];
        w->before[i] = w->after[i] = 0;
    }
    return padded;
}

/* Arranges input i as [rows, columns, channels]; a signal has one row. */
static bool picture_arrange(struct onnx_import *import, const struct onnx_value *x,
                            int *ret_layer) {
    const int flat[3] = {0, 2, 1}, whole[3] = {2, 3, 1};
    return onnx_arrange(import, x, 3, x->rank == 3 ? flat : whole, ret_layer);
}

/* Sets the output: batch 1, `channels`, and the rows and columns of the layer. */
static bool picture_result(struct onnx_import *import, const struct onnx_value *x, int layer) {
    const int flat[3] = {0, 2, 1}, whole[3] = {2, 3, 1};
    struct onnx_value *y = onnx_output(import, 0);
    if (layer < 0)
        return false;
    const int *dims = import->layers[layer].dims;
    int64_t source[4] = {1, dims[2], dims[0], dims[1]};
    if (x->rank == 3)
        source[2] = dims[1];
    for (size_t i = 1; i < import->node->output_count; i++)
        if (onnx_output(import, i) != NULL &&
            (onnx_output(import, i)->uses > 0 || onnx_output(import, i)->is_output))
            return onnx_refuse(import, "its output '%s' is used; only the first is supported",
                               onnx_output(import, i)->name);
    if (y != NULL)
        onnx_result(y, ONNX_FLOAT, x->rank, source, 3, x->rank == 3 ? flat : whole, layer);
    return true;
}

/* Reads the bias of a convolution: NULL if there is none. False after onnx_refuse. */
static bool bias_read(struct onnx_import *import, size_t input, int64_t channels,
                      const float **ret_bias) {
    *ret_bias = NULL;
    if (onnx_input(import, input) == NULL)
        return true;
    const struct onnx_tensor *bias = onnx_constant(import, input, "bias");
    if (bias == NULL)
        return false;
    if (bias->floats == NULL || bias->count != (size_t)channels)
        return onnx_refuse(import, "its bias has %zu numbers of %s for %lld channels", bias->count,
                           onnx_type_name(bias->type), (long long)channels);
    *ret_bias = bias->floats;
    return true;
}

/* The kernel as a constant of floats with 1 or 2 axes besides its channels, which are read as 2. */
static const struct onnx_tensor *kernel_read(struct onnx_import *import,
                                             const struct onnx_value *x) {
    if (x->rank < 3 || x->rank > 4) {
        onnx_refuse(import, "it works on %d axes; 1 and 2 are supported", x->rank - 2);
        return NULL;
    }
    const struct onnx_tensor *kernel = onnx_constant(import, 1, "kernel");
    if (kernel == NULL)
        return NULL;
    if (kernel->floats == NULL || kernel->rank != x->rank || kernel->count == 0) {
        onnx_refuse(import, "its kernel has %d dimensions of %s for an input of %d", kernel->rank,
                    onnx_type_name(kernel->type), x->rank);
        return NULL;
    }
    if (kernel->rank != 3)
        return kernel;
    struct onnx_tensor *wide = onnx_allocate(import, 1, sizeof *wide);
    if (wide == NULL)
        return NULL;
    *wide = *kernel;
    wide->rank = 4;
    wide->dims[3] = kernel->dims[2];
    wide->dims[2] = 1;
    return wide;
}

static bool conv_weights(struct onnx_import *import, int layer, const char *kernel_name,
                         const struct onnx_tensor *kernel, const int dims[4], const float *bias,
                         int channels) {
    return layer >= 0 && kernel != NULL &&
           onnx_layer_weight(import, layer, kernel_name, 4, dims, kernel->floats) &&
           (bias == NULL || onnx_layer_weight(import, layer, "bias", 1, &channels, bias));
}

bool onnx_lower_conv(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct window w;
    int layer;
    const float *bias;
    const struct onnx_tensor *kernel = x != NULL ? kernel_read(import, x) : NULL;
    if (kernel == NULL || !window_read(import, x, kernel->dims + 6 - x->rank, false, &w))
        return false;
    const int64_t groups = onnx_int(import->node, "group", 1), filters = kernel->dims[0];
    if (groups < 1 || x->dims[1] % groups != 0 || filters % groups != 0 ||
        kernel->dims[1] != x->dims[1] / groups)
        return onnx_refuse(import,
                           "its kernel is for %lld channels in %lld groups, and its input has %lld",
                           (long long)kernel->dims[1], (long long)groups, (long long)x->dims[1]);
    if (!bias_read(import, 2, filters, &bias) || !picture_arrange(import, x, &layer))
        return false;
    const bool same = window_is_same(&w) && !window_is_valid(&w);
    if (!same && !window_is_valid(&w) && (layer = window_pad(import, &w, layer, 0)) < 0)
        return false;
    const bool depthwise = groups == x->dims[1] && groups > 1;
    const int order[4] = {2, 3, 1, 0}, depth_order[4] = {2, 3, 0, 1};
    const struct onnx_tensor *turned =
        onnx_tensor_transpose(import, kernel, depthwise ? depth_order : order);
    const int channels = (int)filters;
    const int out[3] = {w.out[0], w.out[1], channels};
    json_t *config =
        json_pack("{s:o, s:o, s:o, s:s, s:b}", "kernel_size", window_pair(w.size), "strides",
                  window_pair(w.stride), "dilation_rate", window_pair(w.dilation), "padding",
                  same ? "same" : "valid", "use_bias", bias != NULL);
    int dims[4] = {w.size[0], w.size[1], (int)kernel->dims[1], channels};
    if (depthwise) {
        dims[2] = (int)groups;
        dims[3] = (int)(filters / groups);
        json_object_set_new(config, "depth_multiplier", json_integer(dims[3]));
        layer = onnx_layer(import, "DepthwiseConv2D", config, 1, &layer, 3, out);
    } else {
        json_object_set_new(config, "filters", json_integer(channels));
        if (groups > 1)
            json_object_set_new(config, "groups", json_integer(groups));
        layer = onnx_layer(import, "Conv2D", config, 1, &layer, 3, out);
    }
    return conv_weights(import, layer, depthwise ? "depthwise_kernel" : "kernel", turned, dims,
                        bias, channels) &&
           picture_result(import, x, layer);
}

/* Computes how many rows and columns a transposed convolution adds to its full extent, and how many
 * it cuts off. */
static bool transpose_extent(struct onnx_import *import, struct window *w) {
    int given[2], extra[2];
    const int at = 2 - w->axes;
    const char *automatic = onnx_string(import, import->node, "auto_pad", "NOTSET");
    size_t count;
    const bool shaped = onnx_ints(import->node, "output_shape", &count) != NULL;
    if (!window_list(import, "output_padding", w->axes, 0, 0, extra) ||
        (shaped && count == (size_t)w->axes &&
         !window_list(import, "output_shape", w->axes, 1, 1, given)))
        return false;
    if (shaped && count != (size_t)w->axes)
        return onnx_refuse(import, "its output_shape has %zu numbers for %d axes", count, w->axes);
    const bool same = strncmp(automatic, "SAME", 4) == 0;
    for (int i = at; i < 2; i++) {
        const int full = (w->in[i] - 1) * w->stride[i] + (w->size[i] - 1) * w->dilation[i] + 1;
        if (shaped || same) {
            const int target = shaped ? given[i] : w->in[i] * w->stride[i];
            extra[i] = target > full + extra[i] ? target - full : extra[i];
            const int total = full + extra[i] - target;
            const bool upper = strcmp(automatic, "SAME_UPPER") == 0;
            w->before[i] = upper ? total / 2 : total - total / 2;
            w->after[i] = total - w->before[i];
        }
        w->extra[i] = extra[i];
        w->out[i] = full;
        if (full + extra[i] - w->before[i] - w->after[i] < 1)
            return onnx_refuse(import, "its padding leaves nothing of %d", full + extra[i]);
    }
    if (at == 1)
        w->out[0] = 1;
    return true;
}

bool onnx_lower_conv_transpose(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct window w;
    int layer;
    const float *bias;
    const struct onnx_tensor *kernel = x != NULL ? kernel_read(import, x) : NULL;
    if (kernel == NULL || !window_read(import, x, kernel->dims + 6 - x->rank, true, &w) ||
        !transpose_extent(import, &w))
        return false;
    const int64_t groups = onnx_int(import->node, "group", 1);
    if (groups < 1 || groups > 4096 || x->dims[1] % groups != 0 || kernel->dims[0] != x->dims[1])
        return onnx_refuse(import, "its kernel is for %lld channels, and its input has %lld",
                           (long long)kernel->dims[0], (long long)x->dims[1]);
    const int64_t filters = kernel->dims[1] * groups, in = x->dims[1] / groups;
    if (!bias_read(import, 2, filters, &bias) || !picture_arrange(import, x, &layer))
        return false;
    /* Groups become one kernel with zeros between them. */
    const int channels = (int)filters;
    const size_t window = (size_t)(w.size[0] * w.size[1]);
    size_t size;
    const int64_t whole[4] = {w.size[0], w.size[1], filters, x->dims[1]};
    if (!onnx_count(import, "a kernel", 4, whole, ONNX_MAX_FOLDED, &size))
        return false;
    float *turned = onnx_allocate(import, size, sizeof *turned);
    if (turned == NULL)
        return false;
    for (int64_t c = 0; c < x->dims[1]; c++)
        for (int64_t m = 0; m < kernel->dims[1]; m++)
            for (size_t k = 0; k < window; k++)
                turned[((int64_t)k * filters + c / in * kernel->dims[1] + m) * x->dims[1] + c] =
                    kernel->floats[(size_t)(c * kernel->dims[1] + m) * window + k];
    const int full[3] = {w.out[0], w.out[1], channels};
    const int dims[4] = {w.size[0], w.size[1], channels, (int)x->dims[1]};
    /* Rows beyond the last hold the bias alone, so a layer after this one adds it. */
    bool beyond = false;
    for (int i = 0; i < 2; i++)
        beyond |= w.extra[i] > w.after[i];
    layer =
        onnx_layer(import, "Conv2DTranspose",
                   json_pack("{s:i, s:o, s:o, s:o, s:s, s:[i, i], s:b}", "filters", channels,
                             "kernel_size", window_pair(w.size), "strides", window_pair(w.stride),
                             "dilation_rate", window_pair(w.dilation), "padding", "valid",
                             "output_padding", 0, 0, "use_bias", bias != NULL && !beyond),
                   1, &layer, 3, full);
    struct onnx_tensor packed = {.floats = turned};
    if (!conv_weights(import, layer, "kernel", &packed, dims, beyond ? NULL : bias, channels))
        return false;
    int crop[2], more[2], out[3] = {0, 0, channels};
    for (int i = 0; i < 2; i++) {
        crop[i] = w.after[i] > w.extra[i] ? w.after[i] - w.extra[i] : 0;
        more[i] = w.extra[i] > w.after[i] ? w.extra[i] - w.after[i] : 0;
        out[i] = w.out[i] - w.before[i] - crop[i];
    }
    if (out[0] < 1 || out[1] < 1)
        return onnx_refuse(import, "its padding leaves nothing");
    if (w.before[0] + w.before[1] + crop[0] + crop[1] > 0)
        layer = onnx_layer(
            import, "Cropping2D",
            json_pack("{s:[[i,i],[i,i]]}", "cropping", w.before[0], crop[0], w.before[1], crop[1]),
            1, &layer, 3, out);
    if (layer >= 0 && beyond) {
        struct window tail = {.after = {more[0], more[1]}};
        layer = window_pad(import, &tail, layer, 0);
        if (layer >= 0 && bias != NULL)
            layer = onnx_layer_affine(import, layer, NULL, bias);
    }
    return picture_result(import, x, layer);
}

/* Rows and columns that the last window of ceil_mode takes beyond the padded input. */
static void pool_ceil(struct window *w) {
    for (int i = 0; i < 2; i++) {
        const int span = (w->size[i] - 1) * w->dilation[i] + 1;
        const int padded = w->in[i] + w->before[i] + w->after[i];
        int out = (padded - span + w->stride[i] - 1) / w->stride[i] + 1;
        if ((out - 1) * w->stride[i] >= w->in[i] + w->before[i]) /* it would see padding alone */
            out--;
        const int needed = (out - 1) * w->stride[i] + span - padded;
        w->extra[i] = needed > 0 ? needed : 0;
        w->out[i] = out;
    }
}

/* Computes for each output the factor that turns the mean over the whole window into the mean over
 * the samples that ONNX counts: NULL if all factors are 1. False after onnx_fail. */
static bool average_factors(struct onnx_import *import, const struct window *w, bool include_pad,
                            const float **ret_factors) {
    bool plain = true;
    float *factors = onnx_allocate(import, (size_t)w->out[0] * (size_t)w->out[1], sizeof *factors);
    *ret_factors = NULL;
    if (factors == NULL)
        return false;
    for (int y = 0; y < w->out[0]; y++)
        for (int x = 0; x < w->out[1]; x++) {
            int counted = 1;
            const int at[2] = {y, x};
            for (int i = 0; i < 2; i++) {
                int seen = 0;
                for (int k = 0; k < w->size[i]; k++) {
                    const int place = at[i] * w->stride[i] + k * w->dilation[i] - w->before[i];
                    seen += include_pad ? place < w->in[i] + w->after[i]
                                        : place >= 0 && place < w->in[i];
                }
                counted *= seen;
            }
            const int size = w->size[0] * w->size[1];
            factors[y * w->out[1] + x] = counted > 0 ? (float)size / (float)counted : 0;
            plain &= counted == size;
        }
    *ret_factors = plain ? NULL : factors;
    return true;
}

/* Adds a pooling with dilation: one strided slice per position in the window, joined elementwise.
 */
static int pool_dilated(struct onnx_import *import, const struct window *w, int layer,
                        bool largest) {
    enum { MOST_PLACES = 49 };
    int parts[MOST_PLACES], count = 0;
    const int channels = import->layers[layer].dims[2];
    const int out[3] = {w->out[0], w->out[1], channels};
    if (w->size[0] * w->size[1] > MOST_PLACES || w->size[0] * w->size[1] < 2) {
        onnx_refuse(import,
                    "its window of %d x %d has dilations; a dilated window must have from 2 to %d "
                    "positions",
                    w->size[0], w->size[1], MOST_PLACES);
        return -1;
    }
    for (int y = 0; y < w->size[0]; y++)
        for (int x = 0; x < w->size[1]; x++)
            parts[count++] =
                onnx_layer(import, "Slice",
                           json_pack("{s:[i,i,i], s:[i,i,i], s:[i,i,i]}", "begin",
                                     y * w->dilation[0], x * w->dilation[1], 0, "size", out[0],
                                     out[1], channels, "strides", w->stride[0], w->stride[1], 1),
                           1, &layer, 3, out);
    return onnx_layer(import, largest ? "Maximum" : "Average", NULL, count, parts, 3, out);
}

/* A copy of a pooling's attribute for two axes instead of three: of three numbers (or six pads) it
 * keeps those of the first two axes, and the last axis must have the default. Other attributes stay
 * as they are. NULL after onnx_fail or onnx_refuse. */
static Onnx__AttributeProto *attribute_flattened(struct onnx_import *import,
                                                 const Onnx__AttributeProto *from) {
    const size_t sides = strcmp(from->name, "pads") == 0 ? 2 : 1;
    const bool listed = from->n_ints == 3 * sides;
    const int64_t usual = sides == 2 ? 0 : 1;
    Onnx__AttributeProto *to = onnx_allocate(import, 1, sizeof *to);
    int64_t *ints = onnx_allocate(import, 2 * sides, sizeof *ints);
    if (to == NULL || ints == NULL)
        return NULL;
    *to = *from;
    if (!listed)
        return to;
    for (size_t side = 0; side < sides; side++) {
        if (from->ints[3 * side + 1] != usual || from->ints[3 * side + 2] != usual) {
            onnx_refuse(import, "it works on 3 axes; 1 and 2 are supported");
            return NULL;
        }
        memcpy(ints + 2 * side, from->ints + 3 * side, 2 * sizeof *ints);
    }
    to->ints = ints;
    to->n_ints = 2 * sides;
    return to;
}

/* Adds a pooling over the first of three axes, as PyTorch's LocalResponseNorm has it, by joining
 * the other two axes. */
static bool pool_flattened(struct onnx_import *import, const struct onnx_value *from) {
    const struct onnx_node *outer = import->node;
    const struct onnx_value x = *from; /* new names, which no file has, may move the values */
    const int flat[2] = {onnx_value_named(import, "\001flat"),
                         onnx_value_named(import, "\001pooled")};
    Onnx__NodeProto proto = *outer->proto;
    int inputs[1] = {flat[0]}, outputs[1] = {flat[1]};
    const struct onnx_node inner = {.proto = &proto,
                                    .type = outer->type,
                                    .label = outer->label,
                                    .input_count = 1,
                                    .output_count = 1,
                                    .inputs = inputs,
                                    .outputs = outputs};
    const int64_t dims[4] = {1, x.dims[1], x.dims[2], x.dims[3] * x.dims[4]};
    proto.attribute = onnx_allocate(import, proto.n_attribute + 1, sizeof *proto.attribute);
    if (flat[0] < 0 || flat[1] < 0 || proto.attribute == NULL)
        return false;
    for (size_t i = 0; i < proto.n_attribute; i++) {
        proto.attribute[i] = attribute_flattened(import, outer->proto->attribute[i]);
        if (proto.attribute[i] == NULL)
            return false;
    }
    if (!onnx_view_reshape(import, &import->values[flat[0]], &x, 4, dims))
        return false;
    import->node = &inner;
    const bool good = onnx_lower_pool(import);
    import->node = outer;
    struct onnx_value *y = onnx_output(import, 0), *pooled = &import->values[flat[1]];
    const int64_t whole[5] = {1, x.dims[1], pooled->dims[2], x.dims[3], x.dims[4]};
    return good && (y == NULL || onnx_view_reshape(import, y, pooled, 5, whole));
}

bool onnx_lower_pool(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    if (x != NULL && x->rank == 5)
        return pool_flattened(import, x);
    const bool largest = strcmp(import->node->type, "MaxPool") == 0;
    struct window w;
    int layer;
    const float *factors = NULL;
    if (x == NULL || !window_read(import, x, NULL, false, &w))
        return false;
    if (onnx_attribute(import->node, "kernel_shape") == NULL)
        return onnx_refuse(import, "it has no kernel_shape");
    if (!picture_arrange(import, x, &layer))
        return false;
    const char *automatic = onnx_string(import, import->node, "auto_pad", "NOTSET");
    if (onnx_int(import->node, "ceil_mode", 0) != 0 && strncmp(automatic, "SAME", 4) != 0)
        pool_ceil(&w);
    if (!largest &&
        !average_factors(import, &w, onnx_int(import->node, "count_include_pad", 0) != 0, &factors))
        return false;
    for (int i = 0; i < 2; i++)
        w.after[i] += w.extra[i];
    const bool dilated = w.dilation[0] > 1 || w.dilation[1] > 1;
    /* Keras's "same" leaves padding out of the mean, as ONNX does by default. */
    const bool same = !dilated && window_is_same(&w) && !window_is_valid(&w) &&
                      (largest || onnx_int(import->node, "count_include_pad", 0) == 0) &&
                      w.extra[0] + w.extra[1] == 0;
    if (same)
        factors = NULL;
    if (!same && !window_is_valid(&w) &&
        (layer = window_pad(import, &w, layer, largest ? (double)-FLT_MAX : 0)) < 0)
        return false;
    const int channels = (int)x->dims[1], out[3] = {w.out[0], w.out[1], channels};
    layer =
        dilated
            ? pool_dilated(import, &w, layer, largest)
            : onnx_layer(import, largest ? "MaxPooling2D" : "AveragePooling2D",
                         json_pack("{s:o, s:o, s:s}", "pool_size", window_pair(w.size), "strides",
                                   window_pair(w.stride), "padding", same ? "same" : "valid"),
                         1, &layer, 3, out);
    if (layer >= 0 && factors != NULL) {
        const int map[3] = {w.out[0], w.out[1], 1};
        const int operands[2] = {layer, onnx_layer_constant(import, 3, map, factors)};
        layer = onnx_layer(import, "Binary", json_pack("{s:s}", "function", "multiply"), 2,
                           operands, 3, out);
    }
    return picture_result(import, x, layer);
}

bool onnx_lower_global_pool(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    const bool largest = strcmp(import->node->type, "GlobalMaxPool") == 0;
    int layer;
    if (x == NULL || y == NULL)
        return false;
    if (x->rank < 3 || x->rank > 4)
        return onnx_refuse(import, "it works on %d axes; 1 and 2 are supported", x->rank - 2);
    if (!picture_arrange(import, x, &layer))
        return false;
    const int channels = (int)x->dims[1], axis = 1;
    const int64_t dims[4] = {1, channels, 1, 1};
    layer = onnx_layer(import, largest ? "GlobalMaxPooling2D" : "GlobalAveragePooling2D", NULL, 1,
                       &layer, 1, &channels);
    if (layer < 0)
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, dims, 1, &axis, layer);
    return true;
}

/* Reads the activation_params of a FusedConv; false after onnx_refuse. */
static bool fused_conv_parameters(struct onnx_import *import, const char *activation,
                                  float parameters[2]) {
    static const struct {
        const char *name;
        size_t parameters;
    } activations[] = {{"Relu", 0},      {"Sigmoid", 0},     {"Tanh", 0},
                       {"LeakyRelu", 1}, {"HardSigmoid", 2}, {"Clip", 2}};
    const Onnx__AttributeProto *list = onnx_attribute(import->node, "activation_params");
    const size_t given = list != NULL ? list->n_floats : 0;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(activations[i].name, activation) != 0)
            continue;
        if (given < activations[i].parameters)
            return onnx_refuse(import, "its activation has %zu parameters", given);
        for (size_t k = 0; k < activations[i].parameters; k++)
            parameters[k] = list->floats[k];
        return true;
    }
    return onnx_refuse(import, "its activation %s is not supported", activation);
}

/* Reads the attributes of a FusedGemm that are those of the activation, such as activation_alpha;
 * false after onnx_refuse. */
static bool fused_gemm_parameters(struct onnx_import *import, const char *activation,
                                  float parameters[2]) {
    const char *second = strcmp(activation, "Selu") == 0 ? "activation_gamma" : "activation_beta";
    if (!onnx_function_defaults(activation, &parameters[0], &parameters[1]))
        return onnx_refuse(import, "its activation %s is not supported", activation);
    parameters[0] = onnx_float(import->node, "activation_alpha", parameters[0]);
    parameters[1] = onnx_float(import->node, second, parameters[1]);
    return true;
}

/* Lowers FusedConv and FusedGemm, a convolution and a product with an activation, which ONNX
 * Runtime writes when it saves an optimized model. */
bool onnx_lower_fused(struct onnx_import *import) {
    const bool product = strcmp(import->node->type, "com.microsoft.FusedGemm") == 0;
    const char *activation = onnx_string(import, import->node, "activation", "");
    struct onnx_value *y = onnx_output(import, 0);
    float parameters[2] = {0, 0};
    if (activation[0] != '\0' &&
        !(product ? fused_gemm_parameters : fused_conv_parameters)(import, activation, parameters))
        return false;
    if (!product && onnx_input(import, 3) != NULL)
        return onnx_refuse(import,
                           "its fourth input, which is added to the result, is not supported");
    if (!(product ? onnx_lower_gemm : onnx_lower_conv)(import) || y == NULL)
        return false;
    if (activation[0] == '\0')
        return true;
    y->layer =
        strcmp(activation, "Clip") == 0
            ? onnx_layer_unary(import, y->layer, "clip", (double)parameters[0],
                               (double)parameters[1])
            : onnx_layer_function(import, y->layer, activation, parameters[0], parameters[1]);
    return y->layer >= 0;
}
