/* predict_output.c: THE table of output formats: how a row of a picture is written, and how it is
 * recognized in a file.
 *
 * Adds to a text, prints nothing. Thread-safe. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/predict_command.h"
#include "model/outputs.h"

static int others_of(const struct prediction *prediction) {
    return prediction->report != NULL ? prediction->report->others : 0;
}

/* ---- The first classes ---- */

static size_t class_count(const struct cn_model *model) {
    return model->kind == CN_OUTPUT_SIGMOID ? 2 : model->output_size;
}

/* The number printed for a class: its probability, or another value. */
static float class_value(const struct cn_model *model, const float *outputs, size_t index) {
    if (model->kind == CN_OUTPUT_SIGMOID)
        return index == 0 ? 1 - outputs[0] : outputs[0];
    return outputs[index];
}

static const char *class_value_name(const struct cn_model *model) {
    return model->kind == CN_OUTPUT_LOGITS ? "value" : "confidence";
}

static const char *class_label(const struct cn_model *model, size_t index) {
    return index < model->label_count ? model->labels[index] : "";
}

enum cn_status predict_check_top(const struct cn_model *model, int top, struct cn_error *error) {
    if (model->kind == CN_OUTPUT_NUMBER || model->kind == CN_OUTPUT_MAP)
        return cn_fail(error, CN_INVALID, "--top %d: the model has no classes", top);
    if ((size_t)top > class_count(model)) {
        return cn_fail(error, CN_INVALID, "--top %d: the model has %zu classes", top,
                       class_count(model));
    }
    return CN_OK;
}

/* The class after `last` in descending order, the lower number first among equal values; `last`
 * SIZE_MAX: the first one. */
static size_t class_after(const struct cn_model *model, const float *outputs, size_t last) {
    const float bound = last != SIZE_MAX ? class_value(model, outputs, last) : 0;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < class_count(model); i++) {
        const float value = class_value(model, outputs, i);
        const bool later = last == SIZE_MAX || value < bound || (value == bound && i > last);
        if (later && (best == SIZE_MAX || value > class_value(model, outputs, best)))
            best = i;
    }
    return best;
}

/* ---- CSV ---- */

static void csv_add_head(struct cn_text *text, const struct cn_model *model,
                         const struct predict_choice *choice) {
    const int top = choice->top;
    cn_text_add(text, "file,");
    if (top == 0)
        cn_outputs_add_csv_head(text, model);
    for (int i = 1; i <= top; i++) {
        char place[16] = "", names[96];
        if (i > 1)
            (void)snprintf(place, sizeof place, "_%d", i);
        (void)snprintf(names, sizeof names, "%sclass%s,label%s,%s%s", i > 1 ? "," : "", place,
                       place, class_value_name(model), place);
        cn_text_add(text, names);
    }
    cn_text_add(text, choice->level != NULL ? CN_OUTPUTS_SET_CSV_HEAD : "");
    cn_text_add(text, ",error\n");
}

static void csv_add_name(struct cn_text *text, const char *file) {
    cn_text_add_csv(text, file);
    cn_text_add(text, ",");
}

static const char *csv_name_end(const char *row, const char *end) {
    bool quoted = false;
    for (; row < end && (quoted || *row != '\n'); row++)
        if (*row == '"')
            quoted = !quoted;
        else if (*row == ',' && !quoted)
            return row + 1;
    return NULL;
}

/* Line breaks within quotes are part of a field. */
static const char *csv_row_end(const char *row, const char *end) {
    bool quoted = false;
    for (; row < end; row++)
        if (*row == '"')
            quoted = !quoted;
        else if (*row == '\n' && !quoted)
            return row + 1;
    return NULL;
}

/* The last column is the error. */
static bool csv_is_failure(const char *name_end, const char *row_end) {
    return row_end - name_end >= 2 && row_end[-2] != ',';
}

static void csv_add_top(struct cn_text *text, const struct cn_model *model, const float *outputs,
                        int top) {
    size_t index = SIZE_MAX;
    for (int i = 0; i < top; i++) {
        index = class_after(model, outputs, index);
        cn_text_add(text, i > 0 ? "," : "");
        cn_text_add_size(text, index);
        cn_text_add(text, ",");
        cn_text_add_csv(text, class_label(model, index));
        cn_text_add(text, ",");
        cn_text_add_float(text, class_value(model, outputs, index));
    }
}

static void csv_add_row(struct cn_text *text, const struct cn_model *model,
                        const struct prediction *prediction, const struct predict_choice *choice) {
    const int top = choice->top;
    csv_add_name(text, prediction->file);
    if (prediction->failure == NULL && top == 0)
        cn_outputs_add_csv(text, model, prediction->outputs, others_of(prediction));
    else if (prediction->failure == NULL)
        csv_add_top(text, model, prediction->outputs, top);
    else if (top == 0)
        cn_outputs_add_csv_empty(text, model);
    for (int i = 1; prediction->failure != NULL && i < 3 * top; i++)
        cn_text_add(text, ",");
    if (choice->level != NULL && prediction->failure == NULL)
        cn_outputs_add_set_csv(text, model, choice->level, prediction->outputs);
    else if (choice->level != NULL)
        cn_text_add(text, CN_OUTPUTS_SET_CSV_EMPTY);
    cn_text_add(text, ",");
    cn_text_add_csv(text, prediction->failure != NULL ? prediction->failure : "");
    cn_text_add(text, "\n");
}

/* ---- NDJSON ---- */

static void ndjson_add_head(struct cn_text *text, const struct cn_model *model,
                            const struct predict_choice *choice) {
    (void)text;
    (void)model;
    (void)choice;
}

static void ndjson_add_name(struct cn_text *text, const char *file) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "file", file);
}

static const char *ndjson_name_end(const char *row, const char *end) {
    static const char begin[] = "{\"file\":\"";
    const size_t length = sizeof begin - 1;
    if ((size_t)(end - row) < length || memcmp(row, begin, length) != 0)
        return NULL;
    for (row += length; row < end && *row != '"' && *row != '\n'; row++)
        row += *row == '\\';
    return row < end && *row == '"' ? row + 1 : NULL;
}

static const char *ndjson_row_end(const char *row, const char *end) {
    const char *line_end = memchr(row, '\n', (size_t)(end - row));
    return line_end != NULL ? line_end + 1 : NULL;
}

static bool ndjson_is_failure(const char *name_end, const char *row_end) {
    static const char error[] = ",\"error\":";
    const size_t length = sizeof error - 1;
    return (size_t)(row_end - name_end) > length && memcmp(name_end, error, length) == 0;
}

static void ndjson_add_top(struct cn_text *text, const struct cn_model *model, const float *outputs,
                           int top) {
    size_t index = SIZE_MAX;
    cn_json_open(text, "top", '[');
    for (int i = 0; i < top; i++) {
        index = class_after(model, outputs, index);
        cn_json_open(text, NULL, '{');
        cn_json_add_size(text, "class", index);
        cn_json_add_string(text, "label", class_label(model, index));
        cn_json_add_float(text, class_value_name(model), class_value(model, outputs, index));
        cn_json_close(text, '}');
    }
    cn_json_close(text, ']');
}

static void ndjson_add_row(struct cn_text *text, const struct cn_model *model,
                           const struct prediction *prediction,
                           const struct predict_choice *choice) {
    const int top = choice->top;
    ndjson_add_name(text, prediction->file);
    if (prediction->failure != NULL)
        cn_json_add_string(text, "error", prediction->failure);
    else if (top > 0)
        ndjson_add_top(text, model, prediction->outputs, top);
    else
        cn_outputs_add_json(text, model, prediction->outputs, others_of(prediction));
    if (choice->level != NULL && prediction->failure == NULL)
        cn_outputs_add_set_json(text, model, choice->level, prediction->outputs);
    if (prediction->report != NULL)
        cn_report_add_json(text, prediction->report);
    if (prediction->image != NULL)
        cn_json_add_string(text, "image", prediction->image);
    cn_text_add(text, "}\n");
}

/* ---- A table ---- */

enum { FILE_COLUMNS = 32, LABEL_COLUMNS = 10 };

/* Adds a value of few characters. */
static void __attribute__((format(printf, 2, 3)))
table_add(struct cn_text *text, const char *format, ...) {
    char value[64]; /* a float has at most 39 digits before its point */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    cn_text_add(text, value);
}

static void table_add_head(struct cn_text *text, const struct cn_model *model,
                           const struct predict_choice *choice) {
    const int top = choice->top;
    cli_add_plain(text, "file", FILE_COLUMNS);
    for (int i = 0; i < (top > 0 ? top : 1); i++) {
        cn_text_add(text, " class ");
        cli_add_plain(text, "label", LABEL_COLUMNS);
        cn_text_add(text, " confidence ");
    }
    for (size_t i = 0; top == 0 && i < model->output_size; i++)
        table_add(text, " %6zu", i);
    cn_text_add(text, "\n");
}

static void table_add_class(struct cn_text *text, int index, const char *label,
                            const float *value) {
    if (index >= 0)
        table_add(text, " %5d ", index);
    else
        table_add(text, " %5s ", "");
    cli_add_plain(text, label != NULL ? label : "", LABEL_COLUMNS);
    if (value != NULL)
        table_add(text, " %10.4f ", (double)*value);
    else
        table_add(text, " %10s ", "");
}

static void table_add_set(struct cn_text *text, const struct cn_model *model,
                          const struct cn_error_level *level, const float *outputs) {
    const struct cn_label_set set = cn_model_label_set(model, level, outputs);
    cn_text_add(text, set.count == 0 ? " rejected" : " labels");
    for (size_t i = 0; i < model->output_size; i++) {
        if (outputs[i] >= set.least) {
            cn_text_add(text, " ");
            cli_add_plain(text, class_label(model, i), 0);
        }
    }
}

static void table_add_row(struct cn_text *text, const struct cn_model *model,
                          const struct prediction *prediction,
                          const struct predict_choice *choice) {
    const int top = choice->top;
    cli_add_plain(text, prediction->file, FILE_COLUMNS);
    if (prediction->failure != NULL) {
        cn_text_add(text, " ");
        cli_add_plain(text, prediction->failure, 0);
        cn_text_add(text, "\n");
        return;
    }
    size_t index = SIZE_MAX;
    for (int i = 0; i < top; i++) {
        index = class_after(model, prediction->outputs, index);
        const float value = class_value(model, prediction->outputs, index);
        table_add_class(text, (int)index, class_label(model, index), &value);
    }
    if (top == 0) {
        const struct cn_answer answer =
            cn_outputs_answer(model, prediction->outputs, others_of(prediction));
        table_add_class(text, answer.class_index, answer.label,
                        answer.is_probable ? &answer.confidence : NULL);
        for (size_t i = 0; i < model->output_size; i++)
            table_add(text, " %6.4f", (double)prediction->outputs[i]);
    }
    if (choice->level != NULL)
        table_add_set(text, model, choice->level, prediction->outputs);
    cn_text_add(text, "\n");
}

const char *const predict_format_names[] = {"csv", "ndjson", "table", NULL};

const struct predict_format predict_formats[] = {
    {csv_add_head, csv_add_row, csv_add_name, csv_name_end, csv_row_end, csv_is_failure},
    {ndjson_add_head, ndjson_add_row, ndjson_add_name, ndjson_name_end, ndjson_row_end,
     ndjson_is_failure},
    {.add_head = table_add_head, .add_row = table_add_row},
};
