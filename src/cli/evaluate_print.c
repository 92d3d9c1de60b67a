/* evaluate_print.c: what `convnet evaluate` found, as text and as JSON. Formats only. */
#include <math.h>
#include <stdio.h>

#include "cli/evaluate.h"

void evaluate_interval(size_t correct, size_t samples, double ret_interval[2]) {
    const double z = 1.959963984540054, n = (double)samples, p = (double)correct / n;
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
    ret_interval[0] = fmax(0, middle - half);
    ret_interval[1] = fmin(1, middle + half);
}

static json_t *ratio_json(double part, size_t whole) {
    return whole == 0 ? json_null() : json_real(part / (double)whole);
}

static json_t *per_class_json(const struct cn_model *model,
                              const struct cn_evaluation *evaluation) {
    json_t *list = json_array();
    for (size_t i = 0; i < evaluation->class_count; i++) {
        struct cn_class_result result = cn_class_result(evaluation, i);
        (void)json_array_append_new(
            list, json_pack("{s:i, s:s, s:I, s:o, s:o, s:f}", "class", (int)i, "label",
                            model->labels[i], "samples", (json_int_t)result.samples, "precision",
                            ratio_json((double)result.correct, result.predicted), "recall",
                            ratio_json((double)result.correct, result.samples), "f1",
                            cn_class_f1(&result)));
    }
    return list;
}

static json_t *reliability_json(const struct evaluate_result *result) {
    json_t *list = json_array();
    for (int i = 0; i < CN_RELIABILITY_BINS; i++) {
        const struct cn_reliability_bin *bin = &result->bins[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:[f, f], s:I, s:o, s:o}", "range", (double)i / CN_RELIABILITY_BINS,
                      (double)(i + 1) / CN_RELIABILITY_BINS, "samples", (json_int_t)bin->samples,
                      "confidence", ratio_json(bin->confidence, bin->samples), "accuracy",
                      ratio_json((double)bin->correct, bin->samples)));
    }
    return list;
}

static json_t *confusion_json(const struct cn_evaluation *evaluation) {
    json_t *rows = json_array();
    for (size_t i = 0; i < evaluation->class_count; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < evaluation->class_count; j++) {
            (void)json_array_append_new(
                row,
                json_integer((json_int_t)evaluation->confusion[i * evaluation->class_count + j]));
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

bool evaluate_print_json(const struct evaluate_result *result) {
    const struct cn_evaluation *evaluation = &result->evaluation;
    json_t *json = json_pack(
        "{s:s, s:s, s:f, s:f, s:s, s:I, s:I, s:[f, f], s:f, s:f, s:o, s:o}", "model_sha256",
        result->model->sha256, "split",
        result->data->whole ? "whole" : cli_split_names[result->settings->split], "accuracy",
        evaluation->accuracy, "loss", evaluation->loss, "loss_function",
        cn_loss_names[result->settings->loss], "samples", (json_int_t)evaluation->samples,
        "correct", (json_int_t)evaluation->correct, "accuracy_interval", result->interval[0],
        result->interval[1], "calibration_error", result->calibration_error, "temperature",
        cli_decimal(result->model->network->temperature), "reliability", reliability_json(result),
        "per_class", per_class_json(result->model, evaluation));
    if (json != NULL) {
        const struct cn_class_means *means = &result->means;
        (void)json_object_update_new(json, json_pack("{s:f, s:f, s:f, s:f}", "macro_precision",
                                                     means->precision, "macro_recall",
                                                     means->recall, "macro_f1", means->f1,
                                                     "weighted_f1", means->weighted_f1));
        if (isfinite(means->auc)) {
            (void)json_object_set_new(json, "auc", json_real(means->auc));
        }
        if (isfinite(means->top_5)) {
            (void)json_object_set_new(json, "top_5_accuracy", json_real(means->top_5));
        }
    }
    if (json != NULL && result->outliers.samples > 0) {
        (void)json_object_set_new(
            json, "outliers",
            json_pack("{s:I, s:f, s:f}", "samples", (json_int_t)result->outliers.samples, "auroc",
                      result->outliers.auroc, "mean_confidence", result->outliers.mean_confidence));
    }
    if (json != NULL && result->settings->confusion) {
        (void)json_object_set_new(json, "confusion_matrix", confusion_json(evaluation));
    }
    return cli_put_json_value(json);
}

static void print_ratio(size_t part, size_t whole) {
    if (whole == 0) {
        printf(" %9s", "-");
    } else {
        printf(" %9.4f", (double)part / (double)whole);
    }
}

static void print_confusion(const struct cn_model *model, const struct cn_evaluation *evaluation) {
    size_t classes = evaluation->class_count;
    puts("\nConfusion matrix (rows: true class, columns: predicted class)");
    cli_put_plain("", 16);
    for (size_t j = 0; j < classes; j++) {
        printf(" %6zu", j);
    }
    putchar('\n');
    for (size_t i = 0; i < classes; i++) {
        printf("%5zu ", i);
        cli_put_plain(model->labels[i], 10);
        for (size_t j = 0; j < classes; j++) {
            printf(" %6zu", evaluation->confusion[i * classes + j]);
        }
        putchar('\n');
    }
}

bool evaluate_print_text(const struct evaluate_result *result) {
    const struct cn_evaluation *evaluation = &result->evaluation;
    const struct cn_model *model = result->model;
    printf("loss         %.6f (%s)\n", evaluation->loss, cn_loss_names[result->settings->loss]);
    printf("accuracy     %.4f (%zu of %zu; 95 %% interval %.4f to %.4f)\n", evaluation->accuracy,
           evaluation->correct, evaluation->samples, result->interval[0], result->interval[1]);
    if (isfinite(result->means.top_5)) {
        printf("top 5        %.4f\n", result->means.top_5);
    }
    printf("F1           %.4f (mean of the classes; %.4f weighted by their samples)\n",
           result->means.f1, result->means.weighted_f1);
    if (isfinite(result->means.auc)) {
        printf("AUC          %.4f (mean of each class against the rest)\n", result->means.auc);
    }
    printf("calibration  %.4f off on average (temperature %g)\n", result->calibration_error,
           cli_decimal(model->network->temperature));
    if (result->outliers.samples > 0) {
        printf("outliers     AUROC %.4f (%zu pictures of no class, mean confidence %.4f)\n",
               result->outliers.auroc, result->outliers.samples, result->outliers.mean_confidence);
    }
    printf("\nclass label        samples precision    recall        F1\n");
    for (size_t i = 0; i < evaluation->class_count; i++) {
        struct cn_class_result class = cn_class_result(evaluation, i);
        printf("%5zu ", i);
        cli_put_plain(model->labels[i], 10);
        printf(" %8zu", class.samples);
        print_ratio(class.correct, class.predicted);
        print_ratio(class.correct, class.samples);
        printf(" %9.4f", cn_class_f1(&class));
        putchar('\n');
    }
    if (result->settings->confusion) {
        print_confusion(model, evaluation);
    }
    return cli_stdout_good();
}
