/* served_model.c: loading a model for serving, and swapping it while requests run. The reference
 * count is atomic; the slot's pointer is guarded by a mutex held for a few instructions. */
#include "batch/served_model.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

/* The file's name without folder and ending. */
static enum cn_status name_of(const char *path, char name[static 64], struct cn_error *error) {
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    const size_t length = dot != NULL && dot != file ? (size_t)(dot - file) : strlen(file);
    bool good = length > 0 && length < 64 && file[0] != '.';
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)file[i]) || strchr("_.-", file[i]) != NULL;
    if (!good)
        return cn_fail_at(
            error, CN_INVALID, path, -1,
            "the file's name is the model's name and must be 1 to 63 letters, digits, "
            "_ . or - before its ending");
    memcpy(name, file, length);
    name[length] = '\0';
    return CN_OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Warms the caches and measures one image: the median of nine runs, or of fewer when they are long.
 */
static enum cn_status measure(struct served_model *served, struct cn_error *error) {
    struct cn_workspace *workspace = NULL;
    double seconds[9];
    int runs = 0;
    float *image = cn_floats_allocate(cn_plan_input_size(served->plan));
    float *output = cn_floats_allocate(cn_plan_output_size(served->plan));
    enum cn_status status = image != NULL && output != NULL
                                ? cn_workspace_create(served->plan, &workspace, error)
                                : cn_fail(error, CN_MEMORY, "cannot allocate a first image");
    if (status == CN_OK) {
        const uint64_t begin = cn_clock_nanoseconds();
        cn_plan_run(served->plan, workspace, image, 1, output);
        while (runs < 9 && (runs == 0 || cn_clock_nanoseconds() - begin < 5000000)) {
            const uint64_t before = cn_clock_nanoseconds();
            cn_plan_run(served->plan, workspace, image, 1, output);
            seconds[runs++] = (double)(cn_clock_nanoseconds() - before) * 1e-9;
        }
        qsort(seconds, (size_t)runs, sizeof *seconds, by_value);
        served->image_seconds = seconds[runs / 2];
    }
    cn_workspace_free(workspace);
    free(image);
    free(output);
    return status;
}

enum cn_status served_model_load(const char *path, struct served_model **ret_model,
                                 struct cn_error *error) {
    struct served_model *served = calloc(1, sizeof *served);
    if (served == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a model");
    served->references = 1;
    enum cn_status status = name_of(path, served->name, error);
    if (status == CN_OK)
        status = cn_model_read(path, &served->model, error);
    if (status == CN_OK)
        status = cn_plan_create(served->model->network, &served->plan, error);
    if (status == CN_OK)
        status = measure(served, error);
    if (status != CN_OK) {
        served_model_release(served);
        return status;
    }
    *ret_model = served;
    return CN_OK;
}

struct served_model *served_model_acquire(struct served_model *model) {
    __atomic_add_fetch(&model->references, 1, __ATOMIC_RELAXED);
    return model;
}

void served_model_release(struct served_model *model) {
    if (model == NULL || __atomic_sub_fetch(&model->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    cn_plan_free(model->plan);
    cn_model_free(model->model);
    free(model);
}

struct model_slot {
    pthread_mutex_t mutex;
    struct served_model *current;
};

struct model_slot *model_slot_create(void) {
    struct model_slot *slot = calloc(1, sizeof *slot);
    if (slot != NULL)
        (void)pthread_mutex_init(&slot->mutex, NULL);
    return slot;
}

void model_slot_free(struct model_slot *slot) {
    if (slot == NULL)
        return;
    served_model_release(slot->current);
    (void)pthread_mutex_destroy(&slot->mutex);
    free(slot);
}

struct served_model *model_slot_acquire(struct model_slot *slot) {
    (void)pthread_mutex_lock(&slot->mutex);
    struct served_model *model = slot->current != NULL ? served_model_acquire(slot->current) : NULL;
    (void)pthread_mutex_unlock(&slot->mutex);
    return model;
}

void model_slot_swap(struct model_slot *slot, struct served_model *model) {
    (void)pthread_mutex_lock(&slot->mutex);
    struct served_model *old = slot->current;
    slot->current = model;
    (void)pthread_mutex_unlock(&slot->mutex);
    served_model_release(old);
}
