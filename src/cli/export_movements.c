/* export_movements.c: layers that move numbers without computing, in ONNX. No state. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export_graph.h"

/* ---- Movements ---- */

enum cn_status export_permutation(struct onnx_graph *g, struct onnx_name value,
                                  struct onnx_name *ret) {
    const struct cn_ints *dims = cli_export_field(g->layer, "dims");
    int64_t order[ONNX_RANK] = {0};
    for (int i = 0; i < dims->count; i++)
        order[i + 1] = dims->values[i];
    *ret = graph_put_transpose(g, value, (size_t)dims->count + 1, order);
    return CN_OK;
}

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

enum cn_status export_concatenation(struct onnx_graph *g, struct onnx_name value,
                                    struct onnx_name *ret) {
    struct onnx_name *inputs = calloc(g->layer->input_count, sizeof *inputs);
    (void)value;
    if (inputs == NULL)
        return cn_fail(g->error, CN_MEMORY, "no memory for %zu names", g->layer->input_count);
    for (size_t i = 0; i < g->layer->input_count; i++)
        inputs[i] = g->values[g->layer->inputs[i].value];
    graph_add_int(&g->attributes, "axis", graph_field_int(g, "axis", -1));
    *ret = graph_put_many(g, "Concat", g->layer->input_count, inputs);
    free(inputs);
    return CN_OK;
}

/* [features] to [n, features] */
enum cn_status export_repeat(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const int features = g->layer->input_shape.dims[0];
    const int64_t times[] = {1, graph_field_int(g, "n", 1), 1};
    value = graph_put_reshape(g, value, 2, (const int[]){1, features});
    *ret = graph_put_binary(g, "Tile", value, graph_put_ints(g, 3, times));
    return CN_OK;
}
