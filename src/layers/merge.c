/* merge.c: Keras's Add and Concatenate. No state. */
#include <stddef.h>
#include <string.h>

#include "layers/layer_type.h"

/* ---- Add ---- */

static enum cn_status add_build(struct cn_layer *layer, struct cn_error *error) {
    char first[CN_SHAPE_TEXT], other[CN_SHAPE_TEXT];
    for (size_t i = 1; i < layer->input_count; i++)
        if (!cn_shape_equal(&layer->inputs[i].shape, &layer->input_shape))
            return cn_fail(error, CN_INVALID,
                           "layer \"%s\" (%s): its inputs are %s and %s; they must be alike",
                           layer->name, layer->type->class_name,
                           cn_shape_format(&layer->input_shape, first),
                           cn_shape_format(&layer->inputs[i].shape, other));
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

static void add_apply(const struct cn_layer *layer, const float *const *inputs, size_t count,
                      float *y) {
    const size_t size = count * cn_shape_size(&layer->input_shape);
    for (size_t k = 0; k < size; k++)
        y[k] = inputs[0][k] + inputs[1][k];
    for (size_t i = 2; i < layer->input_count; i++)
        for (size_t k = 0; k < size; k++)
            y[k] += inputs[i][k];
}

static void add_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    add_apply(layer, pass->xs, pass->count, pass->y);
}

static void add_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = pass->count * cn_shape_size(&layer->input_shape);
    for (size_t i = 0; i < layer->input_count; i++)
        if (pass->dxs[i] != NULL)
            memcpy(pass->dxs[i], pass->dy, size * sizeof *pass->dy);
}

static void add_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                      float *y, float *scratch) {
    (void)scratch;
    add_apply(&step->layer, inputs, count, y);
}

static const struct cn_layer_training add_training = {.forward = add_forward,
                                                      .backward = add_backward};
static const struct cn_layer_inference add_inference = {.infer = add_infer, .in_place = true};

const struct cn_layer_type cn_add_type = {.class_name = "Add",
                                          .onnx = "Add Sum",
                                          .min_inputs = 2,
                                          .max_inputs = CN_LAYER_MAX_INPUTS,
                                          .build = add_build,
                                          .training = &add_training,
                                          .inference = &add_inference};

/* ---- Concatenate ---- */

struct concatenate_config {
    int axis; /* Keras's: the batch is 0, -1 the last */
};

static const struct concatenate_config defaults = {.axis = -1};

static const struct cn_field fields[] = {
    {"axis", CN_FIELD_INT, offsetof(struct concatenate_config, axis), false, false,
     -CN_SHAPE_MAX_RANK, CN_SHAPE_MAX_RANK, NULL},
};

/* The axis as an index into the shape's dims; -1: there is none such. */
static int concatenate_axis(const struct cn_layer *layer) {
    const int axis = ((const struct concatenate_config *)(const void *)layer->config)->axis;
    const int rank = layer->input_shape.rank;
    const int index = axis < 0 ? axis + rank : axis - 1;
    return index >= 0 && index < rank ? index : -1;
}

static enum cn_status concatenate_build(struct cn_layer *layer, struct cn_error *error) {
    char first[CN_SHAPE_TEXT], other[CN_SHAPE_TEXT];
    const int axis = concatenate_axis(layer);
    if (axis < 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s): its input %s has no such axis",
                       layer->name, layer->type->class_name,
                       cn_shape_format(&layer->input_shape, first));
    layer->output_shape = layer->input_shape;
    long long sum = layer->input_shape.dims[axis];
    for (size_t i = 1; i < layer->input_count; i++) {
        struct cn_shape shape = layer->inputs[i].shape;
        if (shape.rank == layer->input_shape.rank)
            shape.dims[axis] = layer->input_shape.dims[axis];
        if (!cn_shape_equal(&shape, &layer->input_shape))
            return cn_fail(error, CN_INVALID,
                           "layer \"%s\" (%s): its inputs are %s and %s; they may differ along the "
                           "axis alone",
                           layer->name, layer->type->class_name,
                           cn_shape_format(&layer->input_shape, first),
                           cn_shape_format(&layer->inputs[i].shape, other));
        sum += layer->inputs[i].shape.dims[axis];
        if (sum > CN_SHAPE_MAX_ELEMENTS)
            return cn_fail(error, CN_LIMIT, "layer \"%s\" (%s) gives over %d elements", layer->name,
                           layer->type->class_name, CN_SHAPE_MAX_ELEMENTS);
    }
    layer->output_shape.dims[axis] = (int)sum;
    return CN_OK;
}

/* Floats of `shape` from its axis on: what lies together. */
static size_t run_size(const struct cn_shape *shape, int axis) {
    size_t size = 1;
    for (int i = axis; i < shape->rank; i++)
        size *= (size_t)shape->dims[i];
    return size;
}

static void concatenate_apply(const struct cn_layer *layer, const float *const *inputs,
                              size_t count, float *y) {
    const int axis = concatenate_axis(layer);
    const size_t out = run_size(&layer->output_shape, axis);
    const size_t runs = count * cn_shape_size(&layer->output_shape) / out;
    for (size_t i = 0, at = 0; i < layer->input_count; i++) {
        const size_t in = run_size(&layer->inputs[i].shape, axis);
        for (size_t r = 0; r < runs; r++)
            memcpy(y + r * out + at, inputs[i] + r * in, in * sizeof *y);
        at += in;
    }
}

static void concatenate_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    concatenate_apply(layer, pass->xs, pass->count, pass->y);
}

static void concatenate_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const int axis = concatenate_axis(layer);
    const size_t out = run_size(&layer->output_shape, axis);
    const size_t runs = pass->count * cn_shape_size(&layer->output_shape) / out;
    for (size_t i = 0, at = 0; i < layer->input_count; i++) {
        const size_t in = run_size(&layer->inputs[i].shape, axis);
        for (size_t r = 0; pass->dxs[i] != NULL && r < runs; r++)
            memcpy(pass->dxs[i] + r * in, pass->dy + r * out + at, in * sizeof *pass->dy);
        at += in;
    }
}

static void concatenate_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                              float *y, float *scratch) {
    (void)scratch;
    concatenate_apply(&step->layer, inputs, count, y);
}

static const struct cn_layer_training concatenate_training = {.forward = concatenate_forward,
                                                              .backward = concatenate_backward};
static const struct cn_layer_inference concatenate_inference = {.infer = concatenate_infer};

const struct cn_layer_type cn_concatenate_type = {.class_name = "Concatenate",
                                                  .onnx = "Concat",
                                                  .config_size = sizeof defaults,
                                                  .defaults = &defaults,
                                                  .fields = fields,
                                                  .field_count = sizeof fields / sizeof *fields,
                                                  .min_inputs = 1,
                                                  .max_inputs = CN_LAYER_MAX_INPUTS,
                                                  .build = concatenate_build,
                                                  .training = &concatenate_training,
                                                  .inference = &concatenate_inference};
