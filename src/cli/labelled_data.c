/* labelled_data.c: reads labelled data for an existing model: classes are matched by name, so a
 * folder may lack some of the model's classes. */
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "cli/cli.h"

enum { CLASSES_SHOWN = 10 }; /* in a message */

const char *cli_class_list(const char *const *names, size_t count, char *text, size_t size) {
    const char *shown[CLASSES_SHOWN + 2] = {NULL};
    for (size_t i = 0; i < count && i < CLASSES_SHOWN; i++)
        shown[i] = names[i];
    if (count > CLASSES_SHOWN)
        shown[CLASSES_SHOWN] = "...";
    return cn_name_list(shown, text, size);
}

static enum cn_status map_class(const struct cn_model *model, const char *name, uint16_t *ret_class,
                                struct cn_error *error) {
    for (size_t i = 0; i < model->label_count; i++) {
        if (strcmp(model->labels[i], name) == 0) {
            *ret_class = (uint16_t)i;
            return CN_OK;
        }
    }
    char list[120];
    return cn_fail(
        error, CN_INVALID, "class \"%s\" of the data is not among the model's %zu labels: %s", name,
        model->label_count,
        cli_class_list((const char *const *)model->labels, model->label_count, list, sizeof list));
}

/* Gives the data the model's class names. */
static enum cn_status take_names(struct cn_dataset *data, const struct cn_model *model,
                                 struct cn_error *error) {
    char **names = calloc(model->label_count, sizeof *names);
    bool good = names != NULL;
    for (size_t i = 0; good && i < model->label_count; i++) {
        names[i] = strdup(model->labels[i]);
        good = names[i] != NULL;
    }
    char **old = good ? data->class_names : names;
    const size_t count = good ? data->class_count : model->label_count;
    for (size_t i = 0; old != NULL && i < count; i++)
        free(old[i]);
    free(old);
    if (!good)
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", model->label_count);
    data->class_names = names;
    data->class_count = model->label_count;
    return CN_OK;
}

static enum cn_status match_classes(struct cn_dataset *data, const struct cn_model *model,
                                    struct cn_error *error) {
    enum cn_status status = CN_OK;
    uint16_t *classes = calloc(data->class_count + 1, sizeof *classes);
    if (classes == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", data->class_count);
    for (size_t i = 0; i < data->class_count && status == CN_OK; i++)
        status = map_class(model, data->class_names[i], &classes[i], error);
    if (status == CN_OK) {
        for (size_t i = 0; i < data->count; i++)
            data->labels[i] = classes[data->labels[i]];
        status = take_names(data, model, error);
    }
    free(classes);
    return status;
}

enum cn_status cli_data_read(const char *path, enum cn_split split, const struct cn_model *model,
                             struct cn_dataset **ret_data, struct cn_error *error) {
    return cli_data_read_to(path, split, model, NULL, ret_data, error);
}

enum cn_status cli_data_read_to(const char *path, enum cn_split split, const struct cn_model *model,
                                const struct cn_dataset_storage *storage,
                                struct cn_dataset **ret_data, struct cn_error *error) {
    struct cn_dataset *data = NULL;
    enum cn_status status = cn_dataset_read_to(path, split, &model->network->input_shape,
                                               &model->preprocessing, storage, &data, error);
    if (status == CN_OK)
        status = match_classes(data, model, error);
    if (status != CN_OK) {
        cn_dataset_free(data);
        return status;
    }
    *ret_data = data;
    return CN_OK;
}

/* The validation data of the training, according to the model's record. Older records without a
 * split kept the last samples. */
struct kept {
    double share;
    enum cn_split_order order;
    uint64_t seed;
    const char *sha256;  /* of the validation data; NULL: not recorded */
    const char *learned; /* of the data that the training learned from, without --extra-data */
};

static struct kept kept_of(const json_t *record) {
    const json_t *data = json_object_get(record, "data");
    const json_t *split = json_object_get(data, "validation_split");
    const char *order = json_string_value(json_object_get(split, "order"));
    const char *seed = json_string_value(json_object_get(split, "seed"));
    return (struct kept){
        .share = json_real_value(json_object_get(split, "share")),
        .order = order != NULL && strcmp(order, cn_split_order_names[CN_SPLIT_BY_CLASS]) == 0
                     ? CN_SPLIT_BY_CLASS
                     : CN_SPLIT_TAIL,
        .seed = seed != NULL ? strtoull(seed, NULL, 10) : 0,
        .sha256 = json_string_value(json_object_get(data, "validation_sha256")),
        .learned = json_string_value(json_object_get(
            data, json_object_get(data, "main_sha256") != NULL ? "main_sha256" : "sha256"))};
}

enum cn_status cli_data_keep_share(struct cn_dataset **data, const char *training, double share,
                                   struct cn_error *error) {
    struct cn_dataset *first = NULL, *last = NULL;
    if (share <= 0)
        return CN_OK;
    json_t *record = json_loads(training, JSON_REJECT_DUPLICATES, NULL);
    const struct kept kept = kept_of(record);
    enum cn_status status =
        cn_dataset_split(*data, share, kept.order, kept.seed, &first, &last, error);
    if (status == CN_OK && kept.share == share && kept.sha256 != NULL &&
        strcmp(kept.sha256, last->sha256) != 0) {
        status = cn_fail(error, CN_INVALID,
                         "the validation data have the checksum %.12s, those of the model's "
                         "training %.12s: these are other data",
                         last->sha256, kept.sha256);
    }
    json_decref(record);
    cn_dataset_free(first);
    if (status != CN_OK) {
        cn_dataset_free(last);
        return status;
    }
    cn_dataset_free(*data);
    *data = last;
    return CN_OK;
}

double cli_data_recorded_share(const char *training) {
    json_t *record = json_loads(training, JSON_REJECT_DUPLICATES, NULL);
    const double share = kept_of(record).share;
    json_decref(record);
    return share > 0 && share < 1 ? share : 0;
}

size_t cli_data_learned(const struct cn_model *model, const struct cn_dataset *data) {
    struct cn_dataset *first = NULL, *last = NULL;
    json_t *record = json_loads(model->training, JSON_REJECT_DUPLICATES, NULL);
    const struct kept kept = kept_of(record);
    size_t learned = 0;
    if (kept.learned != NULL && strcmp(kept.learned, data->sha256) == 0) {
        learned = data->count;
    } else if (kept.learned != NULL && kept.share > 0 &&
               cn_dataset_split(data, kept.share, kept.order, kept.seed, &first, &last, NULL) ==
                   CN_OK) {
        learned = strcmp(kept.learned, first->sha256) == 0 ? first->count : 0;
        cn_dataset_free(first);
        cn_dataset_free(last);
    }
    json_decref(record);
    return learned;
}
