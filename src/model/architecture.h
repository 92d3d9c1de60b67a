/* architecture.h: internal to the model folder: Keras's spellings, and a network that is not built
 * yet. */
#ifndef CONVNET_MODEL_ARCHITECTURE_H
#define CONVNET_MODEL_ARCHITECTURE_H

#include <jansson.h>
#include <stdbool.h>

#include "convnet/network.h"
#include "json/load.h"

/* How tolerant the reader is. All zero: for this program's own files and for files to be trained.
 */
struct cn_architecture_options {
    /* For a trained foreign network: unknown settings that matter only to training are skipped, and
     * "_" replaces characters in names that are not allowed here. */
    bool lenient;
    bool paths;                         /* ret_paths is asked for */
    const struct cn_shape *input_shape; /* where the file leaves the shape open; NULL: none */
    /* [CN_NETWORK_MAX_PORTS + CN_NETWORK_MAX_LAYERS], NULL: not asked for. Receives for each value
     * of the network, inputs first, whether the file has its channels first and the network last.
     */
    bool *moved;
};

/* cn_architecture_parse without its last step: the layers exist, but not the parameter block, so
 * that a model file's tensors can be compared with the layers before a small file causes a large
 * allocation. `options` NULL: all zero. Caller frees with cn_network_free. *ret_paths (ret_paths
 * may be NULL): for each layer of the network its path in the file, which is the names of the
 * models around it and its own with "/" between them; NULL after the last one. A layer that is used
 * twice has the same path twice. Caller frees with cn_architecture_free_paths. */
enum cn_status cn_architecture_assemble(const char *json, size_t length, const char *source,
                                        const struct cn_architecture_options *options,
                                        struct cn_network **ret_network, char ***ret_paths,
                                        struct cn_error *error);

/* Accepts NULL. */
void cn_architecture_free_paths(char **paths);

/* ---- One layer (architecture_layer.c) ---- */

/* One layer while it is read. Borrows from the JSON. */
struct cn_keras_layer {
    char label[CN_JSON_TEXT + 16]; /* for messages: layer "conv2d", or layer 3 */
    const char *name;              /* NULL if it has none */
    const char *class_name;
    json_t *config;
    bool lenient;
    struct cn_error *error;
};

/* Finds the name, class and configuration of layer `index` of a list, without checking them. */
enum cn_status cn_keras_layer_open(json_t *object, size_t index, bool lenient,
                                   struct cn_keras_layer *entry, struct cn_error *error);

/* The layer's type, after its class and keys have been brought to today's names; NULL: not a type
 * of this library. */
const struct cn_layer_type *cn_keras_layer_type(struct cn_keras_layer *entry);

/* True if a trained network may have a layer of this class: a supported type, an activation, a call
 * of a function, or a layer that only changes training. */
bool cn_keras_is_known(const char *class_name, const json_t *config, const json_t *module);

/* CN_UNSUPPORTED with the layer, its class and the list of supported types. */
enum cn_status cn_keras_refuse_class(const struct cn_keras_layer *entry);

/* Makes of a layer on an input of this shape one that we have: a Dense over the last of several
 * axes is a convolution of 1, CenterCrop a Cropping2D, a Normalization by given numbers a
 * Rescaling, and the size that Keras 1 names for a transposed convolution an output_padding. */
enum cn_status cn_keras_fit_layer(struct cn_keras_layer *entry, const struct cn_shape *input);

/* Reads the type and the configuration of a layer whose input has rank `rank`. */
enum cn_status cn_keras_layer_read(struct cn_keras_layer *entry, int rank,
                                   const struct cn_layer_type **ret_type,
                                   unsigned char config[static CN_LAYER_CONFIG]);

/* Refuses every key that is neither a field nor known to be harmless with its value. */
enum cn_status cn_keras_check_keys(const struct cn_keras_layer *entry,
                                   const struct cn_field *fields, size_t count, int rank);

/* Appends to the JSON array `faults` a sentence for each setting of a trained network's layer that
 * is not supported whatever the layer reads: cn_keras_layer_read stops at the first one. `index` is
 * its place in its list. */
void cn_keras_list_faults(const json_t *object, size_t index, json_t *faults);

/* True for the characters that names of layers and networks may have, since they become part of
 * tensors' names, messages and pages. */
bool cn_keras_name_byte(char byte);
bool cn_keras_is_name(const char *name);

/* ---- Spellings (architecture_keras.c) ---- */

/* Today's class name for an older or a standalone one ("Convolution2D", "ReLU"), else the same
 * pointer. Adds the configuration that the class name implies to `config`. */
const char *cn_keras_class(const char *class_name, json_t *config);

/* For a layer of Keras 1 (architecture_keras_1.c): the class that its settings choose, with
 * `config` changed to Keras 2's settings; else the same pointer. */
const char *cn_keras_1_class(const char *class_name, json_t *config);

/* Renames Keras 1's keys in `config` to today's ("nb_filter" becomes "filters"), except for keys
 * that the type itself has (NULL: no type). */
void cn_keras_rename_keys(json_t *config, const struct cn_layer_type *type);

/* The number that the key has; `otherwise` if the key is missing or has no number. */
double cn_keras_number(const json_t *config, const char *key, double otherwise);

/* Finds the word that a string, or an object that stands for one (a serialized function,
 * initializer or dtype policy), means: "relu", "glorot_uniform", "float32". False if it is neither.
 */
bool cn_keras_word(const json_t *value, char ret_word[static CN_JSON_TEXT]);

/* Keras 3's name for the group of a class's weights: "max_pooling2d" for "MaxPooling2D", "p_re_lu"
 * for "PReLU". */
enum { CN_KERAS_GROUP_NAME = 80 };
void cn_keras_group_name(const char *name, char to[static CN_KERAS_GROUP_NAME]);

/* True if a key that is not a field of the layer's type may be ignored with this value, because it
 * does not change what the network computes. Else *ret_rule receives the accepted values as JSON
 * text, or NULL if the key is unknown. `rank` is that of the layer's input. */
bool cn_keras_ignorable(const char *key, const json_t *value, int rank, const char **ret_rule);

/* An activation that becomes a Unary layer after the layer: y = f(x), or x * f(x). */
struct cn_keras_function {
    const char *function; /* Unary's, or "sigmoid" of Activation; "relu": see below; NULL: none */
    double alpha, beta;   /* of "relu": the slope below the threshold, the ceiling */
    double threshold;     /* of "relu" */
    bool gated;           /* x * f(x) */
    bool after_softmax;   /* f(softmax(x)) */
};
#define CN_KERAS_LARGEST 3.4e38 /* stands for no bound */

/* Gives all layers of a file of Keras 3 the dtype policies by which cn_keras_take_function knows
 * it: until 3.2 Keras wrote dtypes as words, as Keras 2 does. */
void cn_keras_mark_version(json_t *root);

/* Replaces such an activation in `config` by "linear" and returns it. *ret_alone: the layer is the
 * activation and nothing else. */
struct cn_keras_function cn_keras_take_function(const char *class_name, json_t *config,
                                                bool *ret_alone);

/* ---- Initializers, regularizers and constraints (architecture_rules.c) ---- */

/* True if the key is that of an initializer, a regularizer or a constraint. */
bool cn_keras_is_rule(const char *key);

/* Reads the rules for the weights of a layer that has just been added. CN_UNSUPPORTED names an
 * unknown rule, unless the entry is lenient: then it is skipped. */
enum cn_status cn_keras_read_rules(const struct cn_keras_layer *entry, struct cn_layer *layer);

/* Removes the regularizer of the layer's output from its configuration; *rule keeps its value if
 * there is none. CN_UNSUPPORTED: an unknown one; in a lenient entry it is skipped. */
enum cn_status cn_keras_take_activity(struct cn_keras_layer *entry, struct cn_weight_rule *rule);

/* Writes the rules of the layer's weights into its configuration; not 0: no memory. */
int cn_keras_format_rules(const struct cn_layer *layer, json_t *config);

/* ---- Axes (architecture_axes.c) ---- */

/* The order of the axes in which a layer may read a value of a channels_first model. */
enum cn_keras_order {
    CN_KERAS_FILE_ORDER,    /* in the file's */
    CN_KERAS_ANY_ORDER,     /* each number, or each place along an axis, by itself */
    CN_KERAS_CHANNELS_FIRST /* the file's layer has the channels first, ours has them last */
};
enum cn_keras_order cn_keras_order(const char *class_name, const json_t *config);

/* The axes that a normalisation or a softmax works over, from 1 on, ascending. False: the layer is
 * neither, or its axes are wrong, which the layer itself reports. */
bool cn_keras_axes(const char *class_name, const json_t *config, int rank,
                   struct cn_ints *ret_axes);
bool cn_keras_axes_are_last(const struct cn_ints *axes, int rank);

/* The position of an axis of a channels_first value after the channels have moved to the end. */
int cn_keras_moved_axis(int axis, int rank);

/* Dims of Permute layers: to move the channels from the front to the end (`last`) or back; to bring
 * these axes to the end; to undo another Permute. */
struct cn_ints cn_keras_channels_order(int rank, bool last);
struct cn_ints cn_keras_axes_last(const struct cn_ints *axes, int rank);
struct cn_ints cn_keras_inverse(const struct cn_ints *dims);

/* ---- Calls of functions (architecture_operation.c) ---- */

/* A layer that replaces such a call, and the inputs of the call that it reads. */
enum {
    CN_KERAS_NONE = -1,
    CN_KERAS_BEFORE = -2 /* the output of the layer before */,
    CN_KERAS_ALL = -3,
    CN_KERAS_MADE = -4 /* the output of the first layer, -5 of the second, and so on */
};
struct cn_keras_call {
    const char *class_name;
    json_t *config; /* owned */
    int inputs[2];
};
enum { CN_KERAS_MOST_CALLS = 8 };
struct cn_keras_calls {
    size_t count; /* 0: the first input is passed through */
    struct cn_keras_call of[CN_KERAS_MOST_CALLS];
};

/* True if the layer is a call of a function; *ret_known: the function is supported. */
bool cn_keras_is_operation(const char *class_name, const json_t *config, const json_t *module,
                           bool *ret_known);

/* The layers that replace one call, on values of these shapes; `call` is its entry in
 * inbound_nodes. CN_UNSUPPORTED names the function. The caller releases the configs, also after a
 * failure. */
enum cn_status cn_keras_operation_calls(const struct cn_keras_layer *entry, const json_t *module,
                                        const json_t *call, const struct cn_shape *shapes,
                                        size_t input_count, struct cn_keras_calls *ret_calls);

/* True for layers that change samples in training and do nothing in inference. A Dropout counts if
 * it drops numbers together, which ours does not. */
bool cn_keras_trains_only_class(const char *class_name, const json_t *config);

/* Takes the packing off the values of a configuration: tuples ({"class_name": "__tuple__", "items":
 * [...]}) and NumPy's arrays become lists or numbers. */
void cn_keras_unwrap_values(json_t *config);

/* True if the key only concerns training. */
bool cn_keras_trains_only(const char *key);

/* Reads the shape of one sample that this configuration declares for its input, if it does
 * (*ret_found). An open dimension is taken from `given` if that has the same rank (may be NULL).
 * CN_INVALID if the shape is not usable. */
enum cn_status cn_keras_input_shape(const json_t *config, const struct cn_shape *given,
                                    bool *ret_found, struct cn_shape *ret_shape,
                                    struct cn_error *error);

/* ---- The tree of models and layers (architecture_tree.c) ---- */

/* An input of a call: output `tensor` of call `call` of node `node` of the same model. */
struct cn_keras_reference {
    size_t node, call, tensor;
};

/* One call of a node in its model. */
struct cn_keras_use {
    const json_t *given; /* borrowed from the JSON */
    size_t input_count;
    struct cn_keras_reference *inputs;
    size_t output_count; /* 0: not made yet */
    size_t *outputs;     /* values of the network */
};

/* A layer, a model or an InputLayer inside a model. */
struct cn_keras_node {
    struct cn_keras_layer entry;
    struct cn_keras_model *model; /* NULL: a layer */
    bool is_input;
    bool is_operation;    /* a call of a function */
    const json_t *module; /* the module of its class; NULL: not given */
    bool frozen;
    size_t call_count;
    struct cn_keras_use *calls;
    bool from_1; /* its calls are counted from 1 */
    size_t made; /* the network's layer of the first call, plus 1; later calls share its weights */
    size_t uses;
    struct cn_ints axes;               /* that it works over in the file, once it has been made */
    struct cn_keras_function function; /* after the layer */
    bool alone;                        /* the function is all there is */
    struct cn_weight_rule activity;    /* what its output adds to the loss */
};

struct cn_keras_model {
    const char *name; /* NULL if it has none */
    const json_t *config;
    bool sequential;
    size_t node_count;
    struct cn_keras_node *nodes;
    size_t input_count, output_count;
    struct cn_keras_reference *inputs, *outputs;
};

/* Opens the model `entry` and all models in it; references are resolved, and classes that are not
 * supported are refused together. Borrows from the JSON. Caller frees with cn_keras_tree_free, also
 * after a failure. */
enum cn_status cn_keras_tree_open(const struct cn_keras_layer *entry,
                                  struct cn_keras_model **ret_model);

/* Accepts NULL. */
void cn_keras_tree_free(struct cn_keras_model *model);

/* True for Keras 2's ["_CONSTANT_VALUE", -1, 3.0, {keywords}]: a number before the tensors. */
bool cn_keras_is_constant(const json_t *value);

/* True for a model's class. A subclass of Keras's Model saves as a Functional model under its own
 * name. */
bool cn_keras_is_model(const char *class_name, const json_t *config);

#endif
