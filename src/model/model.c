/* model.c: a model in memory: creation, labels, training record, checks.
 *
 * Reads and writes no files. A model is changed by one thread only; once it is served it is
 * read-only and shared. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convnet/plan.h"
#include "model/model_file.h"
#include "json/load.h"

enum { MAX_LABEL = 256, MAX_LABELS = 65535 };

static void free_labels(char **labels, size_t count) {
    for (size_t i = 0; labels != NULL && i < count; i++)
        free(labels[i]);
    free(labels);
}

/* Labels appear in logs, CSV and pages, so they must be UTF-8 without control characters. */
static enum cn_status check_label(const char *label, size_t index, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const size_t length = strlen(label);
    bool plain = length > 0 && length <= MAX_LABEL;
    for (size_t i = 0; i < length && plain; i++)
        plain = (unsigned char)label[i] >= 0x20 && label[i] != 0x7f;
    json_t *utf8 = plain ? json_string(label) : NULL;
    plain = utf8 != NULL;
    json_decref(utf8);
    if (!plain)
        return cn_fail(error, CN_INVALID,
                       "label %zu is \"%s\"; it must be 1 to %d bytes of UTF-8 without control "
                       "characters",
                       index, cn_text_show(label, shown), MAX_LABEL);
    return CN_OK;
}

/* The number of labels that an output has by default. */
static size_t usual_label_count(const struct cn_model *model) {
    switch (model->kind) {
    case CN_OUTPUT_SIGMOID:
        return 2;
    case CN_OUTPUT_SOFTMAX:
    case CN_OUTPUT_SIGMOIDS:
    case CN_OUTPUT_LOGITS:
        return model->output_size <= MAX_LABELS ? model->output_size : 0;
    case CN_OUTPUT_NUMBER:
    case CN_OUTPUT_MAP:
        break;
    }
    return 0;
}

static enum cn_status check_label_count(const struct cn_model *model, size_t count,
                                        struct cn_error *error) {
    const size_t usual = usual_label_count(model);
    const struct cn_shape *shape = &model->network->output_shape;
    const size_t channels = model->kind == CN_OUTPUT_MAP ? (size_t)cn_shape_channels(shape) : 0;
    if (count == usual || (count > 0 && count == channels))
        return CN_OK;
    if (model->kind == CN_OUTPUT_SIGMOID)
        return cn_fail(error, CN_INVALID,
                       "%zu labels for one probability of two classes; there must be 2, the first "
                       "for those below one half",
                       count);
    return cn_fail(error, CN_INVALID, "%zu labels for a network of %zu outputs", count,
                   channels > 0 ? channels : model->output_size);
}

enum cn_status cn_model_set_labels(struct cn_model *model, const char *const *labels, size_t count,
                                   struct cn_error *error) {
    char **copies = NULL;
    enum cn_status status = check_label_count(model, count, error);
    if (status != CN_OK)
        return status;
    copies = calloc(count + 1, sizeof *copies);
    if (copies == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
    for (size_t i = 0; i < count && status == CN_OK; i++) {
        status = check_label(labels[i], i, error);
        if (status == CN_OK && (copies[i] = strdup(labels[i])) == NULL)
            status = cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
    }
    if (status != CN_OK) {
        free_labels(copies, count);
        return status;
    }
    free_labels(model->labels, model->label_count);
    model->labels = copies;
    model->label_count = count;
    return CN_OK;
}

struct cn_answer cn_model_answer(const struct cn_model *model, const float *outputs) {
    struct cn_answer answer = {.class_index = -1};
    switch (model->kind) {
    case CN_OUTPUT_SOFTMAX:
        answer.class_index = (int)cn_plan_answer(outputs, model->output_size, &answer.confidence);
        answer.is_probable = true;
        break;
    case CN_OUTPUT_SIGMOID:
        answer.class_index = outputs[0] >= 0.5f;
        answer.confidence = answer.class_index == 1 ? outputs[0] : 1 - outputs[0];
        answer.is_probable = true;
        break;
    case CN_OUTPUT_LOGITS:
        answer.class_index = (int)cn_plan_answer(outputs, model->output_size, &answer.confidence);
        answer.confidence = 0;
        break;
    case CN_OUTPUT_SIGMOIDS:
    case CN_OUTPUT_NUMBER:
    case CN_OUTPUT_MAP:
        break;
    }
    if (answer.class_index >= 0 && (size_t)answer.class_index < model->label_count)
        answer.label = model->labels[answer.class_index];
    return answer;
}

enum cn_status cn_model_set_training(struct cn_model *model, const char *json,
                                     struct cn_error *error) {
    json_t *root = NULL;
    enum cn_status status =
        cn_json_parse(json, strlen(json), "training record", NULL, -1, &root, error);
    if (status != CN_OK)
        return status;
    const bool is_object = json_is_object(root);
    json_decref(root);
    if (!is_object)
        return cn_fail(error, CN_INVALID, "the training record must be a JSON object");
    char *copy = strdup(json);
    if (copy == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the training record");
    free(model->training);
    model->training = copy;
    return CN_OK;
}

enum cn_status cn_model_reset_labels(struct cn_model *model, struct cn_error *error) {
    model->kind = cn_network_output_kind(model->network, 0);
    model->output_size = cn_shape_size(&model->network->output_shape);
    model->error_levels.count = 0;
    free_labels(model->labels, model->label_count);
    const size_t count = usual_label_count(model);
    model->label_count = 0;
    model->labels = calloc(count + 1, sizeof *model->labels);
    if (model->labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
    model->label_count = count;
    for (size_t i = 0; i < count; i++)
        if (asprintf(&model->labels[i], "%zu", i) < 0) {
            model->labels[i] = NULL;
            return cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
        }
    return CN_OK;
}

/* True if the labels are the ten digits. */
static bool reads_digits(const struct cn_model *model) {
    bool digits = model->label_count == 10;
    for (size_t i = 0; digits && i < model->label_count; i++)
        digits = model->labels[i][0] == (char)('0' + i) && model->labels[i][1] == '\0';
    return digits;
}

void cn_model_reset_preprocessing(struct cn_model *model) {
    const struct cn_shape *shape = &model->network->input_shape;
    const bool digits = shape->rank == 3 && shape->dims[2] == 1 && reads_digits(model);
    model->preprocessing =
        digits ? cn_preprocessing_digits(shape) : cn_preprocessing_default(shape);
}

enum cn_status cn_model_create(struct cn_network *network, struct cn_model **ret_model,
                               struct cn_error *error) {
    struct cn_model *model = NULL;
    enum cn_status status = CN_OK;
    if (network->parameters == NULL) {
        status = cn_fail(error, CN_INVALID, "the network must be built first");
        goto out;
    }
    model = calloc(1, sizeof *model);
    if (model == NULL || (model->training = strdup("{}")) == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for a model");
        goto out;
    }
    model->network = network;
    model->weights_file = -1;
    model->input_forms = network->input_count;
    model->output_forms = network->output_count;
    network = NULL;
    status = cn_model_reset_labels(model, error);
    if (status == CN_OK)
        status = cn_model_reset_tensors(model, error);
    if (status != CN_OK)
        goto out;
    cn_model_reset_preprocessing(model);
    *ret_model = model;
    model = NULL;
out:
    cn_network_free(network);
    cn_model_free(model);
    return status;
}

/* A finite number times zero is zero, and any other is NaN, which makes the sum NaN. */
static bool all_finite(const float *values, size_t count) {
    enum { LANES = 16 }; /* sums that do not wait for each other */
    float sums[LANES] = {0}, rest = 0;
    size_t k = 0;
    for (; k + LANES <= count; k += LANES)
        for (size_t i = 0; i < LANES; i++)
            sums[i] += values[k + i] * 0;
    for (; k < count; k++)
        rest += values[k] * 0;
    for (size_t i = 0; i < LANES; i++)
        rest += sums[i];
    return rest == 0;
}

enum cn_status cn_model_check_weights(const struct cn_network *network, struct cn_error *error) {
    for (size_t i = 0; i < network->tensor_count; i++) {
        const struct cn_tensor *tensor = &network->tensors[i];
        const float *values = network->parameters + tensor->offset;
        if (all_finite(values, tensor->size))
            continue;
        for (size_t k = 0; k < tensor->size; k++) {
            const float value = values[k];
            if (!isfinite(value))
                return cn_fail(error, CN_INVALID,
                               "tensor \"%s\": element %zu is %g; weights must be finite",
                               tensor->name, k, (double)value);
        }
    }
    return CN_OK;
}

enum cn_status cn_model_check_temperature(float temperature, struct cn_error *error) {
    if (!(temperature >= 0.01f && temperature <= 100))
        return cn_fail(error, CN_INVALID, "the temperature is %g; it must be from 0.01 to 100",
                       (double)temperature);
    return CN_OK;
}

void cn_model_free(struct cn_model *model) {
    if (model == NULL)
        return;
    cn_network_free(model->network);
    if (model->weights_file >= 0)
        (void)close(model->weights_file);
    cn_model_free_interface(model);
    free_labels(model->labels, model->label_count);
    free(model->training);
    free(model);
}
