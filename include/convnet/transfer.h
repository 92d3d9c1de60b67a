/* transfer.h: prepares a trained network for learning something else. */
#ifndef CONVNET_TRANSFER_H
#define CONVNET_TRANSFER_H

#include "convnet/model.h"

CN_DECLARATIONS_BEGIN

/* The changes; all zero: none. */
struct cn_transfer {
    size_t classes;     /* a new last Dense or Conv2D with this many outputs; 0: keep it */
    const char *freeze; /* layers that do not learn: "conv2d*,dense"; NULL: no change */
    enum cn_activation activation; /* appended to the output; CN_ACTIVATION_LINEAR: none */
    uint64_t seed;                 /* for the new layer's weights */
};

/* Changes the model's network. All other weights, preprocessing, training record and checksum stay;
 * with `classes` the labels become "0", "1", .... Patterns are shell patterns in a list with
 * commas. CN_INVALID, with the layers' names: no layer before the output has weights to replace, or
 * a pattern matches no layer with weights. The model is unchanged after a failure. */
enum cn_status cn_model_transfer(struct cn_model *model, const struct cn_transfer *transfer,
                                 struct cn_error *error);

CN_DECLARATIONS_END

#endif
