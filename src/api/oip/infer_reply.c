/* infer_reply.c: writes the answer to an inference request: JSON, followed by a binary part if the
 * client asks for one. Pure, except for one response header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/oip/infer.h"

/* One output's elements; the length of the binary form is computed first. */
struct output {
    const struct prediction *prediction;
    const struct cn_tensor_form *form;
    const char *name;
    size_t offset;        /* of this output's numbers within a row of outputs */
    size_t rows, columns; /* columns: the numbers of an image, or the requested classes */
    bool binary;
    bool classify;
    size_t *order; /* [rows, columns]: the classes of each row, most probable first */
};

/* Number `column` of image `row`, in the order of the source model. */
static float output_number(const struct output *output, size_t row, size_t column) {
    const uint32_t *places = output->form->places;
    return prediction_outputs(output->prediction,
                              row)[output->offset + (places != NULL ? places[column] : column)];
}

static int by_probability(const void *a, const void *b, void *row) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const float *p = row;
    if (p[x] != p[y])
        return p[x] < p[y] ? 1 : -1;
    return (x > y) - (x < y);
}

/* Sorts each row's classes by probability and keeps the first ones. False if memory runs out. */
static bool rank_classes(struct output *output, size_t classes) {
    size_t *all = calloc(classes, sizeof *all);
    output->order = calloc(output->rows * output->columns, sizeof *output->order);
    if (all == NULL || output->order == NULL) {
        free(all);
        return false;
    }
    for (size_t row = 0; row < output->rows; row++) {
        for (size_t i = 0; i < classes; i++)
            all[i] = i;
        const float *p = prediction_outputs(output->prediction, row) + output->offset;
        qsort_r(all, classes, sizeof *all, by_probability, (void *)(uintptr_t)p);
        memcpy(output->order + row * output->columns, all, output->columns * sizeof *all);
    }
    free(all);
    return true;
}

/* "0.99:7:seven": the form of the classification extension. */
static void add_class(struct cn_text *text, const struct output *output, size_t row,
                      size_t column) {
    const struct cn_model *model = output->prediction->model->model;
    const size_t class = output->order[row * output->columns + column];
    cn_text_add_float(text, prediction_outputs(output->prediction, row)[output->offset + class]);
    cn_text_add(text, ":");
    cn_text_add_size(text, class);
    if (output->form->port != 0 || model->label_count != model->output_size)
        return;
    cn_text_add(text, ":");
    cn_text_add_bytes(text, model->labels[class], strlen(model->labels[class]));
}

/* The same as a JSON string. */
static void add_class_json(struct cn_text *text, const struct output *output, size_t row,
                           size_t column) {
    struct cn_text plain = {0};
    add_class(&plain, output, row, column);
    cn_json_add_string(text, NULL, cn_text_string(&plain));
    text->failed |= plain.failed;
    free(plain.bytes);
}

static void add_u32(struct cn_text *text, uint32_t value) {
    const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                             (uint8_t)(value >> 24)};
    cn_text_add_bytes(text, bytes, sizeof bytes);
}

static void add_binary(struct cn_text *text, const struct output *output) {
    for (size_t i = 0; i < output->rows * output->columns; i++) {
        if (output->classify) {
            struct cn_text one = {0};
            size_t length = 0;
            add_class(&one, output, i / output->columns, i % output->columns);
            char *bytes = cn_text_take(&one, &length);
            text->failed |= bytes == NULL;
            add_u32(text, (uint32_t)length);
            cn_text_add_bytes(text, bytes, length);
            free(bytes);
        } else {
            const float number = output_number(output, i / output->columns, i % output->columns);
            uint32_t bits;
            memcpy(&bits, &number, sizeof bits);
            add_u32(text, bits);
        }
    }
}

static void add_data(struct cn_text *text, const struct output *output) {
    cn_json_open(text, "data", '[');
    for (size_t i = 0; i < output->rows * output->columns; i++)
        if (output->classify)
            add_class_json(text, output, i / output->columns, i % output->columns);
        else
            cn_json_add_float(text, NULL,
                              output_number(output, i / output->columns, i % output->columns));
    cn_json_close(text, ']');
}

static void add_head(struct cn_text *text, const struct infer_request *request) {
    const struct served_model *model = request->prediction->model;
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "model_name", model->name);
    cn_json_add_size_string(text, "model_version", model->version);
    if (request->id.begin != NULL)
        cn_json_add_escaped(text, "id", request->id.begin, request->id.length);
    cn_json_open(text, "outputs", '[');
}

/* [2, 3, 32, 32] */
static void add_shape(struct cn_text *text, const struct output *output) {
    const struct cn_tensor_form *form = output->form;
    cn_json_open(text, "shape", '[');
    if (form->batched || output->classify || output->rows != 1)
        cn_json_add_size(text, NULL, output->rows);
    for (int i = form->batched; i < form->rank && !output->classify; i++)
        cn_json_add_size(text, NULL, (size_t)form->dims[i]);
    if (output->classify)
        cn_json_add_size(text, NULL, output->columns);
    cn_json_close(text, ']');
}

static void add_output(struct cn_text *text, const struct output *output, size_t binary_size) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", output->name);
    cn_json_add_string(text, "datatype", output->classify ? "BYTES" : "FP32");
    add_shape(text, output);
    if (output->binary) {
        cn_json_open(text, "parameters", '{');
        cn_json_add_size(text, "binary_data_size", binary_size);
        cn_json_close(text, '}');
    } else {
        add_data(text, output);
    }
    cn_text_add(text, "}");
}

/* The request's options for one output; NULL: there are none. */
static void render_output(struct cn_text *text, struct cn_text *binary,
                          const struct infer_request *request, const struct cn_tensor_form *form,
                          const struct infer_output *asked) {
    const struct prediction *p = request->prediction;
    struct output output = {.prediction = p,
                            .form = form,
                            .name = asked != NULL && asked->alias ? INFER_OUTPUT : form->name,
                            .offset = cn_plan_output_offset(p->model->plan, form->port),
                            .rows = p->count,
                            .columns = form->size,
                            .classify = asked != NULL && asked->classes > 0,
                            .binary = asked != NULL && asked->says_binary ? asked->binary
                                                                          : request->binary_output};
    const size_t before = binary->length;
    if (output.classify) {
        output.columns = asked->classes < form->size ? asked->classes : form->size;
        text->failed |= !rank_classes(&output, form->size);
    }
    if (output.binary && !text->failed)
        add_binary(binary, &output);
    if (!text->failed)
        add_output(text, &output, binary->length - before);
    free(output.order);
}

const char *infer_render(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *p = exchange->state;
    const struct infer_request *request = p->protocol_state;
    const struct cn_model *model = p->model->model;
    const bool all = request->output_count == 0;
    struct cn_text binary = {0};
    char length[24];
    add_head(text, request);
    for (size_t i = 0; i < (all ? model->output_forms : request->output_count); i++) {
        const struct infer_output *asked = all ? NULL : &request->outputs[i];
        render_output(text, &binary, request, all ? &model->outputs[i] : asked->form, asked);
    }
    cn_text_add(text, "]}");
    const bool has_binary = binary.length > 0;
    if (has_binary && !text->failed) {
        (void)snprintf(length, sizeof length, "%zu", text->length);
        http_add_header(exchange, "Inference-Header-Content-Length", length);
        cn_text_add_bytes(text, binary.bytes, binary.length);
    }
    text->failed |= binary.failed;
    free(binary.bytes);
    return has_binary ? "application/octet-stream" : "application/json";
}
