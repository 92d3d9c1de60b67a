/* export.h: a model in the formats of others. */
#ifndef CONVNET_CLI_EXPORT_H
#define CONVNET_CLI_EXPORT_H

#include "cli/cli.h"
#include "json/write.h"

/* What layer `layer` has under a key of its configuration, as its field's kind says; NULL: no such
 * key. */
const void *cli_export_field(const struct cn_layer *layer, const char *key);

/* The weights of the layer's tensor of this name, also those of another layer that it shares; NULL:
 * it has none. */
const float *cli_export_weights(const struct cn_network *network, const struct cn_layer *layer,
                                const char *tensor);

/* An ONNX file, opset 17. Inputs and outputs are as the model's tensors. CN_UNSUPPORTED names a
 * layer that has no operator. */
enum cn_status cli_export_onnx(const struct cn_model *model, struct cn_text *ret_bytes,
                               struct cn_error *error);

/* A TensorFlow.js layers model: the JSON that names the file `weights_name` beside it, and that
 * file's bytes. */
enum cn_status cli_export_tfjs(const struct cn_model *model, const char *weights_name,
                               char **ret_json, struct cn_text *ret_weights,
                               struct cn_error *error);

#endif
