/* registry.c: the served models, and finding one. Reading and changing them is registry_load.c's.
 * Thread-safe: `mutex` guards the entries and is held for a few instructions; who changes them
 * holds `loading` too, so that the loader may read them without the mutex. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serving/registry_private.h"

void registry_report(const struct registry *registry, const struct registry_event *event) {
    if (registry->options.report != NULL)
        registry->options.report(registry->options.data, event);
}

/* Under the mutex: the entry that `name` and `version` mean: version 0 the highest that is ready,
 * or the highest when none is. */
static struct registry_entry *find(struct registry *registry, const char *name, unsigned version,
                                   enum registry_answer *ret_answer) {
    struct registry_entry *best = NULL;
    bool known = false;
    for (size_t i = 0; i < registry->count; i++) {
        struct registry_entry *entry = registry->entries[i];
        if (strcmp(entry->name, name) != 0)
            continue;
        known = true;
        if (version != 0 ? entry->version == version
                         : best == NULL || entry->model != NULL || best->model == NULL)
            best = entry;
    }
    *ret_answer = !known                ? REGISTRY_NO_MODEL
                  : best == NULL        ? REGISTRY_NO_VERSION
                  : best->model == NULL ? REGISTRY_NOT_READY
                                        : REGISTRY_FOUND;
    return best;
}

struct served_model *registry_acquire(struct registry *registry, const char *name, unsigned version,
                                      enum registry_answer *ret_answer) {
    struct served_model *model = NULL;
    (void)pthread_mutex_lock(&registry->mutex);
    const struct registry_entry *entry =
        find(registry, name != NULL ? name : registry->default_name, version, ret_answer);
    if (entry != NULL && entry->model != NULL)
        model = served_model_acquire(entry->model);
    (void)pthread_mutex_unlock(&registry->mutex);
    return model;
}

struct registry_row *registry_list(struct registry *registry, size_t *ret_count) {
    (void)pthread_mutex_lock(&registry->mutex);
    const size_t count = registry->count;
    struct registry_row *rows = calloc(count > 0 ? count : 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < count; i++) {
        const struct registry_entry *entry = registry->entries[i];
        enum registry_answer answer;
        memcpy(rows[i].name, entry->name, sizeof rows[i].name);
        memcpy(rows[i].reason, entry->reason, sizeof rows[i].reason);
        rows[i].version = entry->version;
        rows[i].state = entry->state;
        rows[i].newest = find(registry, entry->name, 0, &answer) == entry;
        rows[i].is_default = rows[i].newest && strcmp(registry->default_name, entry->name) == 0;
        rows[i].statistics = statistics_model_acquire(entry->statistics);
        rows[i].model = entry->model != NULL ? served_model_acquire(entry->model) : NULL;
    }
    (void)pthread_mutex_unlock(&registry->mutex);
    *ret_count = rows != NULL ? count : 0;
    return rows;
}

void registry_list_free(struct registry_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        served_model_release(rows[i].model);
        statistics_model_release(rows[i].statistics);
    }
    free(rows);
}

/* "a, b": the names that are served, for a message. */
static void list_names(const struct registry *registry, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < registry->count && used < size; i++) {
        const char *name = registry->entries[i]->name;
        if (i == 0 || strcmp(name, registry->entries[i - 1]->name) != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", name);
    }
}

/* What must hold before anything is served. */
static enum cn_status check_first(struct registry *registry, enum cn_status status,
                                  struct cn_error *error) {
    const struct registry_options *options = &registry->options;
    enum registry_answer answer;
    char names[160];
    size_t ready = 0;
    for (size_t i = 0; i < registry->count; i++)
        ready += registry->entries[i]->model != NULL;
    if (ready == 0 && status != CN_OK)
        return status;
    if (ready == 0)
        return cn_fail_at(error, CN_INVALID, options->folder, -1,
                          "the folder has no model: no file whose name ends with .safetensors");
    if (error != NULL)
        *error = (struct cn_error){0}; /* a bad file among good ones was reported */
    if (options->default_model == NULL ||
        find(registry, options->default_model, 0, &answer) != NULL)
        return CN_OK;
    list_names(registry, names, sizeof names);
    return cn_fail(error, CN_INVALID, "default-model '%.63s' is none of the models, %s",
                   options->default_model, names);
}

enum cn_status registry_create(const struct registry_options *options,
                               struct registry **ret_registry, struct cn_error *error) {
    struct cn_error local = {0};
    struct registry_result result;
    struct registry *registry = calloc(1, sizeof *registry);
    if (error == NULL)
        error = &local;
    if (registry == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate the list of models");
    registry->options = *options;
    (void)pthread_mutex_init(&registry->mutex, NULL);
    (void)pthread_mutex_init(&registry->loading, NULL);
    enum cn_status status = registry_reload(registry, &result, error);
    status = check_first(registry, status, error);
    if (status != CN_OK) {
        registry_free(registry);
        return status;
    }
    *ret_registry = registry;
    return CN_OK;
}

void registry_entry_free(struct registry_entry *entry) {
    served_model_release(entry->model);
    statistics_model_release(entry->statistics);
    free(entry->path);
    free(entry);
}

void registry_free(struct registry *registry) {
    if (registry == NULL)
        return;
    for (size_t i = 0; i < registry->count; i++)
        registry_entry_free(registry->entries[i]);
    (void)pthread_mutex_destroy(&registry->mutex);
    (void)pthread_mutex_destroy(&registry->loading);
    free(registry);
}
