/* transfer.h: a trained network made ready to learn something else. */
#ifndef CONVNET_TRANSFER_H
#define CONVNET_TRANSFER_H

#include "convnet/model.h"

CN_DECLARATIONS_BEGIN

/* What is to change; all zero: nothing. */
struct cn_transfer {
    size_t classes;     /* a new last Dense or Conv2D, of so many outputs; 0: it stays */
    const char *freeze; /* layers that do not learn: "conv2d*,dense"; NULL: as they are */
    enum cn_activation activation; /* put behind the output; CN_ACTIVATION_LINEAR: none */
    uint64_t seed;                 /* of the new layer's weights */
};

/* Changes the model's network. All other weights, preprocessing, training record and checksum stay;
 * with `classes` the labels become "0", "1", .... Patterns are those of the shell, in a list with
 * commas. CN_INVALID: no layer before the output has weights to make anew, or a pattern matches no
 * layer with weights; the message names the layers. The model is as it was after a failure. */
enum cn_status cn_model_transfer(struct cn_model *model, const struct cn_transfer *transfer,
                                 struct cn_error *error);

CN_DECLARATIONS_END

#endif
