/* predict_output.c: THE table of output formats; each prints one row of text per picture.
 *
 * Rows are printed at once; stdout keeps its write errors. One thread. */
#include <stdint.h>
#include <stdio.h>

#include "cli/predict_command.h"
#include "model/outputs.h"
#include "json/write.h"

static int others_of(const struct prediction *prediction) {
    return prediction->report != NULL ? prediction->report->others : 0;
}

/* ---- The first classes ---- */

static size_t class_count(const struct cn_model *model) {
    return model->kind == CN_OUTPUT_SIGMOID ? 2 : model->output_size;
}

/* The number printed for a class: its probability, or another value. */
static float class_value(const struct cn_model *model, const float *outputs, size_t index) {
    if (model->kind == CN_OUTPUT_SIGMOID) {
        return index == 0 ? 1 - outputs[0] : outputs[0];
    }
    return outputs[index];
}

static const char *class_value_name(const struct cn_model *model) {
    return model->kind == CN_OUTPUT_LOGITS ? "value" : "confidence";
}

static const char *class_label(const struct cn_model *model, size_t index) {
    return index < model->label_count ? model->labels[index] : "";
}

enum cn_status predict_check_top(const struct cn_model *model, int top, struct cn_error *error) {
    if (model->kind == CN_OUTPUT_NUMBER || model->kind == CN_OUTPUT_MAP) {
        return cn_fail(error, CN_INVALID, "--top %d: the model has no classes", top);
    }
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
        if (later && (best == SIZE_MAX || value > class_value(model, outputs, best))) {
            best = i;
        }
    }
    return best;
}

/* ---- CSV ---- */

static void csv_begin(const struct cn_model *model, const struct predict_choice *choice) {
    const int top = choice->top;
    struct cn_text text = {0};
    cn_text_add(&text, "file,");
    if (top == 0) {
        cn_outputs_add_csv_head(&text, model);
    }
    for (int i = 1; i <= top; i++) {
        char place[16] = "", names[96];
        if (i > 1) {
            (void)snprintf(place, sizeof place, "_%d", i);
        }
        (void)snprintf(names, sizeof names, "%sclass%s,label%s,%s%s", i > 1 ? "," : "", place,
                       place, class_value_name(model), place);
        cn_text_add(&text, names);
    }
    cn_text_add(&text, choice->level != NULL ? CN_OUTPUTS_SET_CSV_HEAD : "");
    cn_text_add(&text, ",error\n");
    cli_put_text(&text);
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

static void csv_put(const struct cn_model *model, const struct prediction *prediction,
                    const struct predict_choice *choice) {
    const int top = choice->top;
    struct cn_text text = {0};
    cn_text_add_csv(&text, prediction->file);
    cn_text_add(&text, ",");
    if (prediction->failure == NULL && top == 0) {
        cn_outputs_add_csv(&text, model, prediction->outputs, others_of(prediction));
    } else if (prediction->failure == NULL) {
        csv_add_top(&text, model, prediction->outputs, top);
    } else if (top == 0) {
        cn_outputs_add_csv_empty(&text, model);
    }
    for (int i = 1; prediction->failure != NULL && i < 3 * top; i++) {
        cn_text_add(&text, ",");
    }
    if (choice->level != NULL && prediction->failure == NULL)
        cn_outputs_add_set_csv(&text, model, choice->level, prediction->outputs);
    else if (choice->level != NULL)
        cn_text_add(&text, CN_OUTPUTS_SET_CSV_EMPTY);
    cn_text_add(&text, ",");
    cn_text_add_csv(&text, prediction->failure != NULL ? prediction->failure : "");
    cn_text_add(&text, "\n");
    cli_put_text(&text);
}

/* ---- NDJSON ---- */

static void ndjson_begin(const struct cn_model *model, const struct predict_choice *choice) {
    (void)model;
    (void)choice;
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

static void ndjson_put(const struct cn_model *model, const struct prediction *prediction,
                       const struct predict_choice *choice) {
    const int top = choice->top;
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "file", prediction->file);
    if (prediction->failure != NULL)
        cn_json_add_string(&text, "error", prediction->failure);
    else if (top > 0)
        ndjson_add_top(&text, model, prediction->outputs, top);
    else
        cn_outputs_add_json(&text, model, prediction->outputs, others_of(prediction));
    if (choice->level != NULL && prediction->failure == NULL)
        cn_outputs_add_set_json(&text, model, choice->level, prediction->outputs);
    if (prediction->report != NULL)
        cn_report_add_json(&text, prediction->report);
    if (prediction->image != NULL)
        cn_json_add_string(&text, "image", prediction->image);
    cn_text_add(&text, "}\n");
    cli_put_text(&text);
}

/* ---- A table ---- */

enum { FILE_COLUMNS = 32, LABEL_COLUMNS = 10 };

static void table_begin(const struct cn_model *model, const struct predict_choice *choice) {
    const int top = choice->top;
    cli_put_plain("file", FILE_COLUMNS);
    for (int i = 0; i < (top > 0 ? top : 1); i++) {
        fputs(" class ", stdout);
        cli_put_plain("label", LABEL_COLUMNS);
        fputs(" confidence ", stdout);
    }
    for (size_t i = 0; top == 0 && i < model->output_size; i++) {
        printf(" %6zu", i);
    }
    putchar('\n');
}

static void table_put_class(int index, const char *label, const float *value) {
    if (index >= 0) {
        printf(" %5d ", index);
    } else {
        printf(" %5s ", "");
    }
    cli_put_plain(label != NULL ? label : "", LABEL_COLUMNS);
    if (value != NULL) {
        printf(" %10.4f ", (double)*value);
    } else {
        printf(" %10s ", "");
    }
}

static void table_put_set(const struct cn_model *model, const struct cn_error_level *level,
                          const float *outputs) {
    const struct cn_label_set set = cn_model_label_set(model, level, outputs);
    fputs(set.count == 0 ? " rejected" : " labels", stdout);
    for (size_t i = 0; i < model->output_size; i++) {
        if (outputs[i] >= set.least) {
            putchar(' ');
            cli_put_plain(class_label(model, i), 0);
        }
    }
}

static void table_put(const struct cn_model *model, const struct prediction *prediction,
                      const struct predict_choice *choice) {
    const int top = choice->top;
    cli_put_plain(prediction->file, FILE_COLUMNS);
    if (prediction->failure != NULL) {
        printf(" %s\n", prediction->failure);
        return;
    }
    size_t index = SIZE_MAX;
    for (int i = 0; i < top; i++) {
        index = class_after(model, prediction->outputs, index);
        const float value = class_value(model, prediction->outputs, index);
        table_put_class((int)index, class_label(model, index), &value);
    }
    if (top == 0) {
        const struct cn_answer answer =
            cn_outputs_answer(model, prediction->outputs, others_of(prediction));
        table_put_class(answer.class_index, answer.label,
                        answer.is_probable ? &answer.confidence : NULL);
        for (size_t i = 0; i < model->output_size; i++) {
            printf(" %6.4f", (double)prediction->outputs[i]);
        }
    }
    if (choice->level != NULL) {
        table_put_set(model, choice->level, prediction->outputs);
    }
    putchar('\n');
}

const char *const predict_format_names[] = {"csv", "ndjson", "table", NULL};

const struct predict_format predict_formats[] = {
    {csv_begin, csv_put},
    {ndjson_begin, ndjson_put},
    {table_begin, table_put},
};
