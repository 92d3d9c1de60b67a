/* where.c: Where, which takes the second input's number where the first's is not 0, else the
 * third's; axes of length 1 are broadcast. Keras has no such layer. No state. */
#include <string.h>

#include "layers/layer_type.h"
#include "layers/strided_walk.h"

static enum cn_status where_build(struct cn_layer *layer, struct cn_error *error) {
    struct cn_shape shape;
    if (!cn_walk_broadcast(&layer->inputs[0].shape, &layer->inputs[1].shape, &shape) ||
        !cn_walk_broadcast(&shape, &layer->inputs[2].shape, &layer->output_shape))
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (Where): each axis of its inputs must be alike, or 1",
                       layer->name);
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

static struct cn_walk where_walk(const struct cn_layer *layer) {
    struct cn_walk walk = cn_walk_over(&layer->output_shape);
    for (int i = 0; i < 3; i++)
        cn_walk_follow_broadcast(&walk, &layer->inputs[i].shape);
    return walk;
}

static void where_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    (void)scratch;
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t s = 0; s < count; s++) {
        const float *x[3];
        struct cn_walk walk = where_walk(layer);
        for (int i = 0; i < 3; i++)
            x[i] = inputs[i] + s * cn_shape_size(&layer->inputs[i].shape);
        do {
            float *row = y + s * out + walk.row * (size_t)walk.columns;
            for (int i = 0; i < walk.columns; i++)
                row[i] = x[0][walk.at[0] + i * walk.step[0]] != 0
                             ? x[1][walk.at[1] + i * walk.step[1]]
                             : x[2][walk.at[2] + i * walk.step[2]];
        } while (cn_walk_next(&walk));
    }
}

static void where_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    size_t sizes[3];
    const size_t out = cn_shape_size(&layer->output_shape);
    for (int i = 0; i < 3; i++) {
        sizes[i] = cn_shape_size(&layer->inputs[i].shape);
        if (pass->dxs[i] != NULL)
            memset(pass->dxs[i], 0, pass->count * sizes[i] * sizeof *pass->dxs[i]);
    }
    for (size_t s = 0; s < pass->count; s++) {
        struct cn_walk walk = where_walk(layer);
        do
            for (int i = 0; i < walk.columns; i++) {
                const size_t condition = s * sizes[0] + (size_t)(walk.at[0] + i * walk.step[0]);
                const int taken = pass->xs[0][condition] != 0 ? 1 : 2;
                const size_t at =
                    s * sizes[taken] + (size_t)(walk.at[taken] + i * walk.step[taken]);
                if (pass->dxs[taken] != NULL)
                    pass->dxs[taken][at] +=
                        pass->dy[s * out + walk.row * (size_t)walk.columns + (size_t)i];
            }
        while (cn_walk_next(&walk));
    }
}

static const struct cn_layer_training where_training = {.backward = where_backward};
static const struct cn_layer_inference where_inference = {.infer = where_infer};

const struct cn_layer_type cn_where_type = {.class_name = "Where",
                                            .onnx = "Where",
                                            .min_inputs = 3,
                                            .max_inputs = 3,
                                            .build = where_build,
                                            .training = &where_training,
                                            .inference = &where_inference};
