/* registry.c: the served models: finds one, reads model files, puts them into service and out of
 * it. A model is read, checked, probed and warmed before the registry's mutex is taken for the
 * swap. Thread-safe: `mutex` guards the entries and is held for a few instructions. A thread that
 * changes them also holds `loading`, one thread at a time, so it may read them without the mutex.
 */
#include "serving/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/statistics.h"
#include "model/signature.h"
#include "serving/model_folder.h"

struct registry_entry {
    char name[SERVED_MODEL_NAME];
    unsigned version;
    char *path;
    struct registry_stamp stamp; /* of the file that was last read, successfully or not */
    enum registry_state state;
    struct served_model *model;          /* a reference; NULL unless READY */
    struct statistics_model *statistics; /* a reference */
    char reason[CN_ERROR_TEXT];          /* of the last refusal; "" after a success */
};

struct registry {
    struct registry_options options;
    pthread_mutex_t loading; /* held by the thread that changes the entries */
    pthread_mutex_t mutex;   /* held for the change itself */
    struct registry_entry *entries[REGISTRY_MAX_MODELS]; /* sorted by name and version */
    size_t count;
    char default_name[SERVED_MODEL_NAME]; /* "": no models */
    size_t refusals;                      /* of the current reload; under `loading` */
    struct cn_trusted_keys *keys;         /* under `loading`; NULL: signatures are not required */
};

/* ---- Finding ---- */

static void report_event(struct registry *registry, const struct registry_event *event) {
    if (event->kind == REGISTRY_EVENT_REFUSED && ++registry->refusals > REGISTRY_MAX_REFUSALS)
        return;
    if (registry->options.report != NULL)
        registry->options.report(registry->options.data, event);
}

/* The entry for `name` and `version`. Version 0: the highest that is ready, or the highest when
 * none is. Under the mutex. */
static struct registry_entry *entry_find(struct registry *registry, const char *name,
                                         unsigned version, enum registry_answer *ret_answer) {
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
        entry_find(registry, name != NULL ? name : registry->default_name, version, ret_answer);
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
        rows[i].newest = entry_find(registry, entry->name, 0, &answer) == entry;
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

/* ---- Loading and unloading ---- */

static void entry_free(struct registry_entry *entry) {
    served_model_release(entry->model);
    statistics_model_release(entry->statistics);
    free(entry->path);
    free(entry);
}

/* The index of the entry, or where it would be inserted; *ret_there says which. */
static size_t entry_place(const struct registry *registry, const char *name, unsigned version,
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

static void entry_insert(struct registry *registry, size_t place, struct registry_entry *entry) {
    (void)pthread_mutex_lock(&registry->mutex);
    memmove(registry->entries + place + 1, registry->entries + place,
            (registry->count - place) * sizeof(struct registry_entry *));
    registry->entries[place] = entry;
    registry->count++;
    (void)pthread_mutex_unlock(&registry->mutex);
}

/* Removes the entry; its model is freed after its last request. */
static void entry_forget(struct registry *registry, size_t place, struct registry_result *result) {
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
    /* A file that never loaded is forgotten without a word. */
    if (entry->state != REGISTRY_FAILED || entry->model != NULL) {
        result->gone++;
        report_event(registry, &event);
    }
    entry_free(entry);
}

/* Publishes the outcome of a load at once for all readers. `why` NULL: success. */
static void entry_swap(struct registry *registry, struct registry_entry *entry,
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

/* CN_INVALID if the file was signed before the file that is served: this stops a replay of an old
 * signature. */
static enum cn_status check_age(const struct registry_entry *entry,
                                const struct served_model *model, struct cn_error *error) {
    const long long before = entry->model != NULL ? entry->model->model->signed_at : 0;
    if (model->model->signed_at >= before)
        return CN_OK;
    return cn_fail_at(error, CN_INVALID, entry->path, -1,
                      "was signed %lld s before the model that is served: sign it again if it is "
                      "to replace that model",
                      before - model->model->signed_at);
}

static enum cn_status entry_read(struct registry *registry, struct registry_entry *entry,
                                 const struct registry_stamp *stamp, struct registry_result *result,
                                 struct cn_error *error) {
    struct served_model *model = NULL;
    struct cn_error why = {0};
    enum cn_status status =
        served_model_load(entry->path, registry->options.slots, registry->keys, &model, &why);
    if (status == CN_OK && registry->keys != NULL)
        status = check_age(entry, model, &why);
    if (status != CN_OK) {
        served_model_release(model);
        model = NULL;
    }
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
    report_event(registry, &event);
    entry_swap(registry, entry, stamp, model, status == CN_OK ? NULL : &why);
    if (status == CN_OK)
        return CN_OK;
    return cn_fail_at(error, status, why.source, why.offset, "%s", why.text);
}

_Static_assert(REGISTRY_MAX_MODELS == 64, "the message of entry_add() says so");

/* Reports a file that does not become an entry. */
static enum cn_status file_refuse(struct registry *registry, const struct registry_file *file,
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
    report_event(registry, &event);
    return cn_fail_at(error, status, file->path, -1, "%s", text);
}

static enum cn_status entry_add(struct registry *registry, const struct registry_file *file,
                                size_t place, struct registry_result *result,
                                struct cn_error *error) {
    if (registry->count == REGISTRY_MAX_MODELS)
        return file_refuse(registry, file, CN_LIMIT, "there are too many models; the limit is 64",
                           result, error);
    struct registry_entry *entry = calloc(1, sizeof *entry);
    if (entry != NULL) {
        entry->path = strdup(file->path);
        entry->statistics = statistics_model_create();
    }
    if (entry == NULL || entry->path == NULL || entry->statistics == NULL) {
        if (entry != NULL)
            entry_free(entry);
        return file_refuse(registry, file, CN_MEMORY, "there is no memory for another model",
                           result, error);
    }
    memcpy(entry->name, file->name, sizeof entry->name);
    entry->version = file->version;
    entry->state = REGISTRY_FAILED;
    (void)snprintf(entry->reason, sizeof entry->reason, "is being read");
    entry_insert(registry, place, entry);
    return entry_read(registry, entry, &file->stamp, result, error);
}

/* Updates one file of the scan. `asked`: by name, and therefore even if it was unloaded. */
static enum cn_status entry_update(struct registry *registry, const struct registry_file *file,
                                   bool asked, struct registry_result *result,
                                   struct cn_error *error) {
    bool there = false;
    const size_t place = entry_place(registry, file->name, file->version, &there);
    if (!there)
        return entry_add(registry, file, place, result, error);
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
            return file_refuse(registry, file, CN_MEMORY, "there is no memory for its path", result,
                               error);
        free(entry->path);
        entry->path = path;
    }
    return entry_read(registry, entry, &file->stamp, result, error);
}

/* Removes the models (of `name` only, unless it is NULL) whose file is not in the scan. */
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
        entry_forget(registry, i, result);
    }
}

/* The operator's choice; else the present default, while that name exists; else the first name that
 * has a model to serve. */
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
    report_event(registry, &event);
}

/* A change of the trusted keys makes every file be checked again. */
static enum cn_status read_trusted_keys(struct registry *registry, struct cn_error *error) {
    struct cn_trusted_keys *keys = NULL;
    if (registry->options.trusted_keys == NULL)
        return CN_OK;
    const enum cn_status status =
        cn_trusted_keys_read(registry->options.trusted_keys, &keys, error);
    if (status != CN_OK)
        return status;
    if (!cn_trusted_keys_equal(keys, registry->keys))
        for (size_t i = 0; i < registry->count; i++)
            registry->entries[i]->stamp = (struct registry_stamp){0};
    cn_trusted_keys_free(registry->keys);
    registry->keys = keys;
    return CN_OK;
}

/* Reads all files, or those of one name. It tries all of them and returns the first failure.
 * `loading` is held. */
static enum cn_status registry_refresh(struct registry *registry, const char *name,
                                       struct registry_result *result, struct cn_error *error) {
    struct registry_files files = {0};
    size_t matches = 0;
    enum cn_status status = read_trusted_keys(registry, error);
    if (status == CN_OK)
        status = registry_scan(&registry->options, &files, error);
    registry->refusals = files.refused; /* the scan has reported them */
    if (status == CN_OK) {
        result->refused += name == NULL ? files.refused : 0;
        for (size_t i = 0; i < files.count; i++) {
            if (name != NULL && strcmp(name, files.files[i].name) != 0)
                continue;
            const enum cn_status one =
                entry_update(registry, &files.files[i], name != NULL, result, error);
            status = status == CN_OK ? one : status;
            matches++;
        }
        forget_vanished(registry, &files, name, result);
        if (registry->refusals > REGISTRY_MAX_REFUSALS)
            report_event(registry, &(struct registry_event){.kind = REGISTRY_EVENT_MORE,
                                                            .path = "",
                                                            .name = "",
                                                            .count = registry->refusals -
                                                                     REGISTRY_MAX_REFUSALS});
        choose_default(registry);
        if (name != NULL && matches == 0)
            status = cn_fail(error, CN_INVALID, "there is no file for a model '%.63s'", name);
        else if (name == NULL && files.refused > 0 && status == CN_OK)
            status = cn_fail(error, CN_INVALID, "%zu files have names that are not model names",
                             files.refused);
    }
    registry_files_clear(&files);
    return status;
}

enum cn_status registry_reload(struct registry *registry, struct registry_result *ret_result,
                               struct cn_error *error) {
    *ret_result = (struct registry_result){0};
    (void)pthread_mutex_lock(&registry->loading);
    const enum cn_status status = registry_refresh(registry, NULL, ret_result, error);
    (void)pthread_mutex_unlock(&registry->loading);
    return status;
}

enum cn_status registry_load(struct registry *registry, const char *name,
                             struct registry_result *ret_result, struct cn_error *error) {
    *ret_result = (struct registry_result){0};
    (void)pthread_mutex_lock(&registry->loading);
    const enum cn_status status = registry_refresh(registry, name, ret_result, error);
    (void)pthread_mutex_unlock(&registry->loading);
    return status;
}

static void entry_unload(struct registry *registry, struct registry_entry *entry) {
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
    report_event(registry, &event);
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
            entry_unload(registry, registry->entries[i]);
    }
    (void)pthread_mutex_unlock(&registry->loading);
    if (matches == 0)
        return cn_fail(error, CN_INVALID, "there is no model '%.63s'", name);
    return CN_OK;
}

/* ---- Creating and freeing ---- */

/* "a, b": the names of the served models, for a message. */
static void list_names(const struct registry *registry, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < registry->count && used < size; i++) {
        const char *name = registry->entries[i]->name;
        if (i == 0 || strcmp(name, registry->entries[i - 1]->name) != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", name);
    }
}

/* The conditions for serving at all. */
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
        *error = (struct cn_error){0}; /* bad files among good ones were reported */
    if (options->default_model == NULL ||
        entry_find(registry, options->default_model, 0, &answer) != NULL)
        return CN_OK;
    list_names(registry, names, sizeof names);
    return cn_fail(error, CN_INVALID, "default-model '%.63s' does not exist; the models are %s",
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
        return cn_fail(error, CN_MEMORY, "no memory for the list of models");
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

void registry_free(struct registry *registry) {
    if (registry == NULL)
        return;
    for (size_t i = 0; i < registry->count; i++)
        entry_free(registry->entries[i]);
    cn_trusted_keys_free(registry->keys);
    (void)pthread_mutex_destroy(&registry->mutex);
    (void)pthread_mutex_destroy(&registry->loading);
    free(registry);
}
