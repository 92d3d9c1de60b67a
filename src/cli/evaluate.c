/* evaluate.c: `convnet evaluate`: measures a model on labelled data: accuracy, classes,
 * calibration, and how well the confidence detects pictures of no class. One thread here; the
 * library uses its own. */
#include "cli/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "cli/progress.h"

/* ---- The results ---- */

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

static bool evaluate_print_json(const struct evaluate_result *result) {
    const struct cn_evaluation *evaluation = &result->evaluation;
    json_t *json = json_pack(
        "{s:s, s:s, s:f, s:f, s:s, s:I, s:I, s:[f, f], s:f, s:f, s:o, s:o}", "model_sha256",
        result->model->sha256, "split",
        result->data->whole ? "whole" : cn_split_names[result->settings->split], "accuracy",
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
        if (isfinite(means->auc))
            (void)json_object_set_new(json, "auc", json_real(means->auc));
        if (isfinite(means->top_5))
            (void)json_object_set_new(json, "top_5_accuracy", json_real(means->top_5));
    }
    if (json != NULL && result->penalty > 0)
        (void)json_object_set_new(json, "regularization", json_real(result->penalty));
    if (json != NULL && result->outliers.samples > 0) {
        (void)json_object_set_new(
            json, "outliers",
            json_pack("{s:I, s:f, s:f}", "samples", (json_int_t)result->outliers.samples, "auroc",
                      result->outliers.auroc, "mean_confidence", result->outliers.mean_confidence));
    }
    if (json != NULL && result->settings->confusion)
        (void)json_object_set_new(json, "confusion_matrix", confusion_json(evaluation));
    return cli_put_json_value(json);
}

static void print_ratio(size_t part, size_t whole) {
    if (whole == 0)
        printf(" %9s", "-");
    else
        printf(" %9.4f", (double)part / (double)whole);
}

static void print_confusion(const struct cn_model *model, const struct cn_evaluation *evaluation) {
    size_t classes = evaluation->class_count;
    puts("\nConfusion matrix (rows: true class, columns: predicted class)");
    cli_put_plain("", 16);
    for (size_t j = 0; j < classes; j++)
        printf(" %6zu", j);
    putchar('\n');
    for (size_t i = 0; i < classes; i++) {
        printf("%5zu ", i);
        cli_put_plain(model->labels[i], 10);
        for (size_t j = 0; j < classes; j++)
            printf(" %6zu", evaluation->confusion[i * classes + j]);
        putchar('\n');
    }
}

static bool evaluate_print_text(const struct evaluate_result *result) {
    const struct cn_evaluation *evaluation = &result->evaluation;
    const struct cn_model *model = result->model;
    printf("loss         %.6f (%s", evaluation->loss, cn_loss_names[result->settings->loss]);
    if (result->penalty > 0)
        printf("; %.6f of it from the regularizers", result->penalty);
    puts(")");
    printf("accuracy     %.4f (%zu of %zu; 95 %% interval %.4f to %.4f)\n", evaluation->accuracy,
           evaluation->correct, evaluation->samples, result->interval[0], result->interval[1]);
    if (isfinite(result->means.top_5))
        printf("top 5        %.4f\n", result->means.top_5);
    printf("F1           %.4f (mean of the classes; %.4f weighted by their samples)\n",
           result->means.f1, result->means.weighted_f1);
    if (isfinite(result->means.auc))
        printf("AUC          %.4f (mean of each class against the rest)\n", result->means.auc);
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
    if (result->settings->confusion)
        print_confusion(model, evaluation);
    return cli_stdout_good();
}

#define SETTING(field) offsetof(struct evaluate_settings, field)

static const struct cli_option options[] = {
    CLI_MODEL_OPTION(SETTING(model)),
    CLI_DATA_OPTION(SETTING(data)),
    {"split", "NAME", CLI_NAME, SETTING(split),
     .text =
         "test (default), train or validation, which is what the training kept if the data have "
         "no validation data of their own",
     .names = cn_split_names},
    {"loss", "NAME", CLI_NAME, SETTING(loss),
     .text = "the loss to measure, by the names of convnet train (default: the one that the model "
             "was trained with)",
     .names = cn_loss_names, .short_names = cn_loss_short_names},
    {"confusion-matrix", NULL, CLI_FLAG, SETTING(confusion),
     .text = "also print how often each class was taken for each other one"},
    {"outliers", "DIR", CLI_STRING, SETTING(outliers),
     .text =
         "pictures of no class: measures how well the confidence tells them from the data (AUROC)"},
    {"report", "FILE.svg|png", CLI_STRING, SETTING(report),
     .text =
         "draw the confusion matrix, the calibration, the worst mistakes and the training curves"},
    {"history", "FILE.csv", CLI_STRING, SETTING(history),
     .text = "history that convnet train wrote, for the report's curves"},
    CLI_JSON_OPTION(SETTING(json)),
    CLI_THREADS_OPTION(SETTING(threads)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .text = "Measure a model on labelled data.",
};

/* The loss that the training record names, or cross-entropy. */
static int trained_loss(const struct cn_model *model) {
    json_t *record = json_loads(model->training, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(record, "loss"));
    int loss = name != NULL ? cn_name_index(cn_loss_names, name) : -1;
    json_decref(record);
    return loss >= 0 ? loss : (int)CN_LOSS_CATEGORICAL_CROSSENTROPY;
}

/* The confidences of all answers; malloc'd, NULL if memory runs out. */
static float *confidences_of(const struct cn_evaluation *e, double *ret_mean) {
    float *confidences = malloc((e->samples + 1) * sizeof *confidences);
    double sum = 0;
    for (size_t i = 0; confidences != NULL && i < e->samples; i++) {
        (void)cn_plan_answer(e->probabilities + i * e->class_count, e->class_count,
                             &confidences[i]);
        sum += (double)confidences[i];
    }
    *ret_mean = sum / (double)e->samples;
    return confidences;
}

static enum cn_status compare_outliers(struct evaluate_result *result,
                                       const struct cn_evaluation *outside,
                                       struct cn_error *error) {
    const struct cn_evaluation *inside = &result->evaluation;
    double mean;
    float *confidences = confidences_of(inside, &mean);
    float *outliers = confidences_of(outside, &mean);
    enum cn_status status = CN_OK;
    if (confidences == NULL || outliers == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu confidences", inside->samples);
    } else {
        result->outliers = (struct outlier_result){
            outside->samples, cn_auroc(confidences, inside->samples, outliers, outside->samples),
            mean};
    }
    free(confidences);
    free(outliers);
    return status;
}

/* Measures the confidence on pictures of no class. Their labels do not matter: all count as class
 * 0. */
static enum cn_status measure_outliers(struct evaluate_result *result, struct cn_error *error) {
    const struct evaluate_settings *settings = result->settings;
    const struct cn_model *model = result->model;
    struct cn_evaluation evaluation = {0};
    struct cn_dataset *data = NULL;
    enum cn_status status =
        cn_dataset_read(settings->outliers, (enum cn_split)settings->split,
                        &model->network->input_shape, &model->preprocessing, &data, error);
    if (status == CN_OK) {
        memset(data->labels, 0, data->count * sizeof *data->labels);
        struct cn_dataset view = *data;
        view.class_count = model->label_count;
        status = cn_evaluate(model->network, &view, (enum cn_loss)settings->loss, settings->threads,
                             &evaluation, error);
    }
    if (status == CN_OK)
        status = compare_outliers(result, &evaluation, error);
    cn_evaluation_clear(&evaluation);
    cn_dataset_free(data);
    return status;
}

enum cn_status evaluate_measure(struct evaluate_result *result, struct cn_error *error) {
    const struct evaluate_settings *settings = result->settings;
    struct cn_evaluation *e = &result->evaluation;
    struct progress progress = progress_create(false);
    enum cn_status status =
        cn_evaluate_watched(result->model->network, result->data, (enum cn_loss)settings->loss,
                            settings->threads, progress_count_images, &progress, e, error);
    progress_clear(&progress);
    if (status != CN_OK)
        return status;
    result->penalty = cn_network_penalty(result->model->network) + e->activity_penalty;
    e->loss += result->penalty;
    evaluate_interval(e->correct, e->samples, result->interval);
    result->calibration_error = cn_calibration_error(e, result->data->labels, result->bins);
    status = cn_class_means(e, result->data->labels, &result->means, error);
    if (status == CN_OK && settings->outliers != NULL)
        status = measure_outliers(result, error);
    return status;
}

/* Warns if the model may have learned from the pictures that are measured. */
static void warn_of_training_data(const char *command, const struct evaluate_result *result) {
    const char *path = result->settings->data;
    const size_t count = result->data->count,
                 learned = cli_data_learned(result->model, result->data);
    if (learned == count) {
        (void)cli_fail(command,
                       "%s: the model was trained on these pictures; its accuracy on new pictures "
                       "will be lower",
                       path);
    } else if (learned > 0) {
        (void)cli_fail(command,
                       "%s: the model was trained on %zu of these %zu pictures; its accuracy on "
                       "new pictures will be lower (--split validation measures the other %zu)",
                       path, learned, count, count - learned);
    } else if (result->data->whole) {
        (void)cli_fail(command,
                       "%s: the folder has no test split, so all its pictures are measured; if the "
                       "model was trained on them, its accuracy on new pictures will be lower",
                       path);
    }
}

/* Reads the split that the settings name; for data without validation data of their own, those are
 * what the training kept of them. */
static enum cn_status read_split(const struct evaluate_settings *settings,
                                 struct evaluate_result *result, struct cn_error *error) {
    const struct cn_model *model = result->model;
    const bool kept = settings->split == CN_SPLIT_VALIDATION &&
                      !cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION) &&
                      cli_data_recorded_share(model->training) > 0;
    enum cn_status status =
        cli_data_read(settings->data, kept ? CN_SPLIT_TRAIN : (enum cn_split)settings->split, model,
                      &result->data, error);
    if (status == CN_OK && kept) {
        status = cli_data_keep_share(&result->data, model->training,
                                     cli_data_recorded_share(model->training), error);
    }
    return status;
}

enum cn_status evaluate_read(const char *command, struct evaluate_settings *settings,
                             struct evaluate_result *result, struct cn_error *error) {
    enum cn_status status = cli_model_find(settings->model, false, &result->model, NULL, error);
    if (status == CN_OK)
        status = read_split(settings, result, error);
    if (status == CN_OK) {
        settings->loss = settings->loss >= 0 ? settings->loss : trained_loss(result->model);
        warn_of_training_data(command, result);
    }
    return status;
}

void evaluate_clear(struct evaluate_result *result) {
    cn_evaluation_clear(&result->evaluation);
    cn_dataset_free(result->data);
    cn_model_free(result->model);
}

int cli_evaluate(int argc, char **argv) {
    struct evaluate_settings settings = {
        .split = CN_SPLIT_TEST, .loss = -1, .threads = cn_default_threads()};
    struct cn_error error = {0};
    struct evaluate_result result = {.settings = &settings};
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (settings.history != NULL && settings.report == NULL) {
        cli_usage_error(argv[0],
                        "--history needs --report, which draws its curves; `convnet report' "
                        "draws them alone");
    }
    enum cn_status status = settings.report != NULL ? report_check(settings.report, &error) : CN_OK;
    if (status == CN_OK)
        status = evaluate_read(argv[0], &settings, &result, &error);
    if (status == CN_OK)
        status = evaluate_measure(&result, &error);
    if (status == CN_OK && settings.report != NULL)
        status = report_write(&result, settings.history, settings.report, &error);
    int exit_status = CLI_DONE;
    if (status != CN_OK)
        exit_status = cli_report(argv[0], &error);
    else if (!(settings.json ? evaluate_print_json : evaluate_print_text)(&result))
        exit_status = CLI_FAILED;
    evaluate_clear(&result);
    return exit_status;
}
