/* train_data.c: what `convnet train` learns from and validates on, and the sentence that says so.
 *
 * Reads through the library. One thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/train.h"

static enum cn_status check_classes(const struct train_settings *settings,
                                    const struct cn_model *model, const struct cn_dataset *data,
                                    struct cn_error *error) {
    if (data->class_count == model->label_count) {
        return CN_OK;
    }
    return cn_fail_at(
        error, CN_INVALID, settings->data, -1, "has %zu classes, but %s %s has %zu outputs",
        data->class_count, settings->weights != NULL ? "model" : "architecture",
        settings->weights != NULL ? settings->weights : settings->architecture, model->label_count);
}

/* More to train on, never to validate on. */
static enum cn_status add_extra_data(const struct train_settings *settings,
                                     const struct cn_model *model, struct cn_dataset *data,
                                     struct cn_error *error) {
    struct cn_dataset *extra = NULL;
    enum cn_status status =
        cli_data_read(settings->extra_data, CN_SPLIT_TRAIN, model, &extra, error);
    if (status == CN_OK) {
        status = cn_dataset_append(data, extra, error);
    }
    cn_dataset_free(extra);
    return status;
}

/* Validation data of their own: their validation split where they have one, else all of them, or
 * else their training split, which is then another folder's. */
static enum cn_status read_validation_folder(const char *path, const struct cn_model *model,
                                             struct cn_dataset **ret_data, struct cn_error *error) {
    const enum cn_split split = cn_dataset_has_split(path, CN_SPLIT_VALIDATION)
                                    ? CN_SPLIT_VALIDATION
                                : cn_dataset_has_split(path, CN_SPLIT_TEST) ? CN_SPLIT_TEST
                                                                            : CN_SPLIT_TRAIN;
    return cli_data_read(path, split, model, ret_data, error);
}

static enum cn_status take_validation(const struct train_settings *settings,
                                      const struct cn_model *model, struct train_data *data,
                                      struct cn_error *error) {
    struct cn_dataset *all = data->training;
    if (settings->validation_data != NULL) {
        data->validation_from = settings->validation_data;
        return read_validation_folder(settings->validation_data, model, &data->validation, error);
    }
    if (settings->validation_split > 0) {
        data->validation_from = "split";
        data->training = NULL;
        enum cn_status status = cn_dataset_split(
            all, settings->validation_split, (enum cn_split_order)settings->validation_order,
            settings->split_seed, &data->training, &data->validation, error);
        cn_dataset_free(all);
        return status;
    }
    if (cn_dataset_has_split(settings->data, CN_SPLIT_VALIDATION)) {
        data->validation_from = settings->data;
        return cli_data_read(settings->data, CN_SPLIT_VALIDATION, model, &data->validation, error);
    }
    return CN_OK;
}

enum cn_status train_read_data(const struct train_settings *settings, struct cn_model *model,
                               struct train_data *data, struct cn_error *error) {
    enum cn_status status =
        cn_dataset_read(settings->data, CN_SPLIT_TRAIN, &model->network->input_shape,
                        &model->preprocessing, &data->training, error);
    if (status == CN_OK) {
        status = check_classes(settings, model, data->training, error);
    }
    if (status == CN_OK) {
        status = cn_model_set_labels(model, (const char *const *)data->training->class_names,
                                     data->training->class_count, error);
    }
    if (status == CN_OK) {
        status = take_validation(settings, model, data, error);
    }
    if (status == CN_OK && settings->extra_data != NULL) {
        status = add_extra_data(settings, model, data->training, error);
    }
    return status;
}

void train_say_data(const struct train_settings *settings, const struct train_data *data) {
    const struct cn_dataset *training = data->training;
    fprintf(stderr, "Training: %zu pictures %dx%dx%d in %zu classes from %s", training->count,
            training->shape.dims[0], training->shape.dims[1],
            training->shape.rank == 3 ? training->shape.dims[2] : 1, training->class_count,
            settings->data);
    if (settings->extra_data != NULL) {
        fprintf(stderr, " and %s", settings->extra_data);
    }
    fputc('\n', stderr);
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
    if (cn_dataset_has_split(settings->data, CN_SPLIT_TEST)) {
        fputs("Test: the test pictures stay apart, for `convnet evaluate'\n", stderr);
    }
}

void train_free_data(struct train_data *data) {
    cn_dataset_free(data->training);
    cn_dataset_free(data->validation);
}
