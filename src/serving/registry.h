/* registry.h: the models that are served: one file, or every *.safetensors of a folder.
 *
 * A file's name says the model's name and version (served_model_name). Finding a model takes a lock
 * for a few instructions; loading happens beside it, a model at a time, and ends with the swap of a
 * pointer: requests keep what they hold, the old model goes when the last of them lets go. A file
 * that does not pass leaves the model that is served from it in place. With trusted keys, a file
 * that none of them signed does not pass, nor does one that was signed before the one that is
 * served.
 */
#ifndef CONVNET_SERVING_REGISTRY_H
#define CONVNET_SERVING_REGISTRY_H

#include <stdbool.h>

#include "serving/served_model.h"

enum {
    REGISTRY_MAX_MODELS = 64,  /* names and versions in all */
    REGISTRY_MAX_REFUSALS = 16 /* that one (re)load reports, each by itself */
};

enum registry_event_kind {
    REGISTRY_EVENT_LOADED = 0, /* read and served from now on */
    REGISTRY_EVENT_REFUSED,    /* `error` says why; what was served before still is */
    REGISTRY_EVENT_UNLOADED,   /* as asked */
    REGISTRY_EVENT_GONE,       /* its file has vanished */
    REGISTRY_EVENT_DEFAULT,    /* `name` is the default model from now on; "": there is none */
    REGISTRY_EVENT_MORE        /* `count` files more were refused than were reported */
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
    const char *file;          /* one model file, or */
    const char *folder;        /* a folder; the other one is NULL */
    const char *default_model; /* a name; NULL: the first by name, for as long as it is there */
    const char *trusted_keys;  /* a file, read at each (re)load; NULL: nobody need sign */
    size_t slots;              /* threads that compute, see served_model_workspace */
    /* What happened, on the thread that loads; may be NULL. The event is borrowed. */
    void (*report)(void *data, const struct registry_event *event);
    void *data;
};

enum registry_state {
    REGISTRY_READY = 0,
    REGISTRY_UNLOADED, /* by registry_unload: stays so until registry_load */
    REGISTRY_FAILED    /* its file was refused, and nothing older is there to serve */
};

/* One model and version. */
struct registry_row {
    char name[SERVED_MODEL_NAME];
    unsigned version;
    enum registry_state state;
    bool newest;                /* what its name without a version means */
    bool is_default;            /* ... and what no name means */
    char reason[CN_ERROR_TEXT]; /* why it is not ready, or why the last reload was refused */
    struct served_model *model; /* NULL unless ready */
    struct statistics_model *statistics; /* all that was counted of it, through its reloads */
};

enum registry_answer {
    REGISTRY_FOUND = 0,
    REGISTRY_NO_MODEL,   /* no such name; without a name: no default model */
    REGISTRY_NO_VERSION, /* the name is there, the version is not */
    REGISTRY_NOT_READY   /* it is there, unloaded or failed */
};

struct registry_result {
    size_t loaded, unchanged, refused, gone;
};

struct registry;

/* Loads the file, or what the folder has. Fails when the file, or each file of the folder, is
 * refused, when there is none, and when default_model is not there. `options` and its strings must
 * outlive the registry. Caller frees with registry_free. */
enum cn_status registry_create(const struct registry_options *options,
                               struct registry **ret_registry, struct cn_error *error);
void registry_free(struct registry *registry); /* accepts NULL */

/* A new reference to a model; caller releases it. `name` NULL: the default model; `version` 0: the
 * highest that is ready. NULL when it is not there; *ret_answer then says why. */
struct served_model *registry_acquire(struct registry *registry, const char *name, unsigned version,
                                      enum registry_answer *ret_answer);

/* All models by name and version, `*ret_count` rows, each with a reference to its model; NULL
 * without memory. Caller frees with registry_list_free. */
struct registry_row *registry_list(struct registry *registry, size_t *ret_count);
void registry_list_free(struct registry_row *rows, size_t count);

/* Looks at the files again: reads those that are new, have changed or were refused before, forgets
 * those that have vanished. Unloaded models stay unloaded. Returns CN_OK when nothing was refused,
 * else the first failure. Blocking, thread-safe; one such call at a time does its work. */
enum cn_status registry_reload(struct registry *registry, struct registry_result *ret_result,
                               struct cn_error *error);

/* The same for one name, all its versions, with unloaded ones too. CN_INVALID: no file has this
 * name. */
enum cn_status registry_load(struct registry *registry, const char *name,
                             struct registry_result *ret_result, struct cn_error *error);

/* Takes all versions of a name out of service; their files stay. CN_INVALID: there is none. */
enum cn_status registry_unload(struct registry *registry, const char *name, struct cn_error *error);

#endif
