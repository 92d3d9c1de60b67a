/* served_model.h: a loaded model and what its requests share.
 *
 * A served model is immutable; requests hold a reference while they use it, and the last one frees
 * it. Its workspaces, which change while it runs, are in numbered slots, one per thread that
 * computes, and are freed with it. */
#ifndef CONVNET_SERVING_SERVED_MODEL_H
#define CONVNET_SERVING_SERVED_MODEL_H

#include "base/atomics.h"
#include "convnet/model.h"
#include "convnet/plan.h"

enum { SERVED_MODEL_NAME = 64, SERVED_MODEL_MAX_VERSION = 999999999 };

struct cn_trusted_keys;
struct job;
struct statistics_model;

/* Used by the batch lane: a model's waiting jobs, and the next model of the round-robin. */
struct served_model_jobs {
    struct job *first, *last;
    struct served_model *next_model;
};

struct served_model {
    char name[SERVED_MODEL_NAME]; /* "digits" */
    unsigned version;             /* at least 1 */
    struct cn_model *model;       /* labels, preprocessing, input shape */
    struct cn_plan *plan;
    double image_seconds; /* for one image on one thread, measured at load; chooses the lane */
    size_t slots;
    struct cn_workspace **workspaces;    /* [slots]; each is used by its own thread only */
    struct statistics_model *statistics; /* its counters; a reference; may be NULL */
    struct served_model_jobs jobs;
    atomic_uint references; /* served_model_acquire / _release */
};

/* Derives name and version from a file's name: "digits.safetensors" is version 1 of digits,
 * "digits@2.safetensors" version 2. CN_INVALID unless the name is 1 to 63 letters, digits, _ . or
 * -, not beginning with a point, and the version is 1 to SERVED_MODEL_MAX_VERSION without leading
 * zeros. */
enum cn_status served_model_name(const char *path, char ret_name[static SERVED_MODEL_NAME],
                                 unsigned *ret_version, struct cn_error *error);

/* Reads, checks, probes and warms the model file for use by `slots` threads. It must be signed by
 * one of `keys`, unless they are NULL. Returns one reference, which the caller ends with
 * served_model_release. */
enum cn_status served_model_load(const char *path, size_t slots, const struct cn_trusted_keys *keys,
                                 struct served_model **ret_model, struct cn_error *error);
struct served_model *served_model_acquire(struct served_model *model);
void served_model_release(struct served_model *model); /* accepts NULL */

/* The workspace of slot `slot`, allocated at its first use; NULL if memory runs out. A slot belongs
 * to one thread. Borrowed while the reference is held. */
struct cn_workspace *served_model_workspace(struct served_model *model, size_t slot);

#endif
