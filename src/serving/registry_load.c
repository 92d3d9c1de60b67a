/* registry_load.c: reads model files and puts them in service or out of it. A model is read,
 * checked, probed and warmed before the registry's mutex is taken for the swap. Blocking; one call
 * at a time works, the others wait. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serving/registry_private.h"

/* Place of the entry in the order, or where it would be; *ret_there says which. */
static size_t place_of(const struct registry *registry, const char *name, unsigned version,
                       bool *ret_there) {
    size_t i = 0;
    int order = 1;
    while (i < registry->count &&
           (order = registry_order(registry->entries[i]->name, registry->entries[i]->version, name,
                                   version)) < 0)
        i++;
    *ret_there = i < registry->count && order == 0;
    return i;
}

static void insert(struct registry *registry, size_t place, struct registry_entry *entry) {
    (void)pthread_mutex_lock(&registry->mutex);
    memmove(registry->entries + place + 1, registry->entries + place,
            (registry->count - place) * sizeof(struct registry_entry *));
    registry->entries[place] = entry;
    registry->count++;
    (void)pthread_mutex_unlock(&registry->mutex);
}

/* Takes the entry out; what it served goes with its last request. */
static void forget(struct registry *registry, size_t place) {
    struct registry_entry *entry = registry->entries[place];
    const struct registry_event event = {.kind = REGISTRY_EVENT_GONE,
                                         .path = entry->path,
                                         .name = entry->name,
                                         .version = entry->version};
    (void)pthread_mutex_lock(&registry->mutex);
    registry->count--;
    memmove(registry->entries + place, registry->entries + place + 1,
            (registry->count - place) * sizeof(struct registry_entry *));
    (void)pthread_mutex_unlock(&registry->mutex);
    registry_report(registry, &event);
    registry_entry_free(entry);
}

/* The outcome of a load, at once for all who look. `why` NULL: it succeeded. */
static void swap(struct registry *registry, struct registry_entry *entry,
                 const struct registry_stamp *stamp, struct served_model *model,
                 const struct cn_error *why) {
    (void)pthread_mutex_lock(&registry->mutex);
    struct served_model *old = entry->model;
    if (why == NULL)
        entry->model = model;
    entry->state = entry->model != NULL ? REGISTRY_READY : REGISTRY_FAILED;
    entry->stamp = *stamp;
    (void)snprintf(entry->reason, sizeof entry->reason, "%s", why != NULL ? why->text : "");
    (void)pthread_mutex_unlock(&registry->mutex);
    if (why == NULL)
        served_model_release(old);
}

static enum cn_status read_entry(struct registry *registry, struct registry_entry *entry,
                                 const struct registry_stamp *stamp, struct registry_result *result,
                                 struct cn_error *error) {
    struct served_model *model = NULL;
    struct cn_error why = {0};
    const enum cn_status status =
        served_model_load(entry->path, registry->options.slots, &model, &why);
    const struct registry_event event = {.kind = status == CN_OK ? REGISTRY_EVENT_LOADED
                                                                 : REGISTRY_EVENT_REFUSED,
                                         .path = entry->path,
                                         .name = entry->name,
                                         .version = entry->version,
                                         .model = model,
                                         .error = &why};
    if (status == CN_OK)
        model->statistics = statistics_model_acquire(entry->statistics);
    *(status == CN_OK ? &result->loaded : &result->refused) += 1;
    registry_report(registry, &event);
    swap(registry, entry, stamp, model, status == CN_OK ? NULL : &why);
    if (status == CN_OK)
        return CN_OK;
    return cn_fail_at(error, status, why.source, why.offset, "%s", why.text);
}

_Static_assert(REGISTRY_MAX_MODELS == 64, "the message of add() says so");

/* A file that never becomes an entry. */
static enum cn_status refuse(struct registry *registry, const struct registry_file *file,
                             enum cn_status status, const char *text,
                             struct registry_result *result, struct cn_error *error) {
    struct cn_error why = {0};
    const struct registry_event event = {.kind = REGISTRY_EVENT_REFUSED,
                                         .path = file->path,
                                         .name = file->name,
                                         .version = file->version,
                                         .error = &why};
    (void)cn_fail_at(&why, status, file->path, -1, "%s", text);
    result->refused++;
    registry_report(registry, &event);
    return cn_fail_at(error, status, file->path, -1, "%s", text);
}

static enum cn_status add(struct registry *registry, const struct registry_file *file, size_t place,
                          struct registry_result *result, struct cn_error *error) {
    if (registry->count == REGISTRY_MAX_MODELS)
        return refuse(registry, file, CN_LIMIT, "there are too many models; the limit is 64",
                      result, error);
    struct registry_entry *entry = calloc(1, sizeof *entry);
    if (entry != NULL) {
        entry->path = strdup(file->path);
        entry->statistics = statistics_model_create();
    }
    if (entry == NULL || entry->path == NULL || entry->statistics == NULL) {
        if (entry != NULL)
            registry_entry_free(entry);
        return refuse(registry, file, CN_MEMORY, "there is no memory for one model more", result,
                      error);
    }
    memcpy(entry->name, file->name, sizeof entry->name);
    entry->version = file->version;
    entry->state = REGISTRY_FAILED;
    (void)snprintf(entry->reason, sizeof entry->reason, "is being read");
    insert(registry, place, entry);
    return read_entry(registry, entry, &file->stamp, result, error);
}

/* One file of the scan; `asked`: by name, and so wanted even if it was unloaded. */
static enum cn_status update(struct registry *registry, const struct registry_file *file,
                             bool asked, struct registry_result *result, struct cn_error *error) {
    bool there = false;
    const size_t place = place_of(registry, file->name, file->version, &there);
    if (!there)
        return add(registry, file, place, result, error);
    struct registry_entry *entry = registry->entries[place];
    const bool same = memcmp(&entry->stamp, &file->stamp, sizeof entry->stamp) == 0;
    const bool unloaded = entry->state == REGISTRY_UNLOADED;
    if ((unloaded && !asked) || (!unloaded && same && entry->reason[0] == '\0')) {
        result->unchanged++;
        return CN_OK;
    }
    if (strcmp(entry->path, file->path) != 0) { /* digits@1 became digits */
        char *path = strdup(file->path);
        if (path == NULL)
            return refuse(registry, file, CN_MEMORY, "there is no memory for its path", result,
                          error);
        free(entry->path);
        entry->path = path;
    }
    return read_entry(registry, entry, &file->stamp, result, error);
}

/* Forgets the models, of `name` only unless it is NULL, whose file is not in the scan. */
static void forget_vanished(struct registry *registry, const struct registry_files *files,
                            const char *name, struct registry_result *result) {
    for (size_t i = registry->count; i-- > 0;) {
        const struct registry_entry *entry = registry->entries[i];
        bool there = name != NULL && strcmp(name, entry->name) != 0;
        for (size_t f = 0; f < files->count && !there; f++)
            there = registry_order(entry->name, entry->version, files->files[f].name,
                                   files->files[f].version) == 0;
        if (there)
            continue;
        result->gone++;
        forget(registry, i);
    }
}

/* The operator's choice; or the one that was chosen before, while its name is there; or the first
 * name that has a model to serve. */
static const char *default_of(const struct registry *registry) {
    const char *first = NULL;
    if (registry->options.default_model != NULL)
        return registry->options.default_model;
    for (size_t i = 0; i < registry->count; i++) {
        const struct registry_entry *entry = registry->entries[i];
        if (strcmp(entry->name, registry->default_name) == 0)
            return registry->default_name;
        if (first == NULL && entry->model != NULL)
            first = entry->name;
    }
    return first != NULL ? first : "";
}

static void choose_default(struct registry *registry) {
    const char *name = default_of(registry);
    if (strcmp(name, registry->default_name) == 0)
        return;
    (void)pthread_mutex_lock(&registry->mutex);
    (void)snprintf(registry->default_name, sizeof registry->default_name, "%s", name);
    (void)pthread_mutex_unlock(&registry->mutex);
    const struct registry_event event = {
        .kind = REGISTRY_EVENT_DEFAULT, .path = "", .name = registry->default_name};
    registry_report(registry, &event);
}

/* With `loading`: all files, or those of one name; all of them are tried, the first failure is
 * returned. */
static enum cn_status refresh(struct registry *registry, const char *name,
                              struct registry_result *result, struct cn_error *error) {
    struct registry_files files = {0};
    size_t matches = 0;
    enum cn_status status = registry_scan(&registry->options, &files, error);
    if (status == CN_OK) {
        result->refused += name == NULL ? files.refused : 0;
        for (size_t i = 0; i < files.count; i++) {
            if (name != NULL && strcmp(name, files.files[i].name) != 0)
                continue;
            const enum cn_status one =
                update(registry, &files.files[i], name != NULL, result, error);
            status = status == CN_OK ? one : status;
            matches++;
        }
        forget_vanished(registry, &files, name, result);
        choose_default(registry);
        if (name != NULL && matches == 0)
            status = cn_fail(error, CN_INVALID, "there is no file for a model '%.63s'", name);
        else if (name == NULL && files.refused > 0 && status == CN_OK)
            status = cn_fail(error, CN_INVALID, "%zu files have names that are no model's",
                             files.refused);
    }
    registry_files_clear(&files);
    return status;
}

enum cn_status registry_reload(struct registry *registry, struct registry_result *ret_result,
                               struct cn_error *error) {
    *ret_result = (struct registry_result){0};
    (void)pthread_mutex_lock(&registry->loading);
    const enum cn_status status = refresh(registry, NULL, ret_result, error);
    (void)pthread_mutex_unlock(&registry->loading);
    return status;
}

enum cn_status registry_load(struct registry *registry, const char *name,
                             struct registry_result *ret_result, struct cn_error *error) {
    *ret_result = (struct registry_result){0};
    (void)pthread_mutex_lock(&registry->loading);
    const enum cn_status status = refresh(registry, name, ret_result, error);
    (void)pthread_mutex_unlock(&registry->loading);
    return status;
}

static void unload(struct registry *registry, struct registry_entry *entry) {
    const struct registry_event event = {.kind = REGISTRY_EVENT_UNLOADED,
                                         .path = entry->path,
                                         .name = entry->name,
                                         .version = entry->version};
    (void)pthread_mutex_lock(&registry->mutex);
    struct served_model *old = entry->model;
    entry->model = NULL;
    entry->state = REGISTRY_UNLOADED;
    (void)snprintf(entry->reason, sizeof entry->reason, "unloaded");
    (void)pthread_mutex_unlock(&registry->mutex);
    served_model_release(old);
    registry_report(registry, &event);
}

enum cn_status registry_unload(struct registry *registry, const char *name,
                               struct cn_error *error) {
    size_t matches = 0;
    (void)pthread_mutex_lock(&registry->loading);
    for (size_t i = 0; i < registry->count; i++) {
        if (strcmp(registry->entries[i]->name, name) != 0)
            continue;
        matches++;
        if (registry->entries[i]->state != REGISTRY_UNLOADED)
            unload(registry, registry->entries[i]);
    }
    (void)pthread_mutex_unlock(&registry->loading);
    if (matches == 0)
        return cn_fail(error, CN_INVALID, "there is no model '%.63s'", name);
    return CN_OK;
}
