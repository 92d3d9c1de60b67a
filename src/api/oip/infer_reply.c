/* infer_reply.c: the answer to an inference request: JSON, and a binary part behind it where the
 * client asks for one. Pure but for one header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/oip/infer.h"

/* An output's elements, in whichever form; the bytes of the binary form are counted first. */
struct output {
    const struct prediction *prediction;
    size_t rows, columns; /* columns: the model's classes, or those that were asked for */
    bool binary;
    bool classify;
    size_t *order; /* [rows, columns]: the classes of each row, most probable first */
};

static int by_probability(const void *a, const void *b, void *row) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const float *p = row;
    if (p[x] != p[y])
        return p[x] < p[y] ? 1 : -1;
    return (x > y) - (x < y);
}

/* Sorts each row's classes and keeps the first ones. False without memory. */
static bool rank_classes(struct output *output, size_t classes) {
    const float *p = output->prediction->outputs;
    size_t *all = calloc(classes, sizeof *all);
    output->order = calloc(output->rows * output->columns, sizeof *output->order);
    if (all == NULL || output->order == NULL) {
        free(all);
        return false;
    }
    for (size_t row = 0; row < output->rows; row++) {
        for (size_t i = 0; i < classes; i++)
            all[i] = i;
        qsort_r(all, classes, sizeof *all, by_probability, (void *)(p + row * classes));
        memcpy(output->order + row * output->columns, all, output->columns * sizeof *all);
    }
    free(all);
    return true;
}

/* "0.99:7:seven", the classification extension's form. */
static void add_class(struct cn_text *text, const struct output *output, size_t row,
                      size_t column) {
    const struct cn_model *model = output->prediction->model->model;
    const size_t class = output->order[row * output->columns + column];
    cn_text_add_float(text, output->prediction->outputs[row * model->output_size + class]);
    cn_text_add(text, ":");
    cn_text_add_size(text, class);
    if (model->label_count != model->output_size)
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
            uint32_t bits;
            memcpy(&bits, &output->prediction->outputs[i], sizeof bits);
            add_u32(text, bits);
        }
    }
}

static void add_data(struct cn_text *text, const struct output *output) {
    if (!output->classify) {
        cn_json_add_floats(text, "data", output->prediction->outputs,
                           output->rows * output->columns);
        return;
    }
    cn_json_open(text, "data", '[');
    for (size_t i = 0; i < output->rows * output->columns; i++)
        add_class_json(text, output, i / output->columns, i % output->columns);
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

static void add_output(struct cn_text *text, const struct output *output, size_t binary_size) {
    const int shape[] = {(int)output->rows, (int)output->columns};
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", INFER_OUTPUT);
    cn_json_add_string(text, "datatype", output->classify ? "BYTES" : "FP32");
    cn_json_add_integers(text, "shape", shape, 2);
    if (output->binary) {
        cn_json_open(text, "parameters", '{');
        cn_json_add_size(text, "binary_data_size", binary_size);
        cn_json_close(text, '}');
    } else {
        add_data(text, output);
    }
    cn_text_add(text, "}]}");
}

const char *infer_render(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *p = exchange->state;
    const struct infer_request *request = p->protocol_state;
    const size_t classes = p->model->model->output_size;
    struct output output = {.prediction = p,
                            .rows = p->count,
                            .columns = classes,
                            .classify = request->classes > 0,
                            .binary = request->output_says_binary ? request->output_binary
                                                                  : request->binary_output};
    struct cn_text binary = {0};
    char length[24];
    if (output.classify) {
        output.columns = request->classes < classes ? request->classes : classes;
        text->failed |= !rank_classes(&output, classes);
    }
    if (output.binary && !text->failed)
        add_binary(&binary, &output);
    add_head(text, request);
    if (!text->failed)
        add_output(text, &output, binary.length);
    if (output.binary && !text->failed) {
        (void)snprintf(length, sizeof length, "%zu", text->length);
        http_add_header(exchange, "Inference-Header-Content-Length", length);
        cn_text_add_bytes(text, binary.bytes, binary.length);
    }
    text->failed |= binary.failed;
    free(binary.bytes);
    free(output.order);
    return output.binary ? "application/octet-stream" : "application/json";
}
