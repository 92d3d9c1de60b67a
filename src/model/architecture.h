/* architecture.h: inside the model folder: Keras's spellings, and a network not yet built. */
#ifndef CONVNET_MODEL_ARCHITECTURE_H
#define CONVNET_MODEL_ARCHITECTURE_H

#include <jansson.h>
#include <stdbool.h>

#include "convnet/network.h"
#include "json/load.h"

/* cn_architecture_parse without its last step: the layers are there, the parameter block is not, so
 * that a model file's tensors can be compared with what the layers ask for before a small file
 * makes a large allocation. Caller frees with cn_network_free. */
enum cn_status cn_architecture_assemble(const char *json, size_t length, const char *source,
                                        struct cn_network **ret_network, struct cn_error *error);

/* ---- Spellings (architecture_keras.c) ---- */

/* Today's class name for an older or a standalone one ("Convolution2D", "ReLU"), else the same
 * pointer. Adds the configuration that the class name implies to `config`. */
const char *cn_keras_class(const char *class_name, json_t *config);

/* Gives `config` today's keys for those of Keras 1 ("nb_filter" becomes "filters"). */
void cn_keras_rename_keys(json_t *config);

/* Writes the word that a string, or an object that stands for one (a serialized function,
 * initializer or dtype policy), means: "relu", "glorot_uniform", "float32". False if it is neither.
 */
bool cn_keras_word(const json_t *value, char ret_word[static CN_JSON_TEXT]);

/* True if a key that is no field of the layer's type may be ignored with this value, because it
 * does not change what the network computes. Else *ret_rule receives the accepted values as JSON
 * text, or NULL if the key is unknown. `rank` is that of the layer's input. */
bool cn_keras_ignorable(const char *key, const json_t *value, int rank, const char **ret_rule);

/* Reads the shape of one sample that this configuration declares for its input, if it does
 * (*ret_found). CN_INVALID if it is not a usable shape. */
enum cn_status cn_keras_input_shape(const json_t *config, bool *ret_found,
                                    struct cn_shape *ret_shape, struct cn_error *error);

#endif
