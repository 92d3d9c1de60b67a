/* activation.h: the activations that a layer can end with. */
#ifndef CONVNET_ACTIVATION_H
#define CONVNET_ACTIVATION_H

#include "convnet/declare.h"

CN_DECLARATIONS_BEGIN

enum cn_activation {
    CN_ACTIVATION_LINEAR = 0,
    CN_ACTIVATION_RELU,
    CN_ACTIVATION_SIGMOID,
    CN_ACTIVATION_TANH,
    CN_ACTIVATION_SOFTMAX /* over the innermost axis */
};
extern const char *const cn_activation_names[]; /* "linear", "relu", ..., NULL */

CN_DECLARATIONS_END

#endif
