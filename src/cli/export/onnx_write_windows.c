/* onnx_write_windows.c: convolutions, poolings, and layers that change the size of a picture
 * (resampling, ZeroPadding, Cropping, Pad, Slice), in ONNX. Values have channels last, as here;
 * each node of a window or a resampling is between two Transposes, which runtimes remove. No state.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/export/onnx_write.h"

/* ---- Convolutions and poolings ---- */

/* The window along one axis. */
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

static void windows_of(const struct onnx_graph *g, const char *size_key, const int in[3],
                       struct window windows[2]) {
    int size[2], strides[2], dilation[2], out[3];
    const int *given = cli_export_field(g->layer, "strides");
    graph_field_pair(g, size_key, size);
    graph_field_pair(g, "strides", strides);
    graph_field_pair(g, "dilation_rate", dilation);
    /* Strides of poolings; without strides they are those of the window. */
    const bool pools = strcmp(size_key, "pool_size") == 0;
    graph_image_dims(&g->layer->output_shape, graph_axes(g), out);
    for (int i = 0; i < 2; i++) {
        const bool own = pools && (given == NULL || strides[i] == 0);
        windows[i] =
            (struct window){size[i], own ? size[i] : strides[i], dilation[i], in[i], out[i], 0, 0};
        window_pad(&windows[i], i == 0 && graph_axes(g) == 1 ? CN_PADDING_VALID
                                                             : graph_field_int(g, "padding", 0));
    }
}

static void add_windows(struct onnx_graph *g, const struct window w[2], bool dilated) {
    graph_add_ints(&g->attributes, "kernel_shape", 2, (const int64_t[]){w[0].size, w[1].size});
    graph_add_ints(&g->attributes, "strides", 2, (const int64_t[]){w[0].stride, w[1].stride});
    graph_add_ints(&g->attributes, "pads", 4,
                   (const int64_t[]){w[0].before, w[1].before, w[0].after, w[1].after});
    if (dilated)
        graph_add_ints(&g->attributes, "dilations", 2,
                       (const int64_t[]){w[0].dilation, w[1].dilation});
}

/* Adds a kernel [rows, columns, a, b] as [b, a, rows, columns] or, with `kept`, as [a, b, rows,
 * columns]. */
static struct onnx_name put_kernel(struct onnx_graph *g, const float *from, const int64_t dims[4],
                                   bool kept, const int64_t shape[4]) {
    const size_t places = (size_t)(dims[0] * dims[1]), a = (size_t)dims[2], b = (size_t)dims[3];
    float *to = cn_floats_allocate(places * a * b);
    struct onnx_name name = graph_named("");
    if (to == NULL) {
        g->nodes.failed = true;
        return name;
    }
    for (size_t p = 0; p < places; p++)
        for (size_t i = 0; i < a; i++)
            for (size_t k = 0; k < b; k++)
                to[(kept ? i * b + k : k * a + i) * places + p] = from[(p * a + i) * b + k];
    name = graph_put_floats(g, 4, shape, to);
    free(to);
    return name;
}

static struct onnx_name put_convolution(struct onnx_graph *g, struct onnx_name value,
                                        const struct window w[2], struct onnx_name kernel,
                                        struct onnx_name bias, int groups) {
    add_windows(g, w, true);
    graph_add_int(&g->attributes, "group", groups);
    return graph_put(g, "Conv", value, kernel, bias);
}

/* Adds a kernel [rows, columns, channels, multiplier], in which each channel is separate. */
static struct onnx_name put_depthwise_kernel(struct onnx_graph *g, const char *tensor,
                                             const struct window w[2], int channels,
                                             int multiplier) {
    const int64_t dims[] = {w[0].size, w[1].size, channels, multiplier};
    const int64_t shape[] = {(int64_t)channels * multiplier, 1, w[0].size, w[1].size};
    return put_kernel(g, graph_weights(g, tensor), dims, true, shape);
}

enum cn_status export_convolution(struct onnx_graph *g, struct onnx_name value,
                                  struct onnx_name *ret) {
    struct window w[2];
    int in[3], out[3];
    graph_image_dims(&g->layer->input_shape, graph_axes(g), in);
    graph_image_dims(&g->layer->output_shape, graph_axes(g), out);
    windows_of(g, "kernel_size", in, w);
    value = graph_put_picture(g, value, in);
    if (strncmp(cn_layer_type_name(g->layer->type), "Separable", 9) == 0) {
        const int multiplier = graph_field_int(g, "depth_multiplier", 1),
                  middle = in[2] * multiplier;
        const struct window one[2] = {{1, 1, 1, 0, 0, 0, 0}, {1, 1, 1, 0, 0, 0, 0}};
        value = put_convolution(g, value, w,
                                put_depthwise_kernel(g, "depthwise_kernel", w, in[2], multiplier),
                                graph_named(""), in[2]);
        const struct onnx_name kernel = put_kernel(g, graph_weights(g, "pointwise_kernel"),
                                                   (const int64_t[]){1, 1, middle, out[2]}, false,
                                                   (const int64_t[]){out[2], middle, 1, 1});
        value = put_convolution(g, value, one, kernel, graph_bias(g, out[2]), 1);
    } else if (strncmp(cn_layer_type_name(g->layer->type), "Depthwise", 9) == 0) {
        const char *tensor =
            graph_weights(g, "depthwise_kernel") != NULL ? "depthwise_kernel" : "kernel";
        value =
            put_convolution(g, value, w, put_depthwise_kernel(g, tensor, w, in[2], out[2] / in[2]),
                            graph_bias(g, out[2]), in[2]);
    } else {
        const int groups = graph_field_int(g, "groups", 1), part = in[2] / groups;
        const struct onnx_name kernel = put_kernel(
            g, graph_weights(g, "kernel"), (const int64_t[]){w[0].size, w[1].size, part, out[2]},
            false, (const int64_t[]){out[2], part, w[0].size, w[1].size});
        value = put_convolution(g, value, w, kernel, graph_bias(g, out[2]), groups);
    }
    *ret = graph_put_activation(g, graph_put_picture_back(g, value));
    return CN_OK;
}

enum cn_status export_transposed(struct onnx_graph *g, struct onnx_name value,
                                 struct onnx_name *ret) {
    struct window w[2];
    int in[3], out[3], size[2], strides[2], dilation[2];
    int64_t more[2];
    graph_image_dims(&g->layer->input_shape, graph_axes(g), in);
    graph_image_dims(&g->layer->output_shape, graph_axes(g), out);
    graph_field_pair(g, "kernel_size", size);
    graph_field_pair(g, "strides", strides);
    graph_field_pair(g, "dilation_rate", dilation);
    for (int i = 0; i < 2; i++) {
        const int covered = (in[i] - 1) * strides[i] + (size[i] - 1) * dilation[i] + 1;
        const int cut = covered - out[i];
        const bool same = graph_field_int(g, "padding", 0) == CN_PADDING_SAME && cut > 0;
        w[i] =
            (struct window){size[i], strides[i], dilation[i], in[i], out[i], same ? cut / 2 : 0, 0};
        w[i].after = cut - w[i].before > 0 ? cut - w[i].before : 0;
        more[i] = cut - w[i].before < 0 ? w[i].before - cut : 0;
    }
    value = graph_put_picture(g, value, in);
    add_windows(g, w, true);
    graph_add_ints(&g->attributes, "output_padding", 2, more);
    const struct onnx_name kernel = put_kernel(
        g, graph_weights(g, "kernel"), (const int64_t[]){size[0], size[1], out[2], in[2]}, false,
        (const int64_t[]){in[2], out[2], size[0], size[1]});
    value = graph_put(g, "ConvTranspose", value, kernel, graph_bias(g, out[2]));
    *ret = graph_put_activation(g, graph_put_picture_back(g, value));
    return CN_OK;
}

enum cn_status export_pooling(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    struct window w[2];
    int in[3];
    const bool maximum = strncmp(cn_layer_type_name(g->layer->type), "Max", 3) == 0;
    graph_image_dims(&g->layer->input_shape, graph_axes(g), in);
    windows_of(g, "pool_size", in, w);
    value = graph_put_picture(g, value, in);
    add_windows(g, w, false);
    value = graph_put_unary(g, maximum ? "MaxPool" : "AveragePool", value);
    *ret = graph_put_picture_back(g, value);
    return CN_OK;
}

enum cn_status export_global_pooling(struct onnx_graph *g, struct onnx_name value,
                                     struct onnx_name *ret) {
    const bool maximum = strncmp(cn_layer_type_name(g->layer->type), "GlobalMax", 9) == 0;
    const int axes = graph_axes(g);
    if (g->layer->input_shape.rank == axes) { /* without channels */
        int dims[3];
        graph_image_dims(&g->layer->input_shape, axes, dims);
        value = graph_put_reshape(g, value, axes + 1, axes == 2 ? dims : dims + 1);
    }
    graph_add_ints(&g->attributes, "axes", (size_t)axes, (const int64_t[]){1, 2});
    graph_add_int(&g->attributes, "keepdims", 0);
    value = graph_put_unary(g, maximum ? "ReduceMax" : "ReduceMean", value);
    *ret = graph_put_shape(g, value, &g->layer->output_shape);
    return CN_OK;
}

/* A factor with which runtimes, which multiply in single or double precision and round down, get
 * from size `in` to size `out`. */
static float exact_scale(int in, int out, float given) {
    float scale = given > 0 ? given : (float)out / (float)in;
    for (int i = 0; i < 4 && (floorf(scale * (float)in) < (float)out ||
                              floor((double)scale * in) < (double)out);
         i++)
        scale = nextafterf(scale, INFINITY);
    return scale;
}

/* TensorFlow's pixels have their centres at halves; between two equally near ones it takes the
 * upper. */
enum cn_status export_resampling(struct onnx_graph *g, struct onnx_name value,
                                 struct onnx_name *ret) {
    int in[3], out[3];
    graph_image_dims(&g->layer->input_shape, graph_axes(g), in);
    graph_image_dims(&g->layer->output_shape, graph_axes(g), out);
    const float scales[] = {1, 1, exact_scale(in[0], out[0], 0), exact_scale(in[1], out[1], 0)};
    const bool linear = graph_field_int(g, "interpolation", 0) != 0;
    const bool whole = out[0] % in[0] == 0 && out[1] % in[1] == 0;
    value = graph_put_picture(g, value, in);
    graph_add_string(&g->attributes, "mode", linear ? "linear" : "nearest");
    graph_add_string(&g->attributes, "coordinate_transformation_mode",
                     whole && !linear ? "asymmetric" : "half_pixel");
    if (!linear)
        graph_add_string(&g->attributes, "nearest_mode", whole ? "floor" : "round_prefer_ceil");
    value = graph_put(g, "Resize", value, graph_named(""), graph_put_vector(g, scales, 4));
    *ret = graph_put_picture_back(g, value);
    return CN_OK;
}

/* The word of a key. */
static const char *field_word(const struct onnx_graph *g, const char *key) {
    size_t count;
    const struct cn_field *fields = cn_layer_type_fields(g->layer->type, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, key) == 0)
            return fields[i].names[graph_field_int(g, key, 0)];
    return "";
}

/* Along one axis: the sample as [before, axis, after], since all runtimes can resize the last two
 * of four axes in each mode. */
enum cn_status export_resize(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const struct cn_shape *in = &g->layer->input_shape, *out = &g->layer->output_shape;
    const int given = graph_field_int(g, "axis", -1);
    const int axis = given < 0 ? given + in->rank : given - 1;
    const bool *outside = cli_export_field(g->layer, "exclude_outside");
    int dims[3] = {1, in->dims[axis], 1};
    for (int i = 0; i < in->rank; i++)
        if (i != axis)
            dims[i < axis ? 0 : 2] *= in->dims[i];
    const float scales[] = {
        1, 1, exact_scale(dims[1], out->dims[axis], graph_field_float(g, "scale")), 1};
    value = graph_put_reshape(g, value, 3, dims);
    graph_add_string(&g->attributes, "mode", field_word(g, "interpolation"));
    graph_add_string(&g->attributes, "coordinate_transformation_mode",
                     field_word(g, "coordinates"));
    graph_add_string(&g->attributes, "nearest_mode", field_word(g, "rounding"));
    graph_add_float(&g->attributes, "cubic_coeff_a", graph_field_float(g, "cubic_coefficient"));
    graph_add_int(&g->attributes, "exclude_outside", *outside ? 1 : 0);
    value = graph_put(g, "Resize", value, graph_named(""), graph_put_vector(g, scales, 4));
    *ret = graph_put_shape(g, value, out);
    return CN_OK;
}

/* ---- Paddings and cuts ---- */

/* ZeroPadding and Cropping: from the shapes and the padding before the first element. */
enum cn_status export_borders(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const bool pads = strncmp(cn_layer_type_name(g->layer->type), "Zero", 4) == 0;
    const int *sides = cli_export_field(g->layer, pads ? "padding" : "cropping");
    const int axes = graph_axes(g), rank = g->layer->input_shape.rank;
    int64_t pad[2 * ONNX_RANK] = {0}, starts[2], ends[2], which[2] = {1, 2};
    for (int i = 0; i < axes; i++) {
        const int *side = sides + 2 * (i + 2 - axes);
        pad[1 + i] = side[0];
        pad[rank + 2 + i] = side[1];
        starts[i] = side[0];
        ends[i] = g->layer->input_shape.dims[i] - side[1];
    }
    if (pads) {
        *ret = graph_put_binary(g, "Pad", value, graph_put_ints(g, 2 * ((size_t)rank + 1), pad));
    } else {
        const struct onnx_name inputs[] = {value, graph_put_ints(g, (size_t)axes, starts),
                                           graph_put_ints(g, (size_t)axes, ends),
                                           graph_put_ints(g, (size_t)axes, which)};
        *ret = graph_put_many(g, "Slice", 4, inputs);
    }
    if (g->layer->output_shape.rank != rank)
        *ret = graph_put_shape(g, *ret, &g->layer->output_shape);
    return CN_OK;
}

enum cn_status export_padding(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    static const char *const modes[] = {"constant", "reflect", "edge"};
    const struct cn_ints *before = cli_export_field(g->layer, "before");
    const struct cn_ints *after = cli_export_field(g->layer, "after");
    int64_t pad[2 * (ONNX_RANK + 1)] = {0};
    for (int i = 0; i < before->count; i++) {
        pad[1 + i] = before->values[i];
        pad[before->count + 2 + i] = after->values[i];
    }
    graph_add_string(&g->attributes, "mode", modes[graph_field_int(g, "mode", 0)]);
    *ret = graph_put(g, "Pad", value, graph_put_ints(g, 2 * ((size_t)before->count + 1), pad),
                     graph_put_number(g, graph_field_float(g, "value")));
    return CN_OK;
}

enum cn_status export_slice(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const struct cn_ints *begin = cli_export_field(g->layer, "begin");
    const struct cn_ints *size = cli_export_field(g->layer, "size");
    const struct cn_ints *strides = cli_export_field(g->layer, "strides");
    int64_t starts[ONNX_RANK], ends[ONNX_RANK], axes[ONNX_RANK], steps[ONNX_RANK];
    const size_t rank = (size_t)begin->count;
    for (size_t i = 0; i < rank; i++) {
        axes[i] = (int64_t)i + 1;
        starts[i] = begin->values[i];
        steps[i] = strides->values[i];
        ends[i] = starts[i] + steps[i] * size->values[i];
        if (steps[i] < 0 && ends[i] < 0)
            ends[i] = INT32_MIN; /* before the first element; a value below 0 would count from
                                  * the end */
    }
    const struct onnx_name inputs[] = {value, graph_put_ints(g, rank, starts),
                                       graph_put_ints(g, rank, ends), graph_put_ints(g, rank, axes),
                                       graph_put_ints(g, rank, steps)};
    *ret = graph_put_many(g, "Slice", 5, inputs);
    return CN_OK;
}
