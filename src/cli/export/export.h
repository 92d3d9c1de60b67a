/* export.h: a model in the formats of others. */
#ifndef CONVNET_CLI_EXPORT_EXPORT_H
#define CONVNET_CLI_EXPORT_EXPORT_H

#include "cli/cli.h"
#include "json/write.h"

/* The value that layer `layer` has under a key of its configuration, by the kind of its field;
 * NULL: no such key. */
const void *cli_export_field(const struct cn_layer *layer, const char *key);

/* The word of the layer's key "function"; "" without one. */
const char *cli_export_function(const struct cn_layer *layer);

/* The weights of the layer's tensor of this name, also those of another layer that it shares; NULL:
 * it has none. */
const float *cli_export_weights(const struct cn_network *network, const struct cn_layer *layer,
                                const char *tensor);

/* The layer whose softmax is divided by the network's temperature; NULL: it is 1. */
const struct cn_layer *cli_export_calibrated(const struct cn_network *network);

/* The version of Keras that reads a file: Keras 3, all versions that read Keras 2's HDF5,
 * TensorFlow.js. */
enum cli_dialect { CLI_KERAS_3 = 1, CLI_KERAS_2 = 2, CLI_TFJS = 4 };

/* The network as a Keras 3 model (Sequential or Functional) of layers that the dialect has, with
 * the temperature as a layer. A layer that has weights says under "holds" whose of ours they are.
 * Caller releases *ret_model. CN_UNSUPPORTED names a layer that the dialect lacks. */
enum cn_status cli_export_layers(const struct cn_network *network, enum cli_dialect dialect,
                                 json_t **ret_model, struct cn_error *error);

/* Gives a model of cli_export_layers the spelling of Keras 2, without initializers and "holds". */
void cli_export_respell(json_t *model);

/* True if layers of this type can be written as ONNX. */
bool cli_export_onnx_has(const struct cn_layer_type *type);

/* The same in a dialect of Keras: "yes", "no", or "some", by what they compute. */
const char *cli_export_extent(const struct cn_layer_type *type, enum cli_dialect dialect);

/* An ONNX file, opset 17. Inputs and outputs are as the model's tensors. CN_UNSUPPORTED names a
 * layer that has no operator. */
enum cn_status cli_export_onnx(const struct cn_model *model, struct cn_text *ret_bytes,
                               struct cn_error *error);

/* A TensorFlow.js layers model: the JSON that names the file `weights_name` beside it, and that
 * file's bytes. */
enum cn_status cli_export_tfjs(const struct cn_model *model, const char *weights_name,
                               char **ret_json, struct cn_text *ret_weights,
                               struct cn_error *error);

/* A .keras file of Keras 3, or with `hdf5` a .h5 file that Keras 2 and 3 read. The import program,
 * which has the libraries, writes it into a file in memory; caller frees *ret_bytes with free(). */
enum cn_status cli_export_keras(const struct cn_model *model, bool hdf5, unsigned char **ret_bytes,
                                size_t *ret_length, struct cn_error *error);

#endif
