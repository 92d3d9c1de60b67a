/* evaluate.c: `convnet evaluate`: a model's loss and accuracy on labelled data.
 *
 * Classes are matched by name, so a folder that lacks some of the model's classes will do. One
 * thread here; the library's own inside.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "cli/cli.h"
#include "convnet/trainer.h"

struct evaluate_settings {
    const char *model, *data;
    int split, loss, threads;
    bool json, confusion;
};

static const char *const split_names[] = {"train", "test", NULL};

#define SETTING(field) offsetof(struct evaluate_settings, field)

static const struct cli_option options[] = {
    {"model", "MODEL", CLI_STRING, SETTING(model), .text = "model file, or the name of a known one",
     .required = true},
    {"data", "DIR", CLI_STRING, SETTING(data), .text = "folder with the labelled data",
     .required = true},
    {"split", "NAME", CLI_NAME, SETTING(split), .text = "test (default) or train",
     .names = split_names},
    {"loss", "NAME", CLI_NAME, SETTING(loss),
     .text = "mean_squared_error or categorical_crossentropy (default: what it was trained with)",
     .names = cn_loss_names},
    {"confusion-matrix", NULL, CLI_FLAG, SETTING(confusion),
     .text = "also how often each class was taken for each"},
    {"json", NULL, CLI_FLAG, SETTING(json), .text = "results as JSON"},
    {"threads", "N", CLI_INT, SETTING(threads), .text = "threads (default: the processors)",
     .minimum = 1, .maximum = 1024},
};

static const struct cli_syntax syntax = {
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .text = "Measure a model's loss and accuracy on labelled data.",
};

/* The Wilson score interval of `correct` of `samples`, 95 % (Wilson 1927). */
static void wilson_interval(size_t correct, size_t samples, double ret_interval[2]) {
    const double z = 1.959963984540054, n = (double)samples, p = (double)correct / n;
    double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
    ret_interval[0] = fmax(0, middle - half);
    ret_interval[1] = fmin(1, middle + half);
}

struct class_result {
    size_t samples, predicted, correct;
};

static struct class_result class_result(const struct cn_evaluation *evaluation, size_t class) {
    size_t classes = evaluation->class_count;
    struct class_result result = {.correct = evaluation->confusion[class * classes + class]};
    for (size_t i = 0; i < classes; i++) {
        result.samples += evaluation->confusion[class * classes + i];
        result.predicted += evaluation->confusion[i * classes + class];
    }
    return result;
}

static json_t *ratio_json(size_t part, size_t whole) {
    return whole == 0 ? json_null() : json_real((double)part / (double)whole);
}

static json_t *per_class_json(const struct cn_model *model,
                              const struct cn_evaluation *evaluation) {
    json_t *list = json_array();
    for (size_t i = 0; i < evaluation->class_count; i++) {
        struct class_result result = class_result(evaluation, i);
        (void)json_array_append_new(
            list, json_pack("{s:i, s:s, s:I, s:o, s:o}", "class", (int)i, "label", model->labels[i],
                            "samples", (json_int_t)result.samples, "precision",
                            ratio_json(result.correct, result.predicted), "recall",
                            ratio_json(result.correct, result.samples)));
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

static bool print_json(const struct evaluate_settings *settings, const struct cn_model *model,
                       const struct cn_evaluation *evaluation) {
    double interval[2];
    wilson_interval(evaluation->correct, evaluation->samples, interval);
    json_t *result =
        json_pack("{s:s, s:s, s:f, s:f, s:s, s:I, s:I, s:[f, f], s:o}", "model_sha256",
                  model->sha256, "split", split_names[settings->split], "accuracy",
                  evaluation->accuracy, "loss", evaluation->loss, "loss_function",
                  cn_loss_names[settings->loss], "samples", (json_int_t)evaluation->samples,
                  "correct", (json_int_t)evaluation->correct, "accuracy_interval", interval[0],
                  interval[1], "per_class", per_class_json(model, evaluation));
    if (result != NULL && settings->confusion) {
        (void)json_object_set_new(result, "confusion_matrix", confusion_json(evaluation));
    }
    return cli_put_json_value(result);
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

static bool print_text(const struct evaluate_settings *settings, const struct cn_model *model,
                       const struct cn_evaluation *evaluation) {
    double interval[2];
    wilson_interval(evaluation->correct, evaluation->samples, interval);
    printf("loss      %.6f (%s)\n", evaluation->loss, cn_loss_names[settings->loss]);
    printf("accuracy  %.4f (%zu of %zu; 95 %% interval %.4f to %.4f)\n\n", evaluation->accuracy,
           evaluation->correct, evaluation->samples, interval[0], interval[1]);
    printf("class label        samples precision    recall\n");
    for (size_t i = 0; i < evaluation->class_count; i++) {
        struct class_result result = class_result(evaluation, i);
        printf("%5zu ", i);
        cli_put_plain(model->labels[i], 10);
        printf(" %8zu", result.samples);
        print_ratio(result.correct, result.predicted);
        print_ratio(result.correct, result.samples);
        putchar('\n');
    }
    if (settings->confusion) {
        print_confusion(model, evaluation);
    }
    return cli_stdout_good();
}

/* The loss that the training record names, or cross-entropy. */
static int trained_loss(const struct cn_model *model) {
    json_t *record = json_loads(model->training, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(record, "loss"));
    int loss = name != NULL ? cn_name_index(cn_loss_names, name) : -1;
    json_decref(record);
    return loss >= 0 ? loss : (int)CN_LOSS_CATEGORICAL_CROSSENTROPY;
}

static enum cn_status map_class(const struct cn_model *model, const char *name, uint16_t *ret_class,
                                struct cn_error *error) {
    for (size_t i = 0; i < model->label_count; i++) {
        if (strcmp(model->labels[i], name) == 0) {
            *ret_class = (uint16_t)i;
            return CN_OK;
        }
    }
    return cn_fail(error, CN_INVALID,
                   "class \"%s\" of the data is not among the model's %zu labels", name,
                   model->label_count);
}

/* Runs the model over the data, whose classes are matched to the model's labels by name. */
static enum cn_status evaluate(const struct evaluate_settings *settings,
                               const struct cn_model *model, struct cn_dataset *data,
                               struct cn_evaluation *ret_evaluation, struct cn_error *error) {
    enum cn_status status = CN_OK;
    uint16_t *classes = calloc(data->class_count + 1, sizeof *classes);
    if (classes == NULL) {
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", data->class_count);
    }
    for (size_t i = 0; i < data->class_count && status == CN_OK; i++) {
        status = map_class(model, data->class_names[i], &classes[i], error);
    }
    if (status == CN_OK) {
        for (size_t i = 0; i < data->count; i++) {
            data->labels[i] = classes[data->labels[i]];
        }
        struct cn_dataset view = *data;
        view.class_count = model->label_count;
        view.class_names = model->labels;
        status = cn_evaluate(model->network, &view, (enum cn_loss)settings->loss, settings->threads,
                             ret_evaluation, error);
    }
    free(classes);
    return status;
}

static enum cn_status read_inputs(const struct evaluate_settings *settings,
                                  struct cn_model **ret_model, struct cn_dataset **ret_data,
                                  struct cn_error *error) {
    enum cn_status status = cli_model_find(settings->model, false, ret_model, NULL, error);
    return status != CN_OK ? status
                           : cn_dataset_read(settings->data, (enum cn_split)settings->split,
                                             &(*ret_model)->network->input_shape,
                                             &(*ret_model)->preprocessing, ret_data, error);
}

int cli_evaluate(int argc, char **argv) {
    struct evaluate_settings settings = {
        .split = CN_SPLIT_TEST, .loss = -1, .threads = cn_default_threads()};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_dataset *data = NULL;
    struct cn_evaluation evaluation = {0};
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status = read_inputs(&settings, &model, &data, &error);
    if (status == CN_OK) {
        settings.loss = settings.loss >= 0 ? settings.loss : trained_loss(model);
        status = evaluate(&settings, model, data, &evaluation, &error);
    }
    int exit_status = CLI_DONE;
    if (status != CN_OK) {
        exit_status = cli_report(argv[0], &error);
    } else if (!(settings.json ? print_json : print_text)(&settings, model, &evaluation)) {
        exit_status = CLI_FAILED;
    }
    cn_evaluation_clear(&evaluation);
    cn_dataset_free(data);
    cn_model_free(model);
    return exit_status;
}
