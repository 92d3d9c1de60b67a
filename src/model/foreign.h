/* foreign.h: recognises model files of other programs by their first bytes. */
#ifndef CONVNET_MODEL_FOREIGN_H
#define CONVNET_MODEL_FOREIGN_H

#include <stddef.h>

#include "convnet/status.h"

enum cn_foreign {
    CN_FOREIGN_UNKNOWN = 0,
    CN_FOREIGN_HDF5,
    CN_FOREIGN_KERAS_ZIP,
    CN_FOREIGN_TORCH_ZIP,
    CN_FOREIGN_TORCH_LEGACY,
    CN_FOREIGN_JSON,        /* TensorFlow.js, or only an architecture */
    CN_FOREIGN_SAFETENSORS, /* of this program or another */
    CN_FOREIGN_ONNX,
    CN_FOREIGN_TFLITE,
    CN_FOREIGN_SAVED_MODEL
};

/* The kind of file, by magic numbers; nothing is parsed. A zip archive is searched for the names of
 * its entries. */
enum cn_foreign cn_foreign_recognize(const unsigned char *bytes, size_t length);

/* Fails with what the file is and how to get a model from it: the import command, or the command
 * that converts it first. CN_UNSUPPORTED. */
enum cn_status cn_foreign_refuse(enum cn_foreign kind, const char *name, struct cn_error *error);

#endif
