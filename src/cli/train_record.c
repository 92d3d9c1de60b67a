/* train_record.c: the record of a training in the model file, and the history file.
 *
 * Formats only. No shared state. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/train.h"

static json_t *optimizer_record(const struct cn_training_options *o) {
    const struct {
        const char *name;
        float value;
    } fields[] = {{"momentum", o->momentum},
                  {"beta_1", o->beta_1},
                  {"beta_2", o->beta_2},
                  {"rho", o->rho},
                  {"weight_decay", o->weight_decay},
                  {"clip_value", o->clip_value},
                  {"clip_norm", o->clip_norm},
                  {"global_clip_norm", o->global_clip_norm}};
    json_t *record = json_pack("{s:s}", "name", cn_optimizer_names[o->optimizer]);
    for (size_t i = 0; record != NULL && i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].value > 0) { /* options that the optimizer lacks or that are off are 0 */
            (void)json_object_set_new(record, fields[i].name,
                                      json_real(cli_decimal(fields[i].value)));
        }
    }
    if (record != NULL && o->nesterov)
        (void)json_object_set_new(record, "nesterov", json_true());
    if (record != NULL && o->optimizer != CN_OPTIMIZER_SGD && o->optimizer != CN_OPTIMIZER_LION)
        (void)json_object_set_new(record, "epsilon", json_real(cli_decimal(o->epsilon)));
    return record;
}

/* Adds how the training ended, if that may be before the last epoch. */
static void add_callbacks(json_t *record, const struct train_settings *settings,
                          const struct cn_epoch_record *written) {
    const struct cn_training_options *o = &settings->options;
    (void)json_object_set_new(record, "written_epoch", json_integer(written->epoch));
    if (o->early_stopping > 0)
        (void)json_object_set_new(record, "early_stopping", json_integer(o->early_stopping));
    if (o->plateau_patience > 0)
        (void)json_object_set_new(record, "reduce_on_plateau", json_integer(o->plateau_patience));
    if (o->warmup_epochs > 0) {
        (void)json_object_set_new(record, "warmup_epochs",
                                  json_real(cli_decimal(o->warmup_epochs)));
    }
    if (settings->freeze != NULL)
        (void)json_object_set_new(record, "freeze", json_string(settings->freeze));
    if (settings->class_weight != NULL)
        (void)json_object_set_new(record, "class_weight", json_string(settings->class_weight));
}

static json_t *metrics_record(const struct cn_epoch_record *last) {
    json_t *metrics = json_pack("{s:f, s:f}", "loss", last->loss, "accuracy", last->accuracy);
    if (metrics != NULL && isfinite(last->validation_loss)) {
        (void)json_object_set_new(metrics, "val_loss", json_real(last->validation_loss));
        (void)json_object_set_new(metrics, "val_accuracy", json_real(last->validation_accuracy));
    }
    return metrics;
}

/* The data that were used for training and those that were not, so that nobody evaluates on the
 * former by mistake. */
static json_t *data_record(const struct train_settings *settings, const struct train_data *data) {
    const struct cn_dataset *validation = data->validation;
    json_t *record = json_pack("{s:s, s:I, s:I}", "sha256", data->training->sha256, "samples",
                               (json_int_t)data->training->count, "validation_samples",
                               (json_int_t)(validation != NULL ? validation->count : 0));
    if (record != NULL && data->main_sha256[0] != '\0')
        (void)json_object_set_new(record, "main_sha256", json_string(data->main_sha256));
    if (record == NULL || validation == NULL)
        return record;
    (void)json_object_set_new(record, "validation_sha256", json_string(validation->sha256));
    if (settings->validation_data == NULL && settings->validation_split > 0) {
        char seed[24];
        (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)settings->split_seed);
        (void)json_object_set_new(
            record, "validation_split",
            json_pack("{s:f, s:s, s:s}", "share", settings->validation_split, "order",
                      cn_split_order_names[settings->validation_order], "seed", seed));
    }
    return record;
}

char *train_record(const struct train_settings *settings, const char *weights, const char *teacher,
                   const struct train_data *data, const struct cn_epoch_record *last) {
    const struct cn_training_options *options = &settings->options;
    char seed[24], augmentation[CN_AUGMENTATION_TEXT];
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)options->seed);
    json_t *record = json_pack(
        "{s:o, s:i, s:i, s:o, s:f, s:s, s:f, s:s, s:f, s:s, s:s, s:o, s:s}", "data",
        data_record(settings, data), "epochs", options->epochs, "batch_size", options->batch_size,
        "optimizer", optimizer_record(options), "learning_rate",
        cli_decimal(options->learning_rate), "schedule", cn_schedule_names[options->schedule],
        "ema", cli_decimal(options->ema), "loss", cn_loss_names[options->loss], "label_smoothing",
        cli_decimal(options->label_smoothing), "augmentation",
        cn_augmentation_format(&options->augmentation, augmentation), "seed", seed, "metrics",
        metrics_record(last), "convnet", PACKAGE_VERSION);
    if (record != NULL)
        add_callbacks(record, settings, last);
    if (weights[0] != '\0')
        (void)json_object_set_new(record, "weights", json_string(weights));
    if (teacher[0] != '\0') {
        (void)json_object_set_new(record, "teacher",
                                  json_pack("{s:s, s:f}", "sha256", teacher, "share",
                                            cli_decimal(settings->teacher_share)));
    }
    char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(record);
    return text;
}

#define MEAN(field) offsetof(struct cn_class_means, field)
const struct train_mean train_means[TRAIN_MEANS] = {
    {"val_precision", MEAN(precision)},
    {"val_recall", MEAN(recall)},
    {"val_f1", MEAN(f1)},
    {"val_weighted_f1", MEAN(weighted_f1)},
    {"val_auc", MEAN(auc)},
    {"val_top_5", MEAN(top_5)},
};

double train_mean(const struct cn_epoch_record *record, size_t index) {
    return *(const double *)(const void *)((const char *)&record->validation_means +
                                           train_means[index].offset);
}

static void put_value(FILE *file, double value, char after) {
    if (isfinite(value))
        fprintf(file, "%.9g", value);
    if (after != '\0')
        fputc(after, file);
}

enum cn_status train_write_history(const char *path, const struct cn_epoch_record *records,
                                   size_t count, bool means, struct cn_error *error) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    if (file == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the history");
    fputs("epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds", file);
    for (size_t i = 0; means && i < TRAIN_MEANS; i++)
        fprintf(file, ",%s", train_means[i].name);
    fputc('\n', file);
    for (const struct cn_epoch_record *row = records; row < records + count; row++) {
        fprintf(file, "%d,", row->epoch);
        put_value(file, row->loss, ',');
        put_value(file, row->accuracy, ',');
        put_value(file, row->validation_loss, ',');
        put_value(file, row->validation_accuracy, ',');
        fprintf(file, "%.9g,%.3f", row->learning_rate, row->seconds);
        for (size_t i = 0; means && i < TRAIN_MEANS; i++) {
            fputc(',', file);
            put_value(file, train_mean(row, i), '\0');
        }
        fputc('\n', file);
    }
    bool written = ferror(file) == 0;
    enum cn_status status = fclose(file) == 0 && written
                                ? CN_OK
                                : cn_fail(error, CN_MEMORY, "no memory for the history");
    if (status == CN_OK) {
        const struct cn_file_part part = {text, length};
        status = cn_file_write(path, &part, 1, error);
    }
    free(text);
    return status;
}
