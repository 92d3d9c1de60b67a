/* layer.h: layer types: the rows of THE table in src/layers/layer_table.c.
 *
 * A layer type is a constant table of functions and a small configuration struct. The fields of
 * that struct are described as data, so that the architecture reader and writer, `convnet info` and
 * the tests need no code for a particular layer. Semantics, names and defaults are Keras's. */
#ifndef CONVNET_LAYER_H
#define CONVNET_LAYER_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>

#include "convnet/activation.h"
#include "convnet/shape.h"

CN_DECLARATIONS_BEGIN

enum cn_padding { CN_PADDING_VALID = 0, CN_PADDING_SAME };
extern const char *const cn_padding_names[]; /* "valid", "same", NULL */

enum cn_initializer {
    CN_INITIALIZER_GLOROT_UNIFORM = 0,
    CN_INITIALIZER_HE_NORMAL,
    CN_INITIALIZER_ZEROS,
    CN_INITIALIZER_ONES,
    CN_INITIALIZER_GLOROT_NORMAL,
    CN_INITIALIZER_HE_UNIFORM,
    CN_INITIALIZER_LECUN_NORMAL,
    CN_INITIALIZER_LECUN_UNIFORM,
    CN_INITIALIZER_RANDOM_NORMAL,
    CN_INITIALIZER_RANDOM_UNIFORM,
    CN_INITIALIZER_TRUNCATED_NORMAL,
    CN_INITIALIZER_CONSTANT,
    CN_INITIALIZER_ORTHOGONAL,
    CN_INITIALIZER_IDENTITY,
    CN_INITIALIZER_VARIANCE_SCALING
};
extern const char *const cn_initializer_names[]; /* "glorot_uniform", "he_normal", ..., NULL */

/* The parameters of an initializer; where the architecture gives none they are Keras's defaults. */
enum cn_fan_mode { CN_FAN_IN = 0, CN_FAN_OUT, CN_FAN_AVERAGE };
enum cn_scaled_distribution { CN_SCALED_TRUNCATED = 0, CN_SCALED_NORMAL, CN_SCALED_UNIFORM };
struct cn_initializer_numbers {
    bool given;
    float a, b;                /* mean, deviation; from, to; value; gain; scale */
    enum cn_fan_mode fan_mode; /* of variance scaling, as is the next */
    enum cn_scaled_distribution distribution;
};

/* Changes of a tensor in training besides the optimizer's: Keras's regularizer, which adds l1 |w| +
 * l2 w^2 to the loss, and its constraint, which changes the weights after each update. */
enum cn_constraint {
    CN_CONSTRAINT_NONE = 0,
    CN_CONSTRAINT_MAX_NORM,
    CN_CONSTRAINT_UNIT_NORM,
    CN_CONSTRAINT_NON_NEG,
    CN_CONSTRAINT_MIN_MAX_NORM
};
struct cn_weight_rule {
    float l1, l2;
    enum cn_constraint constraint;
    float least, most, rate; /* of norms */
    unsigned axes;           /* bit i: norms go over axis i */
};

enum {
    CN_LAYER_NAME = 64,    /* bytes of a layer's name with its NUL; characters [A-Za-z0-9_.-] */
    CN_LAYER_CONFIG = 192, /* bytes of the largest configuration struct */
    CN_LAYER_MAX_TENSORS = 8,
    CN_LAYER_MAX_INPUTS = 1024,
    CN_TENSOR_MAX_RANK = CN_SHAPE_MAX_RANK
};

/* A list of whole numbers in a configuration, such as Reshape's target_shape. */
enum { CN_INTS_MAX = 8 };
struct cn_ints {
    int count;
    int values[CN_INTS_MAX];
};

/* A list of numbers: one for all channels, or one per channel. */
enum { CN_FLOATS_MAX = 8 };
struct cn_floats {
    int count;
    float values[CN_FLOATS_MAX];
};

enum cn_field_kind {
    CN_FIELD_INT,        /* int */
    CN_FIELD_INT_PAIR,   /* int[2], rows then columns; in JSON `n` means [n, n] */
    CN_FIELD_INT_WIDTH,  /* int[2] = {1, n} of a layer over one axis; in JSON n or [n] */
    CN_FIELD_INT_LIST,   /* struct cn_ints; in JSON a list, or one number */
    CN_FIELD_INT_SIDES,  /* int[4]: top, bottom, left, right; in JSON n, [rows, columns] or
                            [[top, bottom], [left, right]] */
    CN_FIELD_INT_ENDS,   /* int[4] = {0, 0, before, after} of one axis; in JSON n or [before, after]
                          */
    CN_FIELD_FLOAT,      /* float */
    CN_FIELD_FLOAT_LIST, /* struct cn_floats; in JSON a list, or one number */
    CN_FIELD_BOOL,       /* bool */
    CN_FIELD_ENUM        /* an enum stored as int: the index into `names` */
};

/* One key of a layer's Keras configuration. */
struct cn_field {
    const char *name; /* Keras's key: "kernel_size" */
    enum cn_field_kind kind;
    size_t offset;            /* of the value in the configuration struct */
    bool required;            /* no default */
    bool nullable;            /* null in JSON means the default (pool strides: pool_size) */
    double minimum, maximum;  /* INT..., FLOAT: inclusive bounds of each number */
    const char *const *names; /* ENUM: NULL-terminated */
};

/* A parameter tensor that a layer needs. Filled in by the type's `build`. */
struct cn_tensor_spec {
    const char *name; /* "kernel" */
    int rank;
    int dims[CN_TENSOR_MAX_RANK];
    bool trainable;
    enum cn_initializer initializer;
    double fan_in, fan_out; /* for the initializer, as Keras defines them */

    /* Set by the architecture, not by the type's `build`. */
    bool initializer_read;               /* it names the initializer */
    enum cn_initializer own_initializer; /* the one that `build` chose */
    struct cn_initializer_numbers initializer_numbers;
    struct cn_weight_rule rule;
};

struct cn_layer_type; /* functions: src/layers/layer_type.h */

/* An input of a layer: the network's input `value`, or the output of layer value - input_count. */
struct cn_input {
    size_t value;
    struct cn_shape shape;
};

/* One layer of a network, that is a node of its graph: type, configuration, inputs, and the results
 * of shape inference. */
struct cn_layer {
    const struct cn_layer_type *type;
    char name[CN_LAYER_NAME];
    size_t input_count;
    struct cn_input *inputs;                   /* values of the network, in the order of the call */
    struct cn_shape input_shape, output_shape; /* input_shape: of the first input */
    size_t tensor_count;                       /* 0: no weights, or those of another layer */
    struct cn_tensor_spec tensors[CN_LAYER_MAX_TENSORS];
    size_t parameter_offset; /* floats from the start of the network's parameter block */
    size_t parameter_count;
    size_t shares; /* index plus 1 of the layer whose weights this one shares; 0: none */
    bool frozen;   /* Keras's trainable=false */
    alignas(8) unsigned char config[CN_LAYER_CONFIG];
};

/* The type with this Keras class name ("Conv2D"), or NULL. Constant. */
const struct cn_layer_type *cn_layer_type_find(const char *class_name);

/* The type in row `index` of the table, or NULL after the last one. */
const struct cn_layer_type *cn_layer_type_at(size_t index);

/* "Conv2D". Constant. */
const char *cn_layer_type_name(const struct cn_layer_type *type);

/* The type's configuration keys, and in *ret_count their number. Constant. */
const struct cn_field *cn_layer_type_fields(const struct cn_layer_type *type, size_t *ret_count);

/* The number of these keys, at the end, that a writer omits when they have their defaults. */
size_t cn_layer_type_late_fields(const struct cn_layer_type *type);

/* Fills `config` (CN_LAYER_CONFIG bytes) with the type's defaults, which are Keras's. */
void cn_layer_type_defaults(const struct cn_layer_type *type, void *config);

/* The ONNX operators that the type implements, such as "Conv", separated by spaces; "" for none. */
const char *cn_layer_type_onnx(const struct cn_layer_type *type);

/* The most inputs that a layer of this type may have; 1 except for merging layers. */
size_t cn_layer_type_inputs(const struct cn_layer_type *type);

/* False if the type can only be used in inference. */
bool cn_layer_type_trains(const struct cn_layer_type *type);

/* Multiply-accumulates of one sample through this layer. */
unsigned long long cn_layer_macs(const struct cn_layer *layer);

CN_DECLARATIONS_END

#endif
