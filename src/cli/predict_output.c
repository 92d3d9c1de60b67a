/* predict_output.c: THE table of output formats, one row of text a picture.
 *
 * Prints as it goes; write errors are stdout's to remember. One thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "cli/predict_command.h"
#include "model/outputs.h"
#include "json/write.h"

static void put_float(float value) {
    char text[CN_FLOAT_TEXT];
    (void)cn_float_format(text, value);
    fputs(text, stdout);
}

/* Prints what was written, or makes a lack of memory an error of stdout. */
static void put_text(struct cn_text *text) {
    size_t length = 0;
    char *bytes = cn_text_take(text, &length);
    if (bytes != NULL)
        (void)fwrite(bytes, 1, length, stdout);
    free(bytes);
}

static void csv_begin(const struct cn_model *model) {
    struct cn_text text = {0};
    cn_text_add(&text, "file,");
    cn_outputs_add_csv_head(&text, model);
    cn_text_add(&text, "\n");
    put_text(&text);
}

static void csv_put(const struct cn_model *model, const struct prediction *prediction) {
    struct cn_text text = {0};
    cn_text_add_csv(&text, prediction->file);
    cn_text_add(&text, ",");
    cn_outputs_add_csv(&text, model, prediction->outputs);
    cn_text_add(&text, "\n");
    put_text(&text);
}

static void ndjson_begin(const struct cn_model *model) {
    (void)model;
}

/* As the server says it. */
static void ndjson_put_report(const struct cn_preprocessing_report *report) {
    printf(",\"preprocessing\":{\"unchanged\":%s,\"inverted\":%s,\"uneven\":%s,"
           "\"sheet\":%s,\"crop\":[%d,%d,%d,%d],\"scale\":",
           report->unchanged ? "true" : "false", report->inverted ? "true" : "false",
           report->uneven ? "true" : "false", report->sheet ? "true" : "false", report->crop[0],
           report->crop[1], report->crop[2], report->crop[3]);
    put_float(report->scale);
    fputs(",\"thickened\":", stdout);
    put_float(report->thickened);
    putchar('}');
}

static void ndjson_put(const struct cn_model *model, const struct prediction *prediction) {
    struct cn_text text = {0};
    cn_text_add(&text, "{\"file\":\"");
    cn_text_add_json(&text, prediction->file);
    cn_text_add(&text, "\",");
    cn_outputs_add_json(&text, model, prediction->outputs);
    put_text(&text);
    if (prediction->report != NULL) {
        ndjson_put_report(prediction->report);
    }
    if (prediction->image != NULL) {
        fputs(",\"image\":", stdout);
        cli_put_json(prediction->image);
    }
    fputs("}\n", stdout);
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
