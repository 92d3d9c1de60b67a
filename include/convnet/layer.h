/* layer.h: what a layer type is: a row of THE table in src/layers/layer_table.c.
 *
 * A layer is a const table of functions and a small configuration struct. The fields of that
 * struct are described as data, so that the architecture reader and writer, `convnet info` and the
 * tests need to know no layer by name. Semantics, names and defaults are Keras's.
 */
#ifndef CONVNET_LAYER_H
#define CONVNET_LAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "convnet/activation.h"
#include "convnet/shape.h"

enum cn_padding { CN_PADDING_VALID = 0, CN_PADDING_SAME };
extern const char *const cn_padding_names[]; /* "valid", "same", NULL */

enum cn_initializer {
    CN_INITIALIZER_GLOROT_UNIFORM = 0,
    CN_INITIALIZER_HE_NORMAL,
    CN_INITIALIZER_ZEROS,
    CN_INITIALIZER_ONES
};
extern const char *const cn_initializer_names[]; /* "glorot_uniform", "he_normal", ..., NULL */

enum {
    CN_LAYER_NAME = 64,       /* bytes of a layer's name, with its NUL; [A-Za-z0-9_.-] only */
    CN_LAYER_CONFIG = 64,     /* bytes of the largest configuration struct */
    CN_LAYER_MAX_TENSORS = 4, /* gamma, beta, moving_mean, moving_variance */
    CN_TENSOR_MAX_RANK = 4
};

enum cn_field_kind {
    CN_FIELD_INT,      /* int */
    CN_FIELD_INT_PAIR, /* int[2], rows then columns; in JSON `n` means [n, n] */
    CN_FIELD_FLOAT,    /* float */
    CN_FIELD_BOOL,     /* bool */
    CN_FIELD_ENUM      /* an enum stored as int: the index into `names` */
};

/* One key of a layer's Keras configuration. */
struct cn_field {
    const char *name; /* Keras's key: "kernel_size" */
    enum cn_field_kind kind;
    size_t offset;            /* into the configuration struct */
    bool required;            /* no default */
    bool nullable;            /* null in JSON means the default (pool strides: pool_size) */
    double minimum, maximum;  /* INT, INT_PAIR, FLOAT: inclusive */
    const char *const *names; /* ENUM: NULL-terminated */
};

/* One parameter tensor a layer asks for. Written by the type's `build`. */
struct cn_tensor_spec {
    const char *name; /* "kernel" */
    int rank;
    int dims[CN_TENSOR_MAX_RANK];
    bool trainable;
    enum cn_initializer initializer;
    double fan_in, fan_out; /* for the initializer; Keras's definition */
};

struct cn_layer_type; /* functions: src/layers/layer_type.h */

/* One layer of a network: type, configuration and what shape inference found. */
struct cn_layer {
    const struct cn_layer_type *type;
    char name[CN_LAYER_NAME];
    struct cn_shape input_shape, output_shape;
    size_t tensor_count;
    struct cn_tensor_spec tensors[CN_LAYER_MAX_TENSORS];
    size_t parameter_offset; /* floats from the start of the network's parameter block */
    size_t parameter_count;
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG];
};

/* The row with this Keras class name ("Conv2D"), or NULL. Constant. */
const struct cn_layer_type *cn_layer_type_find(const char *class_name);

/* The row at `index` of the table, or NULL past its end: to list what is supported. */
const struct cn_layer_type *cn_layer_type_at(size_t index);

/* "Conv2D". Constant. */
const char *cn_layer_type_name(const struct cn_layer_type *type);

/* The type's configuration keys; *ret_count receives their number. Constant. */
const struct cn_field *cn_layer_type_fields(const struct cn_layer_type *type, size_t *ret_count);

/* Fills `config` (CN_LAYER_CONFIG bytes) with the type's defaults, Keras's. */
void cn_layer_type_defaults(const struct cn_layer_type *type, void *config);

/* Multiply-accumulates of one sample through this layer. */
unsigned long long cn_layer_macs(const struct cn_layer *layer);

#endif
