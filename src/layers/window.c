/* window.c: see window.h. No state. */
#include "layers/window.h"

const char *const cn_padding_names_causal[] = {"valid", "same", "causal", NULL};

static int taps_reach(const struct cn_window *w) {
    return (w->size - 1) * w->dilation + 1;
}

static void place_window(struct cn_window *w, int padding) {
    const int reach = taps_reach(w);
    if (padding == CN_PADDING_SAME) {
        w->out = (w->in + w->stride - 1) / w->stride;
        const long long needed = (long long)(w->out - 1) * w->stride + reach - w->in;
        w->before = needed > 0 ? (int)(needed / 2) : 0;
        w->after = needed > 0 ? (int)(needed - needed / 2) : 0;
        return;
    }
    w->before = padding == CN_PADDING_CAUSAL ? reach - 1 : 0;
    w->out = (w->in + w->before - reach) / w->stride + 1;
}

enum cn_status cn_layer_image(const struct cn_layer *layer, int axes, struct cn_shape *ret_image,
                              struct cn_error *error) {
    const struct cn_shape *in = &layer->input_shape;
    char text[CN_SHAPE_TEXT];
    if (axes == 2 && (in->rank == 3 || in->rank == 2)) {
        *ret_image = cn_shape_image(in->dims[0], in->dims[1], in->rank == 3 ? in->dims[2] : 1);
        return CN_OK;
    }
    if (axes == 1 && (in->rank == 2 || in->rank == 1)) {
        *ret_image = cn_shape_image(1, in->dims[0], in->rank == 2 ? in->dims[1] : 1);
        return CN_OK;
    }
    return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) takes %s, but its input is %s",
                   layer->name, layer->type->class_name,
                   axes == 2 ? "(height, width, channels)" : "(steps, channels)",
                   cn_shape_format(in, text));
}

enum cn_status cn_windows_build(const struct cn_layer *layer, int axes,
                                const struct cn_window_config *config, struct cn_window windows[2],
                                struct cn_shape *ret_image, struct cn_error *error) {
    char text[CN_SHAPE_TEXT];
    long long reach[2];
    const enum cn_status status = cn_layer_image(layer, axes, ret_image, error);
    if (status != CN_OK)
        return status;
    for (int i = 0; i < 2; i++)
        reach[i] = (long long)(config->size[i] - 1) * config->dilation[i] + 1;
    if ((config->padding == CN_PADDING_VALID &&
         (reach[0] > ret_image->dims[0] || reach[1] > ret_image->dims[1])) ||
        reach[0] > CN_SHAPE_MAX_ELEMENTS || reach[1] > CN_SHAPE_MAX_ELEMENTS)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s): its window (%lld, %lld) does not fit into its input %s",
                       layer->name, layer->type->class_name, reach[0], reach[1],
                       cn_shape_format(&layer->input_shape, text));
    for (int i = 0; i < 2; i++) {
        windows[i] = (struct cn_window){.size = config->size[i],
                                        .dilation = config->dilation[i],
                                        .stride = config->strides[i],
                                        .in = ret_image->dims[i]};
        place_window(&windows[i], config->padding);
    }
    return CN_OK;
}

struct cn_shape cn_axes_shape(int axes, int height, int width, int channels) {
    return axes == 2 ? cn_shape_image(height, width, channels)
                     : (struct cn_shape){.rank = 2, .dims = {width, channels, 1, 1, 1}};
}
