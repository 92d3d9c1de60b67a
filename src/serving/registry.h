/* registry.h: the models that are served: one file, or every *.safetensors of a folder.
 *
 * The file's name gives the model's name and version (served_model_name). Finding a model takes a
 * lock for a few instructions. Loading happens aside, one model at a time, and ends with the swap
 * of a pointer: requests keep the model that they hold, and the old one is freed after the last of
 * them. A file that fails a check leaves the model that is served in place. With trusted keys, a
 * file fails that none of them signed, or that was signed before the file that is served. */
#ifndef CONVNET_SERVING_REGISTRY_H
#define CONVNET_SERVING_REGISTRY_H

#include <stdbool.h>

#include "serving/served_model.h"

enum {
    REGISTRY_MAX_MODELS = 64,  /* names and versions together */
    REGISTRY_MAX_REFUSALS = 16 /* most files per reload that are reported one by one */
};

enum registry_event_kind {
    REGISTRY_EVENT_LOADED = 0, /* the file was read and is served from now on */
    REGISTRY_EVENT_REFUSED,    /* `error` says why; what was served before still is */
    REGISTRY_EVENT_UNLOADED,   /* as a client asked */
    REGISTRY_EVENT_GONE,       /* its file has disappeared */
    REGISTRY_EVENT_DEFAULT,    /* `name` is the new default model; "": there is none */
    REGISTRY_EVENT_MORE        /* `count` more files were refused than were reported */
};

struct registry_event {
    enum registry_event_kind kind;
    const char *path;
    const char *name;
    unsigned version;
    const struct served_model *model; /* LOADED */
    const struct cn_error *error;     /* REFUSED */
    size_t count;                     /* MORE */
};

struct registry_options {
    const char *file;          /* one model file, or NULL */
    const char *folder;        /* a folder of model files, or NULL */
    const char *default_model; /* NULL: the first by name, while it exists */
    const char
        *trusted_keys; /* a file that is read at each reload; NULL: signatures are not required */
    size_t slots;      /* number of threads that compute, see served_model_workspace */
    /* Called with each event on the thread that loads; may be NULL. The event is borrowed. */
    void (*report)(void *data, const struct registry_event *event);
    void *data;
};

enum registry_state {
    REGISTRY_READY = 0,
    REGISTRY_UNLOADED, /* by registry_unload; lasts until registry_load */
    REGISTRY_FAILED    /* its file was refused, and there is no older model to serve */
};

/* One model and version. */
struct registry_row {
    char name[SERVED_MODEL_NAME];
    unsigned version;
    enum registry_state state;
    bool newest;                /* used for its name without a version */
    bool is_default;            /* used without a name */
    char reason[CN_ERROR_TEXT]; /* why it is not ready, or why the last reload was refused */
    struct served_model *model; /* NULL unless ready */
    struct statistics_model *statistics; /* its counters, through all reloads */
};

enum registry_answer {
    REGISTRY_FOUND = 0,
    REGISTRY_NO_MODEL,   /* no such name; without a name: no default model */
    REGISTRY_NO_VERSION, /* no such version of this name */
    REGISTRY_NOT_READY   /* it exists, but is unloaded or failed */
};

struct registry_result {
    size_t loaded, unchanged, refused, gone;
};

struct registry;

/* Loads the file, or the files of the folder. Fails when the file or each file of the folder is
 * refused, when there is none, and when default_model does not exist. `options` and its strings
 * must outlive the registry. Caller frees with registry_free. */
enum cn_status registry_create(const struct registry_options *options,
                               struct registry **ret_registry, struct cn_error *error);
void registry_free(struct registry *registry); /* accepts NULL */

/* A new reference to a model, which the caller releases. `name` NULL: the default model; `version`
 * 0: the highest that is ready. NULL when there is none; *ret_answer then says why. */
struct served_model *registry_acquire(struct registry *registry, const char *name, unsigned version,
                                      enum registry_answer *ret_answer);

/* All models by name and version: `*ret_count` rows, each with a reference to its model; NULL
 * if memory runs out. Caller frees with registry_list_free. */
struct registry_row *registry_list(struct registry *registry, size_t *ret_count);
void registry_list_free(struct registry_row *rows, size_t count);

/* Looks at the files again: reads those that are new, have changed or were refused, and forgets
 * those that have disappeared. Unloaded models stay unloaded. Returns CN_OK when nothing was
 * refused, else the first failure. Blocking; thread-safe: one call at a time runs. */
enum cn_status registry_reload(struct registry *registry, struct registry_result *ret_result,
                               struct cn_error *error);

/* The same for all versions of one name, including unloaded ones. CN_INVALID: no file has this
 * name. */
enum cn_status registry_load(struct registry *registry, const char *name,
                             struct registry_result *ret_result, struct cn_error *error);

/* Takes all versions of a name out of service; their files stay. CN_INVALID: there is no such name.
 */
enum cn_status registry_unload(struct registry *registry, const char *name, struct cn_error *error);

#endif
