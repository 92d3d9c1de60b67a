/* onnx_private.h: shared by the files of the ONNX importer.
 *
 * The importer visits the source's nodes in order. Each value of the source is either a constant,
 * whose numbers are known, or dynamic: the output of a layer of the new network. The order of a
 * dynamic value's numbers in memory is its layout. Transpose, Reshape, Flatten, Squeeze, Unsqueeze
 * and DepthToSpace change only the layout; a layer that needs a certain order requests it
 * (onnx_arrange), which adds a Permute only where it is needed.
 *
 * The batch is 1 throughout, since the network's layers work on one sample. */
#ifndef CONVNET_IMPORT_ONNX_PRIVATE_H
#define CONVNET_IMPORT_ONNX_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"
#include "import/onnx.pb-c.h"

enum {
    ONNX_RANK = 8,        /* most axes of a value of the source */
    ONNX_FACTORS = 16,    /* most parts of its axes that are ordered separately */
    ONNX_ENGINE_RANK = 5, /* most axes of a tensor of the network, without the batch */
    ONNX_MAX_NODES = 1 << 16,
    ONNX_MAX_FOLDED = 1 << 25 /* most numbers of a folded constant */
};

/* TensorProto.DataType */
enum {
    ONNX_FLOAT = 1,
    ONNX_UINT8,
    ONNX_INT8,
    ONNX_UINT16,
    ONNX_INT16,
    ONNX_INT32,
    ONNX_INT64,
    ONNX_STRING,
    ONNX_BOOL,
    ONNX_FLOAT16,
    ONNX_DOUBLE,
    ONNX_UINT32,
    ONNX_UINT64,
    ONNX_BFLOAT16 = 16
};

/* A constant: floats of any width as float, all other types as int64. */
struct onnx_tensor {
    int type;
    int rank;
    int64_t dims[ONNX_RANK];
    size_t count;
    const float *floats; /* one of these two is set */
    const int64_t *integers;
};

/* The order of a dynamic value's numbers. Factors are in the source's row-major order, greater than
 * 1, and each is within one axis; `place` is the factor's position in memory, 0 outermost. */
struct onnx_layout {
    int count;
    int64_t size[ONNX_FACTORS];
    int place[ONNX_FACTORS];
};

enum onnx_state {
    ONNX_UNSET = 0,
    ONNX_CONSTANT,
    ONNX_DYNAMIC,
    ONNX_POISONED /* was refused before */
};

struct onnx_value {
    const char *name;
    enum onnx_state state;
    int type;
    int rank;
    int64_t dims[ONNX_RANK];
    const struct onnx_tensor *tensor; /* constant */
    int layer;                        /* dynamic: index into `layers` */
    struct onnx_layout layout;        /* dynamic */
    int uses;                         /* number of readers: nodes' inputs and the graph's outputs */
    bool is_output;
};

/* One node of the source, with indices of values; -1: an omitted optional one. */
struct onnx_node {
    const Onnx__NodeProto *proto;
    const char *type;  /* "Conv" */
    const char *label; /* its name in messages and of its layers */
    size_t input_count, output_count;
    int *inputs, *outputs;
};

/* A weight of a layer of the new network. */
struct onnx_weight {
    const char *name; /* "kernel" */
    int rank;
    int dims[ONNX_ENGINE_RANK + 1];
    const float *data;
};
enum { ONNX_WEIGHTS = 4 };
struct onnx_layer {
    const char *class_name;
    char name[64];
    json_t *config;
    int input_count, *inputs;
    int rank, dims[ONNX_ENGINE_RANK]; /* of its output */
    int weight_count;
    struct onnx_weight weights[ONNX_WEIGHTS];
    const char *source; /* the node of the source; NULL: made for the order of numbers */
};

struct onnx_block;

struct onnx_import {
    struct cn_error *error;
    enum cn_status status; /* of the failure that ends the import */
    const char *path;      /* the file's name, for messages */
    int folder;            /* of the file, -1: none */
    size_t memory_limit;
    int64_t opset;
    int64_t batch; /* the batch of the source if it is fixed and above 1; else 1 */
    Onnx__ModelProto *model;
    size_t node_count;
    struct onnx_node *nodes; /* in topological order */
    size_t value_count, value_room;
    struct onnx_value *values;
    json_t *names; /* value's name -> index */
    size_t layer_count, layer_room;
    struct onnx_layer *layers;
    json_t *layer_names;          /* names in use */
    json_t *obstacles;            /* strings */
    json_t *notes;                /* strings: what was folded and dropped */
    const struct onnx_node *node; /* the present node */
    int branches;                 /* number of branches around it */
    size_t calls;                 /* of the file's own functions so far */
    struct onnx_block *blocks;    /* all memory, freed at the end of the import */
    size_t allocated;
};

/* ---- Memory and failures (onnx_memory.c) ---- */

/* Allocates zeroed memory that is freed with the import. NULL after onnx_fail. */
void *onnx_allocate(struct onnx_import *import, size_t count, size_t size);

/* Ends the import. Returns false, so that a check reads `return onnx_fail(...)`. */
bool onnx_fail(struct onnx_import *import, enum cn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Records an obstacle at the present node; the import fails when all are known. Returns false. */
bool onnx_refuse(struct onnx_import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void onnx_note(struct onnx_import *import, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void onnx_free_memory(struct onnx_import *import);

/* ---- Constants (onnx_tensor.c) ---- */

/* Computes the number of elements; false after onnx_fail when a dim is negative or the product is
 * above `most`. */
bool onnx_count(struct onnx_import *import, const char *what, int rank, const int64_t *dims,
                size_t most, size_t *ret_count);

/* Decodes an initializer or an attribute; reads external data beside the model. NULL after
 * onnx_fail. */
const struct onnx_tensor *onnx_tensor_read(struct onnx_import *import, Onnx__TensorProto *proto);

/* Creates a constant of this shape, whose numbers the caller fills in. NULL after onnx_fail. */
struct onnx_tensor *onnx_tensor_make(struct onnx_import *import, int type, int rank,
                                     const int64_t *dims);
float *onnx_floats(struct onnx_tensor *tensor); /* of one that was just created */
int64_t *onnx_integers(struct onnx_tensor *tensor);

bool onnx_is_float(int type);
const char *onnx_type_name(int type);

/* Element i as a number. */
double onnx_number(const struct onnx_tensor *tensor, size_t i);
void onnx_set_number(struct onnx_tensor *tensor, size_t i, double value);

/* ---- The graph (onnx_graph.c) ---- */

/* Parses a file's bytes; caller frees with onnx_model_free. False after onnx_fail. */
bool onnx_model_parse(struct onnx_import *import, const void *bytes, size_t size);
void onnx_model_free(struct onnx_import *import);

/* The value with this name, which is created if it does not exist; -1 after onnx_fail. */
int onnx_value_named(struct onnx_import *import, const char *name);

/* Decodes a graph's initializers. False after onnx_fail. */
bool onnx_initializers_read(struct onnx_import *import, const Onnx__GraphProto *graph);

/* Names a node's inputs and outputs; an If also has as inputs what its branches read. False after
 * onnx_fail. */
bool onnx_node_read(struct onnx_import *import, const Onnx__NodeProto *proto,
                    struct onnx_node *node);

/* Reads the message: sorts nodes, names values, decodes initializers. False after onnx_fail. */
bool onnx_graph_read(struct onnx_import *import);

/* The index of the value with this name; -1: there is none. */
int onnx_value_index(struct onnx_import *import, const char *name);

/* ---- Functions and branches (onnx_inline.c); false after onnx_fail ---- */

/* Replaces calls of the file's own functions by their nodes. */
bool onnx_functions_expand(struct onnx_import *import, Onnx__NodeProto **nodes, size_t count,
                           Onnx__NodeProto ***ret_nodes, size_t *ret_count);

/* Adds to a node's inputs what the graphs in its attributes read from outside. */
bool onnx_branch_inputs(struct onnx_import *import, struct onnx_node *node);

/* Folds or lowers one node (onnx.c). False after onnx_refuse or onnx_fail. */
bool onnx_node_convert(struct onnx_import *import, const struct onnx_node *node);

/* ---- A node's inputs and attributes (onnx_node.c) ---- */

int64_t onnx_int(const struct onnx_node *node, const char *name, int64_t otherwise);
float onnx_float(const struct onnx_node *node, const char *name, float otherwise);
/* The attribute as text, or `otherwise` if it is missing. */
const char *onnx_string(struct onnx_import *import, const struct onnx_node *node, const char *name,
                        const char *otherwise);
const Onnx__AttributeProto *onnx_attribute(const struct onnx_node *node, const char *name);
/* A list of integers: NULL if it is missing. */
const int64_t *onnx_ints(const struct onnx_node *node, const char *name, size_t *ret_count);

/* Input i; NULL if it is omitted. */
struct onnx_value *onnx_input(struct onnx_import *import, size_t i);
struct onnx_value *onnx_output(struct onnx_import *import, size_t i);
/* The same; NULL after onnx_refuse if it is missing or not dynamic / not constant. */
struct onnx_value *onnx_dynamic(struct onnx_import *import, size_t i);
const struct onnx_tensor *onnx_constant(struct onnx_import *import, size_t i, const char *what);
/* Reads integers of an optional constant input or attribute: *ret_given tells whether there are
 * any. */
bool onnx_integers_of(struct onnx_import *import, size_t input, const char *attribute,
                      const int64_t **ret_values, size_t *ret_count);

/* Resolves an axis, which counts from the end if it is negative. False after onnx_refuse if it is
 * out of range. */
bool onnx_axis(struct onnx_import *import, int64_t axis, int rank, int *ret_axis);

void onnx_set_constant(struct onnx_value *value, const struct onnx_tensor *tensor);

/* Computes the dims of NumPy's broadcast of both. False after onnx_refuse. */
bool onnx_broadcast(struct onnx_import *import, int rank_a, const int64_t *a, int rank_b,
                    const int64_t *b, int *ret_rank, int64_t *ret_dims);

/* ---- Shapes that the present node specifies (onnx_shapes.c); false after onnx_refuse ---- */

/* Reshape: the new dims of a value with `rank` and `dims`. */
bool onnx_reshape_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                       int64_t *ret_dims);
/* Flatten. */
bool onnx_flatten_dims(struct onnx_import *import, int rank, const int64_t *dims,
                       int64_t ret_dims[2]);
bool onnx_squeeze_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                       int64_t *ret_dims);
bool onnx_unsqueeze_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                         int64_t *ret_dims);
/* Transpose: axis i of the result is axis order[i]. */
bool onnx_transpose_order(struct onnx_import *import, int rank, int *ret_order);
/* Slice: start, step and size of each axis. */
bool onnx_slice_ranges(struct onnx_import *import, int rank, const int64_t *dims,
                       int64_t *ret_starts, int64_t *ret_steps, int64_t *ret_dims);
/* Reduce...: the axes as bits. */
bool onnx_reduce_axes(struct onnx_import *import, int rank, unsigned *ret_axes);
/* Split: the axis, and the size of each output. */
bool onnx_split_sizes(struct onnx_import *import, int rank, const int64_t *dims, int *ret_axis,
                      const int64_t **ret_sizes);

/* ---- Constant subgraphs (onnx_fold.c) ---- */

const struct onnx_tensor *onnx_tensor_transpose(struct onnx_import *import,
                                                const struct onnx_tensor *x, const int *order);

/* True if the present node's outputs were computed. False with import->status CN_OK: this file does
 * not support the operator, or its inputs are not constant. */
bool onnx_fold(struct onnx_import *import, bool *ret_folded);

/* True if nodes of this operator can be computed. */
bool onnx_fold_knows(const char *type);

/* ---- Layouts (onnx_layout.c) ---- */

/* first[a]: the first factor of axis a; first[rank]: their number. */
void onnx_layout_axes(const struct onnx_layout *layout, int rank, const int64_t *dims,
                      int first[ONNX_RANK + 1]);

/* Makes a layer with value's numbers in the order `sequence` of its factors (those of `layout`,
 * which may be finer than the value's own), as a tensor of `dims`. False after onnx_refuse or
 * onnx_fail. */
bool onnx_arrange_factors(struct onnx_import *import, const struct onnx_value *value,
                          const struct onnx_layout *layout, const int *sequence, int rank,
                          const int *dims, int *ret_layer);

/* The same for whole axes, from outermost to innermost; omitted axes must have length 1. */
bool onnx_arrange(struct onnx_import *import, const struct onnx_value *value, int axis_count,
                  const int *axes, int *ret_layer);

/* The axes of the value that are longer than 1 or in `keep` (bits), in the present order of its
 * numbers as far as axes are whole; last >= 0: with that axis last. Returns their number. */
int onnx_axes_of(const struct onnx_value *value, unsigned keep, int last, int axes[ONNX_RANK]);

/* Makes `value` dynamic: its dims are `dims`, its numbers come from `layer` with `axes` from
 * outermost to innermost; omitted axes must have length 1. */
void onnx_result(struct onnx_value *value, int type, int rank, const int64_t *dims, int axis_count,
                 const int *axes, int layer);

/* The same with the layout and dims of `like`. */
void onnx_result_like(struct onnx_value *value, int type, const struct onnx_value *like, int layer);

/* Makes `value` the value `from` with other dims, or with its axes in another order, without a
 * layer if the layout can express it. */
bool onnx_view_reshape(struct onnx_import *import, struct onnx_value *value,
                       const struct onnx_value *from, int rank, const int64_t *dims);
bool onnx_view_transpose(struct onnx_import *import, struct onnx_value *value,
                         const struct onnx_value *from, const int *order);

/* The operands of an elementwise operator, aligned: a layer, or the numbers of a constant, for
 * each. Their tensors have one rank, and dims that are the result's or 1. */
enum { ONNX_OPERANDS = 64 };
struct onnx_operands {
    int count;
    int rank, dims[ONNX_ENGINE_RANK]; /* of the result */
    struct onnx_value result;         /* has the first operand's type and no layer yet */
    struct {
        int layer; /* -1: constant */
        const float *numbers;
        int dims[ONNX_ENGINE_RANK];
        bool whole; /* its dims are the result's */
    } of[ONNX_OPERANDS];
};
bool onnx_operands_align(struct onnx_import *import, int count, struct onnx_value *const *values,
                         struct onnx_operands *ret_operands);

/* ---- Layers (onnx_layers.c) ---- */

/* Adds a layer; takes ownership of config (NULL: {}). -1 after onnx_fail or onnx_refuse. `inputs`
 * are layers; dims: of one sample. */
int onnx_layer(struct onnx_import *import, const char *class_name, json_t *config, int input_count,
               const int *inputs, int rank, const int *dims);
/* `data` must exist as long as the import. */
bool onnx_layer_weight(struct onnx_import *import, int layer, const char *name, int rank,
                       const int *dims, const float *data);

/* Gives the layer the source's name, with allowed characters, unless it is in use. */
void onnx_layer_rename(struct onnx_import *import, int layer, const char *name);

/* The same numbers in another shape; returns the layer itself if it has that shape. */
int onnx_layer_reshape(struct onnx_import *import, int layer, int rank, const int *dims);
/* Axis i of the result is axis order[i]. */
int onnx_layer_permute(struct onnx_import *import, int layer, int rank, const int *order);
/* Adds a layer with constant numbers. */
int onnx_layer_constant(struct onnx_import *import, int rank, const int *dims, const float *data);

/* scale[c] * x + shift[c] for each number c of the innermost axis; NULL: 1, 0. */
int onnx_layer_affine(struct onnx_import *import, int layer, const float *scale,
                      const float *shift);
/* The defaults of the attributes alpha and beta (gamma of Selu) of an operator of one input, such
 * as "LeakyRelu"; false: there is no such operator. */
bool onnx_function_defaults(const char *type, float *ret_alpha, float *ret_beta);
/* Adds the function of such an operator. */
int onnx_layer_function(struct onnx_import *import, int layer, const char *type, float alpha,
                        float beta);
/* Adds an elementwise function. */
int onnx_layer_unary(struct onnx_import *import, int layer, const char *function, double alpha,
                     double beta);

/* ---- Operators (onnx_operators.c: THE list) ---- */

struct onnx_operator {
    const char *name;
    bool (*lower)(struct onnx_import *import); /* false after onnx_refuse or onnx_fail */
};
const struct onnx_operator *onnx_operator_find(const char *name);

/* onnx_convolution.c */
bool onnx_lower_conv(struct onnx_import *import);
bool onnx_lower_conv_transpose(struct onnx_import *import);
bool onnx_lower_pool(struct onnx_import *import);
bool onnx_lower_global_pool(struct onnx_import *import);
/* onnx_matmul.c */
bool onnx_lower_gemm(struct onnx_import *import);
bool onnx_lower_matmul(struct onnx_import *import);
/* onnx_normalization.c */
bool onnx_lower_batch_normalization(struct onnx_import *import);
bool onnx_lower_group_normalization(struct onnx_import *import); /* and InstanceNormalization */
bool onnx_lower_layer_normalization(struct onnx_import *import);
bool onnx_lower_lrn(struct onnx_import *import);
bool onnx_lower_lp_normalization(struct onnx_import *import);
bool onnx_lower_fused(struct onnx_import *import);
/* onnx_elementwise.c */
bool onnx_lower_unary(struct onnx_import *import);
bool onnx_lower_clip(struct onnx_import *import);
bool onnx_lower_cast(struct onnx_import *import);
bool onnx_lower_prelu(struct onnx_import *import);
bool onnx_lower_softmax(struct onnx_import *import);
bool onnx_lower_binary(struct onnx_import *import);
bool onnx_lower_variadic(struct onnx_import *import); /* Sum, Mean, Max, Min */
bool onnx_lower_where(struct onnx_import *import);
/* onnx_movement.c */
bool onnx_lower_identity(struct onnx_import *import);
bool onnx_lower_reshape(struct onnx_import *import); /* and Flatten, Squeeze, Unsqueeze */
bool onnx_lower_transpose(struct onnx_import *import);
bool onnx_lower_depth_to_space(struct onnx_import *import);
bool onnx_lower_space_to_depth(struct onnx_import *import);
bool onnx_lower_concat(struct onnx_import *import);
bool onnx_lower_split(struct onnx_import *import);
bool onnx_lower_slice(struct onnx_import *import);
bool onnx_lower_gather(struct onnx_import *import);
bool onnx_lower_expand(struct onnx_import *import);
bool onnx_lower_tile(struct onnx_import *import);
bool onnx_lower_pad(struct onnx_import *import);
bool onnx_lower_reduce(struct onnx_import *import);
bool onnx_lower_resize(struct onnx_import *import); /* and Upsample */
/* onnx_inline.c */
bool onnx_lower_if(struct onnx_import *import);
/* onnx_quantization.c */
bool onnx_lower_quantize(struct onnx_import *import);
bool onnx_lower_dequantize(struct onnx_import *import);

/* The range of an integer type to which numbers are quantized; false for other types. */
bool onnx_integer_range(int type, double *ret_least, double *ret_most);

#endif
