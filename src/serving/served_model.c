/* served_model.c: loads a model for serving. The reference count is atomic; a workspace slot is
 * used by its own thread only. The functions that load are blocking: they read files and compute.
 */
#include "serving/served_model.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/time.h"
#include "metrics/statistics.h"
#include "model/signature.h"

/* Parses a decimal number from 1 to the largest version without leading zeros; 0 if the text is not
 * one. */
static unsigned parse_version(const char *text, size_t length) {
    unsigned value = 0;
    if (length == 0 || length > 9 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    return value;
}

enum cn_status served_model_name(const char *path, char ret_name[static SERVED_MODEL_NAME],
                                 unsigned *ret_version, struct cn_error *error) {
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    const char *end = dot != NULL && dot != file ? dot : file + strlen(file);
    const char *at = memchr(file, '@', (size_t)(end - file));
    const size_t length = (size_t)((at != NULL ? at : end) - file);
    const unsigned version = at != NULL ? parse_version(at + 1, (size_t)(end - at - 1)) : 1;
    bool good = length > 0 && length < SERVED_MODEL_NAME && file[0] != '.';
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)file[i]) || strchr("_.-", file[i]) != NULL;
    if (!good)
        return cn_fail_at(
            error, CN_INVALID, path, -1,
            "the file's name is the model's name and must be 1 to 63 letters, digits, "
            "_ . or - before @ and its ending");
    if (version == 0)
        return cn_fail_at(error, CN_INVALID, path, -1,
                          "what follows @ in the file's name is the model's version and must be a "
                          "number from 1 to %d without leading zeros",
                          SERVED_MODEL_MAX_VERSION);
    memcpy(ret_name, file, length);
    ret_name[length] = '\0';
    *ret_version = version;
    return CN_OK;
}

/* Measures one image in this thread's processor time, so that other load on the machine does not
 * count. Takes the median of nine runs, or of fewer long ones; the first one warms the caches, and
 * counts only if it is long. */
static enum cn_status served_model_measure(struct served_model *served, struct cn_error *error) {
    struct cn_workspace *workspace = NULL;
    double seconds[9];
    int runs = 0;
    float *image = cn_floats_allocate(cn_plan_input_size(served->plan));
    float *output = cn_floats_allocate(cn_plan_output_size(served->plan));
    enum cn_status status = image != NULL && output != NULL
                                ? cn_workspace_create(served->plan, &workspace, error)
                                : cn_fail(error, CN_MEMORY, "no memory for a first image");
    if (status == CN_OK) {
        const uint64_t begin = cn_clock_thread_nanoseconds(), enough = 5000000;
        cn_plan_run(served->plan, workspace, image, 1, output);
        const uint64_t first = cn_clock_thread_nanoseconds() - begin;
        if (first >= enough)
            seconds[runs++] = cn_seconds(first);
        while (runs < 9 && (runs == 0 || cn_clock_thread_nanoseconds() - begin < enough)) {
            const uint64_t before = cn_clock_thread_nanoseconds();
            cn_plan_run(served->plan, workspace, image, 1, output);
            seconds[runs++] = cn_seconds(cn_clock_thread_nanoseconds() - before);
        }
        qsort(seconds, (size_t)runs, sizeof *seconds, cn_number_compare);
        served->image_seconds = seconds[runs / 2];
    }
    cn_workspace_free(workspace);
    free(image);
    free(output);
    return status;
}

enum cn_status served_model_load(const char *path, size_t slots, const struct cn_trusted_keys *keys,
                                 struct served_model **ret_model, struct cn_error *error) {
    struct served_model *served = calloc(1, sizeof *served);
    if (served == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a model");
    served->references = 1;
    served->slots = slots;
    served->workspaces = calloc(slots > 0 ? slots : 1, sizeof(struct cn_workspace *));
    enum cn_status status = served->workspaces != NULL
                                ? served_model_name(path, served->name, &served->version, error)
                                : cn_fail(error, CN_MEMORY, "no memory for %zu slots", slots);
    if (status == CN_OK)
        status = cn_model_read_trusted(path, keys, &served->model, &served->plan, error);
    if (status == CN_OK)
        status = served_model_measure(served, error);
    if (status != CN_OK) {
        served_model_release(served);
        return status;
    }
    *ret_model = served;
    return CN_OK;
}

struct served_model *served_model_acquire(struct served_model *model) {
    cn_reference_take(&model->references);
    return model;
}

void served_model_release(struct served_model *model) {
    if (model == NULL || !cn_reference_give(&model->references))
        return;
    for (size_t i = 0; model->workspaces != NULL && i < model->slots; i++)
        cn_workspace_free(model->workspaces[i]);
    free(model->workspaces);
    statistics_model_release(model->statistics);
    cn_plan_free(model->plan);
    cn_model_free(model->model);
    free(model);
}

struct cn_workspace *served_model_workspace(struct served_model *model, size_t slot) {
    if (slot >= model->slots)
        return NULL;
    if (model->workspaces[slot] == NULL)
        (void)cn_workspace_create(model->plan, &model->workspaces[slot], NULL);
    return model->workspaces[slot];
}
