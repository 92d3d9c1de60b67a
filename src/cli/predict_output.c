/* predict_output.c: THE table of output formats, one row of text a picture.
 *
 * Prints as it goes; write errors are stdout's to remember. One thread.
 */
#include <stdio.h>

#include "cli/predict_command.h"
#include "model/outputs.h"
#include "json/write.h"

static void csv_begin(const struct cn_model *model) {
    struct cn_text text = {0};
    cn_text_add(&text, "file,");
    cn_outputs_add_csv_head(&text, model);
    cn_text_add(&text, "\n");
    cli_put_text(&text);
}

static void csv_put(const struct cn_model *model, const struct prediction *prediction) {
    struct cn_text text = {0};
    cn_text_add_csv(&text, prediction->file);
    cn_text_add(&text, ",");
    cn_outputs_add_csv(&text, model, prediction->outputs);
    cn_text_add(&text, "\n");
    cli_put_text(&text);
}

static void ndjson_begin(const struct cn_model *model) {
    (void)model;
}

static void ndjson_put(const struct cn_model *model, const struct prediction *prediction) {
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "file", prediction->file);
    cn_outputs_add_json(&text, model, prediction->outputs);
    if (prediction->report != NULL)
        cn_report_add_json(&text, prediction->report);
    if (prediction->image != NULL)
        cn_json_add_string(&text, "image", prediction->image);
    cn_text_add(&text, "}\n");
    cli_put_text(&text);
}

enum { FILE_COLUMNS = 32, LABEL_COLUMNS = 10 };

static void table_begin(const struct cn_model *model) {
    cli_put_plain("file", FILE_COLUMNS);
    fputs(" class ", stdout);
    cli_put_plain("label", LABEL_COLUMNS);
    fputs(" confidence ", stdout);
    for (size_t i = 0; i < model->output_size; i++) {
        printf(" %6zu", i);
    }
    putchar('\n');
}

static void table_put(const struct cn_model *model, const struct prediction *prediction) {
    const struct cn_answer answer = cn_model_answer(model, prediction->outputs);
    cli_put_plain(prediction->file, FILE_COLUMNS);
    if (answer.class_index >= 0) {
        printf(" %5d ", answer.class_index);
    } else {
        printf(" %5s ", "");
    }
    cli_put_plain(answer.label != NULL ? answer.label : "", LABEL_COLUMNS);
    if (answer.is_probable) {
        printf(" %10.4f ", (double)answer.confidence);
    } else {
        printf(" %10s ", "");
    }
    for (size_t i = 0; i < model->output_size; i++) {
        printf(" %6.4f", (double)prediction->outputs[i]);
    }
    putchar('\n');
}

const char *const predict_format_names[] = {"csv", "ndjson", "table", NULL};

const struct predict_format predict_formats[] = {
    {csv_begin, csv_put},
    {ndjson_begin, ndjson_put},
    {table_begin, table_put},
};
