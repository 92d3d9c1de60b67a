/* served_model.h: a loaded model with all that its requests share, and the slot it is swapped in.
 *
 * A served model is immutable; requests hold a reference while they use it. Reload makes a new one
 * aside and swaps the slot's pointer; the old one is freed when its last request lets go.
 */
#ifndef CONVNET_BATCH_SERVED_MODEL_H
#define CONVNET_BATCH_SERVED_MODEL_H

#include "convnet/model.h"
#include "convnet/plan.h"

struct served_model {
    char name[64];          /* the file's name without its ending: "digits" */
    struct cn_model *model; /* labels, preprocessing, input shape */
    struct cn_plan *plan;
    double image_seconds; /* one image on one thread, measured at load: chooses the lane */
    unsigned references;  /* atomic; served_model_acquire / _release */
};

/* Reads, checks, probes and warms the model file. The result holds one reference; caller ends it
 * with served_model_release. */
enum cn_status served_model_load(const char *path, struct served_model **ret_model,
                                 struct cn_error *error);
struct served_model *served_model_acquire(struct served_model *model);
void served_model_release(struct served_model *model); /* accepts NULL */

/* Where the current model stands. All functions are thread-safe. */
struct model_slot;
struct model_slot *model_slot_create(void); /* empty; NULL without memory */
void model_slot_free(struct model_slot *slot);

/* A new reference to the current model, NULL if there is none; caller releases it. */
struct served_model *model_slot_acquire(struct model_slot *slot);

/* Makes `model` the current one; takes ownership of the caller's reference. */
void model_slot_swap(struct model_slot *slot, struct served_model *model);

#endif
