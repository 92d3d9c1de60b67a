/* predict_output.c: THE table of output formats, one row of text a picture.
 *
 * Prints as it goes; write errors are stdout's to remember. One thread.
 */
#include <stdio.h>

#include "base/number.h"
#include "cli/predict_command.h"

static void put_float(float value) {
    char text[CN_FLOAT_TEXT];
    (void)cn_float_format(text, value);
    fputs(text, stdout);
}

static void csv_begin(const struct cn_model *model) {
    fputs("file,class,label,confidence", stdout);
    for (size_t i = 0; i < model->label_count; i++) {
        printf(",probability_%zu", i);
    }
    fputs("\n", stdout);
}

static void csv_put(const struct cn_model *model, const struct prediction *prediction) {
    cli_put_csv(prediction->file);
    printf(",%zu,", prediction->class);
    cli_put_csv(model->labels[prediction->class]);
    putchar(',');
    put_float(prediction->confidence);
    for (size_t i = 0; i < model->label_count; i++) {
        putchar(',');
        put_float(prediction->probabilities[i]);
    }
    putchar('\n');
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
    fputs("{\"file\":", stdout);
    cli_put_json(prediction->file);
    printf(",\"class\":%zu,\"label\":", prediction->class);
    cli_put_json(model->labels[prediction->class]);
    fputs(",\"confidence\":", stdout);
    put_float(prediction->confidence);
    fputs(",\"probabilities\":[", stdout);
    for (size_t i = 0; i < model->label_count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        put_float(prediction->probabilities[i]);
    }
    putchar(']');
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
    for (size_t i = 0; i < model->label_count; i++) {
        printf(" %6zu", i);
    }
    putchar('\n');
}

static void table_put(const struct cn_model *model, const struct prediction *prediction) {
    cli_put_plain(prediction->file, FILE_COLUMNS);
    printf(" %5zu ", prediction->class);
    cli_put_plain(model->labels[prediction->class], LABEL_COLUMNS);
    printf(" %10.4f ", (double)prediction->confidence);
    for (size_t i = 0; i < model->label_count; i++) {
        printf(" %6.4f", (double)prediction->probabilities[i]);
    }
    putchar('\n');
}

const char *const predict_format_names[] = {"csv", "ndjson", "table", NULL};

const struct predict_format predict_formats[] = {
    {csv_begin, csv_put},
    {ndjson_begin, ndjson_put},
    {table_begin, table_put},
};
