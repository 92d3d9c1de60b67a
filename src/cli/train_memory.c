/* train_memory.c: computes how much memory a training will need, refuses it if that is more than
 * the limit, and prints it. One thread. */
#include <stdio.h>

#include "base/budget.h"
#include "cli/train.h"
#include "convnet/plan.h"

static const double mebibyte = 1 << 20;
enum { PROGRAM = 9 << 20 }; /* bytes of the program, its libraries and its buffers: 8 to 9 MiB */

/* The teacher's weights, as they are and packed, a workspace per thread, and its answers. */
static enum cn_status teacher_bytes(const struct cn_network *teacher,
                                    const struct cn_training_options *options, size_t *ret_bytes,
                                    struct cn_error *error) {
    struct cn_plan *plan = NULL;
    const enum cn_status status = cn_plan_create(teacher, &plan, error);
    if (status == CN_OK)
        *ret_bytes =
            cn_plan_weight_bytes(plan) + (size_t)options->threads * cn_plan_workspace_bytes(plan) +
            (teacher->parameter_count + (size_t)options->batch_size * cn_plan_output_size(plan)) *
                sizeof(float);
    cn_plan_free(plan);
    return status;
}

/* The memory that the training needs besides the pictures; `total` includes the program and the
 * teacher, if there is one. */
static enum cn_status measure(const struct train_networks *networks, size_t samples,
                              size_t validated, const struct cn_training_options *options,
                              struct cn_training_memory *ret_memory, struct cn_error *error) {
    size_t teacher = 0;
    enum cn_status status =
        cn_training_memory(networks->pupil, samples, validated, options, ret_memory, error);
    if (status == CN_OK && networks->teacher != NULL)
        status = teacher_bytes(networks->teacher, options, &teacher, error);
    if (status == CN_OK)
        ret_memory->total += PROGRAM + teacher;
    return status;
}

/* The memory that the training may use, and the source of that limit. */
static size_t memory_limit(const struct train_settings *settings, const char **ret_who) {
    *ret_who = settings->memory > 0 ? "--memory allows" : "this machine has";
    return settings->memory > 0 ? settings->memory : cn_budget_machine();
}

/* The largest batch, a power of two, that needs at most `limit`; 0: none does. */
static int fitting_batch(const struct train_settings *settings,
                         const struct train_networks *networks, size_t limit) {
    struct cn_training_options options = settings->options;
    struct cn_training_memory memory;
    int batch = 1;
    while (2 * batch < options.batch_size)
        batch *= 2;
    for (; batch >= 1; batch /= 2) {
        options.batch_size = batch;
        if (measure(networks, 0, 1, &options, &memory, NULL) == CN_OK && memory.total <= limit)
            return batch;
    }
    return 0;
}

enum cn_status train_check_memory(const struct train_settings *settings,
                                  const struct train_networks *networks, struct train_data *data,
                                  struct cn_error *error) {
    const char *who;
    const size_t limit = memory_limit(settings, &who);
    struct cn_training_memory memory;
    enum cn_status status = measure(networks, 0, 1, &settings->options, &memory, error);
    if (status != CN_OK)
        return status;
    if (memory.total > limit) {
        char advice[64] = ", too little for any batch";
        const int batch = fitting_batch(settings, networks, limit);
        if (batch > 0)
            (void)snprintf(advice, sizeof advice, "; --batch-size %d would fit", batch);
        return cn_fail(error, CN_LIMIT,
                       "the training needs %.0f MiB besides the pictures, %.0f of them for "
                       "mini-batches of %d on %d threads; %s %.0f MiB%s",
                       (double)memory.total / mebibyte, (double)memory.batch / mebibyte,
                       settings->options.batch_size, settings->options.threads, who,
                       (double)limit / mebibyte, advice);
    }
    /* Half of the rest for the images as they are read, half for the parts they are divided into.
     */
    data->storage.memory = (limit - memory.total) / 2;
    data->storage.memory += data->storage.memory == 0; /* 0 would mean: no limit */
    data->storage.folder = settings->spill_folder;
    return CN_OK;
}

/* Bytes of a data set's images, in memory or not. */
static size_t image_bytes(const struct cn_dataset *data, bool mapped) {
    return data != NULL && (data->mapped > 0) == mapped ? data->count * cn_shape_size(&data->shape)
                                                        : 0;
}

void train_say_memory(const struct train_settings *settings, const struct train_networks *networks,
                      const struct train_data *data) {
    struct cn_training_memory memory;
    const size_t validated = data->validation != NULL ? data->validation->count : 0;
    const size_t kept = image_bytes(data->training, false) + image_bytes(data->validation, false);
    const size_t on_disk = image_bytes(data->training, true) + image_bytes(data->validation, true);
    if (measure(networks, data->training->count, validated, &settings->options, &memory, NULL) !=
        CN_OK)
        return;
    fprintf(stderr,
            "Memory: about %.0f MiB: %.1f for pictures, %.1f for mini-batches of %d on %d "
            "thread%s, %.1f for the network, the program and the rest\n",
            (double)(memory.total + kept) / mebibyte, (double)kept / mebibyte,
            (double)memory.batch / mebibyte, settings->options.batch_size,
            settings->options.threads, settings->options.threads == 1 ? "" : "s",
            (double)(memory.total - memory.batch) / mebibyte);
    if (on_disk > 0) {
        fprintf(stderr,
                "Disk: %.0f MiB of pictures are in a file without a name, read ahead as they are "
                "needed\n",
                (double)on_disk / mebibyte);
    }
}
