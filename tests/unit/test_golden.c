/* test_golden.c: compares outputs, gradients and ten training losses with an independent
 * implementation: PyTorch in float64, whose numbers tests/golden/make-golden.py wrote. Both sides
 * compute weights, images and labels with the same hash; dropout has rate 0, because two
 * implementations draw different masks. Single layers are compared with make-layers.py's numbers.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/model.h"
#include "convnet/trainer.h"
#include "support/networks.h"

enum { IMAGES = 8, BATCH = 16, BATCHES = 3, STEPS = 10, SAMPLE = 37 };
enum { STREAM_IMAGES = 1000, STREAM_LABELS = 1001 };

#define GOLDEN TEST_DATA_DIR "/../golden/"
static const struct {
    const char *architecture, *numbers;
} cases[] = {
    {TEST_DATA_DIR "/../../models/seed.json", GOLDEN "golden-seed.json"},
    {TEST_DATA_DIR "/../../models/seed-unstrided.json", GOLDEN "golden-seed-unstrided.json"},
    {GOLDEN "normalized.json", GOLDEN "golden-normalized.json"}};
enum { CASES = sizeof cases / sizeof *cases };

/* ---- Computed by both sides ---- */

static uint32_t scramble(uint32_t x) {
    x = (x ^ (x >> 16)) * 0x21F0AAADU;
    x = (x ^ (x >> 15)) * 0x735A2D97U;
    return x ^ (x >> 15);
}

static uint32_t hash(uint32_t stream, size_t i) {
    return scramble(scramble(stream + 1) + (uint32_t)i);
}

/* The centre of a tensor's initial values; the spread of a kernel follows from its fans. */
static const struct {
    const char *kind;
    double centre, spread;
} kinds[] = {{"gamma", 1, 0.25},       {"beta", 0, 0.25},           {"bias", 0, 0.0625},
             {"moving_mean", 0, 0.25}, {"moving_variance", 1, 0.5}, {"alpha", 0, 0.25},
             {"mean", 0, 0.25},        {"variance", 1, 0.5}};

static double kernel_spread(const struct cn_tensor *tensor) {
    double in = 1;
    for (int i = 0; i + 1 < tensor->rank; i++)
        in *= tensor->dims[i];
    const double out = (double)tensor->size / tensor->dims[tensor->rank - 2];
    return exp2(floor(log2(sqrt(6 / (in + out)))));
}

static void initialize(struct cn_network *network) {
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const char *kind = strchr(tensor->name, '/') + 1;
        double centre = 0, spread = 0;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (strcmp(kind, kinds[k].kind) == 0) {
                centre = kinds[k].centre;
                spread = kinds[k].spread;
            }
        if (spread == 0)
            spread = kernel_spread(tensor);
        for (size_t i = 0; i < tensor->size; i++)
            network->parameters[tensor->offset + i] =
                (float)(centre + spread * ((hash((uint32_t)t, i) >> 8) * 0x1p-23 - 1));
    }
}

static float *make_images(size_t count) {
    float *images = cn_floats_allocate(count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t h = hash(STREAM_IMAGES, i);
        images[i] = h % 4 == 0 ? (float)(h >> 24) / 255.0f : 0;
    }
    return images;
}

static uint16_t *make_labels(size_t count, size_t classes) {
    uint16_t *labels = calloc(count, sizeof *labels);
    for (size_t i = 0; i < count; i++)
        labels[i] = (uint16_t)(hash(STREAM_LABELS, i) % classes);
    return labels;
}

/* The architecture without dropout, and with the hash's weights. */
static struct cn_network *make_network(const char *path) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    json_t *json = json_load_file(path, 0, NULL), *layer;
    size_t i;
    json_array_foreach(
        json_object_get(json_object_get(json, "config"), "layers"), i,
        layer) if (strcmp(json_string_value(json_object_get(layer, "class_name")), "Dropout") == 0)
        json_object_set_new(json_object_get(layer, "config"), "rate", json_real(0));
    char *text = json_dumps(json, JSON_COMPACT);
    cr_assert_not_null(text, "%s", path);
    cr_assert_eq(cn_architecture_parse(text, strlen(text), path, &network, &error), CN_OK, "%s",
                 error.text);
    free(text);
    json_decref(json);
    initialize(network);
    return network;
}

/* ---- Comparing ---- */

static double number(const json_t *json) {
    cr_assert(json_is_number(json));
    return json_number_value(json);
}

/* Each element and the norm may differ by `share` of the expected tensor's root mean square. */
static void compare_tensors(const struct cn_network *network, const float *values,
                            const json_t *expected, double share, const char *what) {
    size_t compared = 0;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const json_t *entry = json_object_get(expected, tensor->name);
        const json_t *sample = json_object_get(entry, "sample");
        if (entry == NULL)
            continue;
        const double norm = number(json_object_get(entry, "norm"));
        const double tolerance = share * norm / sqrt((double)tensor->size) + 1e-9;
        double squares = 0;
        for (size_t i = 0; i < tensor->size; i++) {
            const double got = (double)values[tensor->offset + i];
            squares += got * got;
            if (i % SAMPLE == 0)
                cr_expect_float_eq(got, number(json_array_get(sample, i / SAMPLE)), tolerance,
                                   "%s: %s[%zu] is %.9g, not %.9g", what, tensor->name, i, got,
                                   number(json_array_get(sample, i / SAMPLE)));
        }
        cr_expect_float_eq(sqrt(squares), norm, share * norm + 1e-9, "%s: |%s| is %.9g, not %.9g",
                           what, tensor->name, sqrt(squares), norm);
        compared++;
    }
    cr_assert_eq(compared, json_object_size(expected), "%s", what);
}

static void compare_outputs(const struct cn_network *network, const float *images,
                            const json_t *expected) {
    const size_t classes = cn_shape_size(&network->output_shape);
    float *outputs = test_outputs(network, images, IMAGES);
    for (size_t i = 0; i < IMAGES; i++)
        for (size_t c = 0; c < classes; c++)
            cr_expect_float_eq((double)outputs[i * classes + c],
                               number(json_array_get(json_array_get(expected, i), c)), 1e-5,
                               "output %zu of image %zu", c, i);
    free(outputs);
}

/* ---- Gradients and training ---- */

static double gradient(struct cn_network *network, const struct cn_minibatch *batch,
                       enum cn_loss loss, float smoothing, float *gradients) {
    struct cn_gradient_workspace *workspace = NULL;
    struct cn_minibatch_result result;
    cr_assert_eq(cn_gradient_workspace_create(network, batch->count, 2, &workspace, NULL), CN_OK);
    cn_network_gradient(network, workspace, batch, loss, smoothing, gradients, &result);
    cn_gradient_workspace_free(workspace);
    return result.loss_sum / (double)batch->count;
}

static enum cn_loss loss_of(const char *name) {
    return strcmp(name, "mean_squared_error") == 0 ? CN_LOSS_MEAN_SQUARED_ERROR
                                                   : CN_LOSS_CATEGORICAL_CROSSENTROPY;
}

static struct cn_training_options options_of(const char *optimizer) {
    struct cn_training_options options = cn_training_options_default();
    options.nesterov = strcmp(optimizer, "nesterov") == 0;
    options.momentum = options.nesterov ? 0.9f : 0;
    options.weight_decay = strcmp(optimizer, "adamw") == 0 ? 0.004f : 0;
    if (strcmp(optimizer, "adam") == 0)
        options.optimizer = CN_OPTIMIZER_ADAM;
    if (strcmp(optimizer, "adamw") == 0)
        options.optimizer = CN_OPTIMIZER_ADAMW;
    return options;
}

static void compare_training(const char *path, const float *images, const uint16_t *labels,
                             const char *loss, const char *optimizer, const json_t *expected) {
    struct cn_network *network = make_network(path);
    const struct cn_training_options options = options_of(optimizer);
    const size_t image = cn_shape_size(&network->input_shape), count = network->parameter_count;
    float *gradients = cn_floats_allocate(count), *state = cn_floats_allocate(2 * count);
    uint8_t *decay = calloc(count, 1);
    char what[64];
    (void)snprintf(what, sizeof what, "%s, %s", loss, optimizer);
    for (size_t t = 0; t < network->tensor_count; t++)
        if (strstr(network->tensors[t].name, "/kernel") != NULL)
            memset(decay + network->tensors[t].offset, 1, network->tensors[t].size);
    for (size_t step = 0; step < STEPS; step++) {
        const size_t first = step % BATCHES * BATCH;
        const struct cn_minibatch batch = {
            BATCH, images + first * image, labels + first, 1, step, NULL, NULL, NULL, false};
        const double got = gradient(network, &batch, loss_of(loss), 0, gradients);
        const double want = number(json_array_get(json_object_get(expected, "losses"), step));
        cr_expect_float_eq(got, want, 2e-4 * want, "%s: loss %zu is %.9g, not %.9g", what, step,
                           got, want);
        cn_optimizer_step(&options, options.learning_rate, step + 1, decay, gradients, state,
                          network->parameters, count);
    }
    compare_tensors(network, network->parameters, json_object_get(expected, "parameters"), 5e-4,
                    what);
    free(gradients);
    free(state);
    free(decay);
    cn_network_free(network);
}

struct golden {
    const char *path;
    json_t *numbers;
    struct cn_network *network;
    float *images;
    uint16_t *labels;
};

static struct golden golden_open(size_t index) {
    struct golden golden = {.path = cases[index].architecture};
    golden.numbers = json_load_file(cases[index].numbers, 0, NULL);
    cr_assert_not_null(golden.numbers, "%s", cases[index].numbers);
    golden.network = make_network(golden.path);
    golden.images = make_images(BATCH * BATCHES * cn_shape_size(&golden.network->input_shape));
    golden.labels = make_labels(BATCH * BATCHES, cn_shape_size(&golden.network->output_shape));
    return golden;
}

static void golden_close(struct golden *golden) {
    json_decref(golden->numbers);
    cn_network_free(golden->network);
    free(golden->images);
    free(golden->labels);
}

Test(golden, outputs_are_pytorchs) {
    for (size_t i = 0; i < CASES; i++) {
        struct golden golden = golden_open(i);
        compare_outputs(golden.network, golden.images, json_object_get(golden.numbers, "outputs"));
        golden_close(&golden);
    }
}

Test(golden, gradients_are_pytorchs) {
    for (size_t i = 0; i < CASES; i++) {
        struct golden golden = golden_open(i);
        const json_t *losses = json_object_get(golden.numbers, "gradients");
        const struct cn_minibatch batch = {IMAGES, golden.images, golden.labels, 1,    1,
                                           NULL,   NULL,          NULL,          false};
        float *gradients = cn_floats_allocate(golden.network->parameter_count);
        const char *loss;
        json_t *expected;
        cr_assert_eq(json_object_size(losses), 3);
        json_object_foreach((json_t *)(uintptr_t)losses, loss, expected) {
            initialize(golden.network); /* the moving statistics have changed */
            const float smoothing = strcmp(loss, "label_smoothing") == 0 ? 0.1f : 0;
            const double want = number(json_object_get(expected, "loss"));
            cr_expect_float_eq(
                gradient(golden.network, &batch, loss_of(loss), smoothing, gradients), want,
                1e-5 * want, "%s", loss);
            compare_tensors(golden.network, gradients, json_object_get(expected, "tensors"), 1e-4,
                            loss);
        }
        free(gradients);
        golden_close(&golden);
    }
}

Test(golden, ten_training_losses_are_pytorchs) {
    for (size_t i = 0; i < CASES; i++) {
        struct golden golden = golden_open(i);
        json_t *losses = json_object_get(golden.numbers, "training"), *optimizers, *expected;
        const char *loss, *optimizer;
        cr_assert_eq(json_object_size(losses), 2);
        json_object_foreach(losses, loss, optimizers) {
            cr_assert_eq(json_object_size(optimizers), 4);
            json_object_foreach(optimizers, optimizer, expected) compare_training(
                golden.path, golden.images, golden.labels, loss, optimizer, expected);
        }
        golden_close(&golden);
    }
}

/* ---- Single layers ---- */

Test(golden, layers_are_pytorchs) {
    json_t *list = json_load_file(GOLDEN "golden-layers.json", 0, NULL), *entry, *value;
    size_t i, k;
    cr_assert_gt(json_array_size(list), 50);
    json_array_foreach(list, i, entry) {
        const char *layers = json_string_value(json_object_get(entry, "layers"));
        struct cn_shape input = {.dims = {1, 1, 1, 1, 1}}, output = input;
        json_array_foreach(json_object_get(entry, "shape"), k, value) input.dims[input.rank++] =
            (int)json_integer_value(value);
        json_array_foreach(json_object_get(entry, "output_shape"), k, value)
            output.dims[output.rank++] = (int)json_integer_value(value);
        struct cn_network *network = test_graph(&input, 1, layers, "", 1);
        const size_t size = cn_shape_size(&input), made = cn_shape_size(&network->output_shape);
        float *samples = cn_floats_allocate(size);
        const json_t *expected = json_object_get(entry, "output");
        initialize(network);
        for (k = 0; k < size; k++)
            samples[k] = (float)((hash(STREAM_IMAGES, k) >> 8) * 0x1p-23 - 1);
        float *outputs = test_outputs(network, samples, 1);
        cr_assert(cn_shape_equal(&network->output_shape, &output), "%s", layers);
        cr_assert_eq(json_array_size(expected), made, "%s", layers);
        for (k = 0; k < made; k++)
            cr_expect_float_eq((double)outputs[k], number(json_array_get(expected, k)), 3e-6,
                               "%s: number %zu is %.9g", layers, k, (double)outputs[k]);
        free(outputs);
        free(samples);
        cn_network_free(network);
    }
    json_decref(list);
}
