/* outputs.c: see outputs.h. Only outputs that are probabilities are called "probabilities". Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/outputs.h"

static void add_class(struct cn_text *text, const struct cn_answer *answer) {
    cn_json_add_size(text, "class", (size_t)answer->class_index);
    if (answer->label != NULL)
        cn_json_add_string(text, "label", answer->label);
    if (answer->is_probable)
        cn_json_add_float(text, "confidence", answer->confidence);
}

static void add_labels(struct cn_text *text, const struct cn_model *model, const float *outputs) {
    cn_json_open(text, "labels", '[');
    for (size_t i = 0; i < model->label_count; i++)
        if (outputs[i] >= 0.5f)
            cn_json_add_string(text, NULL, model->labels[i]);
    cn_json_close(text, ']');
}

struct cn_answer cn_outputs_answer(const struct cn_model *model, const float *outputs, int others) {
    struct cn_answer answer = cn_model_answer(model, outputs);
    answer.confidence /= (float)(1 + others);
    return answer;
}

void cn_outputs_add_json(struct cn_text *text, const struct cn_model *model, const float *outputs,
                         int others) {
    const struct cn_shape *shape = &model->network->output_shape;
    const struct cn_answer answer = cn_outputs_answer(model, outputs, others);
    if (answer.class_index >= 0)
        add_class(text, &answer);
    switch (model->kind) {
    case CN_OUTPUT_SOFTMAX:
        cn_json_add_floats(text, "probabilities", outputs, model->output_size);
        break;
    case CN_OUTPUT_SIGMOID:
        cn_json_add_floats(text, "probabilities", (const float[]){1 - outputs[0], outputs[0]}, 2);
        break;
    case CN_OUTPUT_SIGMOIDS:
        add_labels(text, model, outputs);
        cn_json_add_floats(text, "probabilities", outputs, model->output_size);
        break;
    case CN_OUTPUT_LOGITS:
        cn_json_add_floats(text, "values", outputs, model->output_size);
        break;
    case CN_OUTPUT_NUMBER:
        cn_json_add_float(text, "value", outputs[0]);
        break;
    case CN_OUTPUT_MAP:
        cn_json_add_integers(text, "shape", shape->dims, (size_t)shape->rank);
        cn_json_add_floats(text, "values", outputs, model->output_size);
        break;
    }
}

/* Calls `add` with the name of each label of the set: the label, or else its number. */
static void each_label(const struct cn_model *model, const struct cn_label_set *set,
                       const float *outputs, void (*add)(void *context, const char *label),
                       void *context) {
    char number[24];
    for (size_t i = 0; i < model->output_size; i++) {
        if (!(outputs[i] >= set->least))
            continue;
        (void)snprintf(number, sizeof number, "%zu", i);
        add(context, i < model->label_count ? model->labels[i] : number);
    }
}

static void set_add_json(void *context, const char *label) {
    cn_json_add_string(context, NULL, label);
}

static void set_add_plain(void *context, const char *label) {
    struct cn_text *plain = context;
    cn_text_add(plain, plain->length > 0 ? " " : "");
    cn_text_add(plain, label);
}

void cn_outputs_add_set_json(struct cn_text *text, const struct cn_model *model,
                             const struct cn_error_level *level, const float *outputs) {
    const struct cn_label_set set = cn_model_label_set(model, level, outputs);
    cn_json_open(text, "labels", '[');
    each_label(model, &set, outputs, set_add_json, text);
    cn_json_close(text, ']');
    cn_json_add_bool(text, "rejected", set.count == 0);
}

void cn_outputs_add_set_csv(struct cn_text *text, const struct cn_model *model,
                            const struct cn_error_level *level, const float *outputs) {
    const struct cn_label_set set = cn_model_label_set(model, level, outputs);
    struct cn_text plain = {0};
    each_label(model, &set, outputs, set_add_plain, &plain);
    cn_text_add(text, ",");
    cn_text_add_csv(text, plain.length > 0 ? cn_text_string(&plain) : "");
    cn_text_add(text, set.count == 0 ? ",1" : ",0");
    text->failed |= plain.failed;
    free(plain.bytes);
}

void cn_report_add_json(struct cn_text *text, const struct cn_preprocessing_report *report) {
    cn_json_open(text, "preprocessing", '{');
    cn_json_add_bool(text, "unchanged", report->unchanged);
    cn_json_add_bool(text, "inverted", report->inverted);
    cn_json_add_bool(text, "uneven", report->uneven);
    cn_json_add_bool(text, "sheet", report->sheet);
    cn_json_add_integers(text, "crop", report->crop, 4);
    cn_json_add_float(text, "scale", report->scale);
    cn_json_add_float(text, "thickened", report->thickened);
    cn_json_add_size(text, "others", (size_t)report->others);
    cn_json_close(text, '}');
}

/* Adds the name of column `index`: the label, or else the number. */
static void add_column(struct cn_text *text, const struct cn_model *model, const char *prefix,
                       size_t index) {
    cn_text_add(text, prefix);
    if (index < model->label_count && model->kind != CN_OUTPUT_MAP)
        cn_text_add_csv(text, model->labels[index]);
    else
        cn_text_add_size(text, index);
}

void cn_outputs_add_csv_head(struct cn_text *text, const struct cn_model *model) {
    const bool classes = model->kind == CN_OUTPUT_SOFTMAX || model->kind == CN_OUTPUT_SIGMOID;
    const bool probable = classes || model->kind == CN_OUTPUT_SIGMOIDS;
    const size_t count = model->kind == CN_OUTPUT_SIGMOID ? 2 : model->output_size;
    cn_text_add(text, classes                           ? "class,label,confidence"
                      : model->kind == CN_OUTPUT_LOGITS ? "class,label"
                                                        : "");
    for (size_t i = 0; i < count; i++) {
        cn_text_add(text, i > 0 || classes || model->kind == CN_OUTPUT_LOGITS ? "," : "");
        if (model->kind == CN_OUTPUT_NUMBER)
            cn_text_add(text, "value");
        else
            add_column(text, model, probable ? "p_" : "value_", i);
    }
}

void cn_outputs_add_csv(struct cn_text *text, const struct cn_model *model, const float *outputs,
                        int others) {
    const struct cn_answer answer = cn_outputs_answer(model, outputs, others);
    const float pair[] = {1 - outputs[0], outputs[0]};
    const bool sigmoid = model->kind == CN_OUTPUT_SIGMOID;
    if (answer.class_index >= 0) {
        cn_text_add_size(text, (size_t)answer.class_index);
        cn_text_add(text, ",");
        cn_text_add_csv(text, answer.label != NULL ? answer.label : "");
    }
    if (answer.is_probable) {
        cn_text_add(text, ",");
        cn_text_add_float(text, answer.confidence);
    }
    for (size_t i = 0; i < (sigmoid ? 2 : model->output_size); i++) {
        cn_text_add(text, i > 0 || answer.class_index >= 0 ? "," : "");
        cn_text_add_float(text, sigmoid ? pair[i] : outputs[i]);
    }
}

void cn_outputs_add_csv_empty(struct cn_text *text, const struct cn_model *model) {
    const bool sigmoid = model->kind == CN_OUTPUT_SIGMOID;
    const size_t first = sigmoid || model->kind == CN_OUTPUT_SOFTMAX ? 3
                         : model->kind == CN_OUTPUT_LOGITS           ? 2
                                                                     : 0;
    for (size_t i = 1; i < first + (sigmoid ? 2 : model->output_size); i++)
        cn_text_add(text, ",");
}

bool cn_outputs_is_picture(const struct cn_model *model) {
    const struct cn_shape *shape = &model->network->output_shape;
    return model->kind == CN_OUTPUT_MAP && (shape->rank == 2 || shape->rank == 3) &&
           (shape->rank == 2 || shape->dims[2] <= 256);
}

static uint8_t pixel_of(const float *values, int channels) {
    int largest = 0;
    if (channels == 1)
        return (uint8_t)lrintf(fminf(fmaxf(values[0], 0), 1) * 255);
    for (int c = 1; c < channels; c++)
        largest = values[c] > values[largest] ? c : largest;
    return (uint8_t)largest;
}

void cn_outputs_add_png(struct cn_text *text, const struct cn_model *model, const float *outputs) {
    const struct cn_shape *shape = &model->network->output_shape;
    const int channels = shape->rank == 3 ? shape->dims[2] : 1;
    const size_t pixels = (size_t)shape->dims[0] * (size_t)shape->dims[1];
    uint8_t *samples = malloc(pixels);
    void *png = NULL;
    size_t length = 0;
    for (size_t i = 0; samples != NULL && i < pixels; i++)
        samples[i] = pixel_of(outputs + i * (size_t)channels, channels);
    if (samples == NULL ||
        cn_png_encode(samples, shape->dims[1], shape->dims[0], 1, &png, &length, NULL) != CN_OK)
        text->failed = true;
    else
        cn_text_add_bytes(text, png, length);
    free(png);
    free(samples);
}
