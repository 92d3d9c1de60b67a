/* train_data.c: reads the data for `convnet train` and describes them.
 *
 * Reads through the library. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/train.h"
#include "convnet/transfer.h"

static enum cn_status check_classes(const struct train_settings *settings,
                                    const struct cn_model *model, const struct cn_dataset *data,
                                    struct cn_error *error) {
    if (data->class_count == model->label_count)
        return CN_OK;
    return cn_fail_at(error, CN_INVALID, settings->data, -1,
                      "has %zu classes, but %s %s has %zu outputs; --new-head gives it %zu",
                      data->class_count, settings->weights != NULL ? "model" : "architecture",
                      settings->weights != NULL ? settings->weights : settings->architecture,
                      model->label_count, data->class_count);
}

/* Adds more training data, which are never used for validation. */
static enum cn_status add_extra_data(const struct train_settings *settings,
                                     const struct cn_model *model, struct cn_dataset *data,
                                     struct cn_error *error) {
    struct cn_dataset *extra = NULL;
    enum cn_status status = cli_data_read_to(settings->extra_data, CN_SPLIT_TRAIN, model,
                                             &data->storage, &extra, error);
    if (status == CN_OK)
        status = cn_dataset_append(data, extra, error);
    cn_dataset_free(extra);
    return status;
}

/* Reads a separate folder for validation: its validation split if it has one, else all of it; if it
 * has only other splits, its training split. */
static enum cn_status read_validation_folder(const char *path, const struct cn_model *model,
                                             const struct cn_dataset_storage *storage,
                                             struct cn_dataset **ret_data, struct cn_error *error) {
    const enum cn_split split = cn_dataset_has_split(path, CN_SPLIT_VALIDATION)
                                    ? CN_SPLIT_VALIDATION
                                : cn_dataset_has_split(path, CN_SPLIT_TEST) ? CN_SPLIT_TEST
                                                                            : CN_SPLIT_TRAIN;
    return cli_data_read_to(path, split, model, storage, ret_data, error);
}

static enum cn_status take_validation(const struct train_settings *settings,
                                      const struct cn_model *model, struct train_data *data,
                                      struct cn_error *error) {
    struct cn_dataset *all = data->training;
    if (settings->validation_data != NULL) {
        return read_validation_folder(settings->validation_data, model, &data->storage,
                                      &data->validation, error);
    }
    if (settings->validation_split > 0) {
        data->training = NULL;
        enum cn_status status = cn_dataset_split(
            all, settings->validation_split, (enum cn_split_order)settings->validation_order,
            settings->split_seed, &data->training, &data->validation, error);
        cn_dataset_free(all);
        return status;
    }
    if (cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION)) {
        return cli_data_read_to(settings->data, CN_SPLIT_VALIDATION, model, &data->storage,
                                &data->validation, error);
    }
    return CN_OK;
}

/* ---- The model, made ready for the data ---- */

static enum cn_status adapt_model(const struct train_settings *settings, struct cn_model *model,
                                  struct train_data *data, struct cn_error *error) {
    struct cn_transfer transfer = {.freeze = settings->freeze, .seed = settings->options.seed};
    enum cn_status status =
        cn_loss_check(settings->options.loss, model->network, &data->added, error);
    if (status != CN_OK)
        return status;
    transfer.activation = data->added;
    if (settings->new_head)
        transfer.classes = data->training->class_count;
    if (transfer.classes > 0 || transfer.freeze != NULL ||
        transfer.activation != CN_ACTIVATION_LINEAR)
        status = cn_model_transfer(model, &transfer, error);
    return status;
}

/* ---- Class weights ---- */

/* "balanced" as in scikit-learn, which Keras users know: samples / (classes * samples of the
 * class). */
static void balance(const struct cn_dataset *training, float *weights) {
    for (size_t c = 0; c < training->class_count; c++) {
        size_t samples = 0;
        for (size_t i = 0; i < training->count; i++)
            samples += training->labels[i] == c;
        weights[c] = samples > 0 ? (float)((double)training->count /
                                           ((double)training->class_count * (double)samples))
                                 : 0;
    }
}

static enum cn_status set_weight(const struct cn_dataset *training, const char *entry,
                                 float *weights, struct cn_error *error) {
    const char *equals = strrchr(entry, '=');
    char *end = NULL;
    const double weight = equals != NULL ? strtod(equals + 1, &end) : -1;
    if (equals == NULL || end == equals + 1 || *end != '\0' || !(weight >= 0 && weight <= 1e6)) {
        return cn_fail(error, CN_INVALID,
                       "--class-weight has '%s'; it must be a class, =, and a number from 0 to 1e6",
                       entry);
    }
    for (size_t c = 0; c < training->class_count; c++) {
        if (strlen(training->class_names[c]) == (size_t)(equals - entry) &&
            strncmp(training->class_names[c], entry, (size_t)(equals - entry)) == 0) {
            weights[c] = (float)weight;
            return CN_OK;
        }
    }
    char list[120];
    return cn_fail(error, CN_INVALID,
                   "--class-weight names '%.*s', which is not a class of the data; these are %s",
                   (int)(equals - entry), entry,
                   cli_class_list((const char *const *)training->class_names, training->class_count,
                                  list, sizeof list));
}

static enum cn_status weigh_classes(const char *list, struct train_data *data,
                                    struct cn_error *error) {
    const struct cn_dataset *training = data->training;
    char *copy = strdup(list), *rest = NULL;
    enum cn_status status = CN_OK;
    data->class_weights = calloc(training->class_count, sizeof *data->class_weights);
    if (copy == NULL || data->class_weights == NULL) {
        free(copy);
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", training->class_count);
    }
    if (strcmp(list, "balanced") == 0) {
        balance(training, data->class_weights);
    } else {
        for (size_t c = 0; c < training->class_count; c++)
            data->class_weights[c] = 1;
        for (char *entry = strtok_r(copy, ",", &rest); entry != NULL && status == CN_OK;
             entry = strtok_r(NULL, ",", &rest))
            status = set_weight(training, entry, data->class_weights, error);
    }
    free(copy);
    return status;
}

enum cn_status train_read_data(const struct train_settings *settings, struct cn_model *model,
                               struct train_data *data, struct cn_error *error) {
    enum cn_status status =
        cn_dataset_read_to(settings->data, CN_SPLIT_TRAIN, &model->network->input_shape,
                           &model->preprocessing, &data->storage, &data->training, error);
    if (status == CN_OK)
        status = adapt_model(settings, model, data, error);
    if (status == CN_OK)
        status = check_classes(settings, model, data->training, error);
    if (status == CN_OK) {
        status = cn_model_set_labels(model, (const char *const *)data->training->class_names,
                                     data->training->class_count, error);
    }
    if (status == CN_OK)
        status = take_validation(settings, model, data, error);
    if (status == CN_OK && settings->extra_data != NULL) {
        memcpy(data->main_sha256, data->training->sha256, sizeof data->main_sha256);
        status = add_extra_data(settings, model, data->training, error);
    }
    if (status == CN_OK && settings->class_weight != NULL)
        status = weigh_classes(settings->class_weight, data, error);
    return status;
}

void train_say_data(const struct train_settings *settings, const struct train_data *data) {
    const struct cn_dataset *training = data->training;
    fprintf(stderr, "Training: %zu pictures %dx%dx%d in %zu classes from %s", training->count,
            training->shape.dims[0], training->shape.dims[1],
            training->shape.rank == 3 ? training->shape.dims[2] : 1, training->class_count,
            settings->data);
    if (settings->extra_data != NULL)
        fprintf(stderr, " and %s", settings->extra_data);
    fputc('\n', stderr);
    if (training->left_out > 0) {
        fprintf(stderr, "Left out: %zu file%s no picture%s\n", training->left_out,
                training->left_out == 1 ? " that is" : "s that are",
                training->left_out == 1 ? "" : "s");
    }
    if (training->weights != NULL)
        fputs("Weights: the pictures have their own weights\n", stderr);
    if (data->added != CN_ACTIVATION_LINEAR) {
        fprintf(stderr,
                "Network: it ends in logits, so a %s was added behind them (Keras's from_logits)\n",
                cn_activation_names[data->added]);
    }
    if (data->validation == NULL) {
        fputs("Validation: none (--validation-split 0.1 keeps a tenth for it)\n", stderr);
    } else if (settings->validation_data == NULL && settings->validation_split > 0) {
        fprintf(stderr, "Validation: %zu of the pictures, %s\n", data->validation->count,
                settings->validation_order == CN_SPLIT_TAIL ? "the last ones"
                                                            : "the same share of each class");
        if (cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION)) {
            fprintf(stderr, "Validation: the validation folder in %s is not used\n",
                    settings->data);
        }
    } else {
        fprintf(stderr, "Validation: %zu pictures from %s\n", data->validation->count,
                settings->validation_data != NULL ? settings->validation_data
                                                  : "its validation folder");
    }
    if (cn_dataset_has_split(settings->data, CN_SPLIT_TEST))
        fputs("Test: the test pictures stay apart, for `convnet evaluate'\n", stderr);
}

void train_free_data(struct train_data *data) {
    cn_dataset_free(data->training);
    cn_dataset_free(data->validation);
    free(data->class_weights);
}
