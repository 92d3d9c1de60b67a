/* onnx_write.h: an ONNX graph while it is written, node by node, and the writers of layers.
 *
 * Values are stored as in the network, channels last, with a free first dimension for the batch. A
 * writer reads the names of its layer's inputs, puts nodes, and gives the name of its output. After
 * a failed allocation the texts report that at the end, so that writers need no checks. One thread.
 */
#ifndef CONVNET_CLI_EXPORT_ONNX_WRITE_H
#define CONVNET_CLI_EXPORT_ONNX_WRITE_H

#include <stdint.h>

#include "cli/export/export.h"
#include "cli/protobuf.h"

enum { ONNX_NAME = CN_TENSOR_FORM_NAME, ONNX_RANK = CN_TENSOR_FORM_RANK };
enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9 }; /* TensorProto's data types */

/* The name of a value in the file; "": none. */
struct onnx_name {
    char text[ONNX_NAME];
};

struct onnx_graph {
    const struct cn_model *model;
    const struct cn_network *network;
    struct cn_text nodes, constants;
    struct cn_text attributes; /* of the next node */
    struct onnx_name *values;  /* [inputs + layers] */
    size_t fresh;              /* names given so far */
    const struct cn_layer *layer;
    struct cn_error *error;
};

/* ---- Attributes of the next node ---- */

void graph_add_int(struct cn_text *attributes, const char *name, int64_t value);
void graph_add_float(struct cn_text *attributes, const char *name, float value);
void graph_add_string(struct cn_text *attributes, const char *name, const char *value);
void graph_add_ints(struct cn_text *attributes, const char *name, size_t count,
                    const int64_t *values);

/* ---- Nodes: each call gives the name of the node's output ---- */

struct onnx_name graph_named(const char *text);
struct onnx_name graph_put_many(struct onnx_graph *g, const char *type, size_t count,
                                const struct onnx_name *inputs);
/* Adds a node of one to three inputs ("" is none). */
struct onnx_name graph_put(struct onnx_graph *g, const char *type, struct onnx_name a,
                           struct onnx_name b, struct onnx_name c);
struct onnx_name graph_put_unary(struct onnx_graph *g, const char *type, struct onnx_name a);
struct onnx_name graph_put_binary(struct onnx_graph *g, const char *type, struct onnx_name a,
                                  struct onnx_name b);
struct onnx_name graph_put_cast(struct onnx_graph *g, struct onnx_name value, int type);
struct onnx_name graph_put_transpose(struct onnx_graph *g, struct onnx_name value, size_t rank,
                                     const int64_t *order);
/* Reshapes to [any number of images, dims]. */
struct onnx_name graph_put_reshape(struct onnx_graph *g, struct onnx_name value, int rank,
                                   const int *dims);
struct onnx_name graph_put_shape(struct onnx_graph *g, struct onnx_name value,
                                 const struct cn_shape *shape);
/* Constants. */
struct onnx_name graph_put_floats(struct onnx_graph *g, size_t rank, const int64_t *dims,
                                  const float *values);
struct onnx_name graph_put_vector(struct onnx_graph *g, const float *values, size_t count);
struct onnx_name graph_put_number(struct onnx_graph *g, float value);
struct onnx_name graph_put_ints(struct onnx_graph *g, size_t count, const int64_t *values);
/* x * scale + shift of each channel; lists of one number are for all. */
struct onnx_name graph_put_scale_shift(struct onnx_graph *g, struct onnx_name value,
                                       const float *scale, size_t scales, const float *shift,
                                       size_t shifts);
/* Applies the activation of the layer's configuration. */
struct onnx_name graph_put_activation(struct onnx_graph *g, struct onnx_name value);

/* ---- The layer's configuration ---- */

int graph_field_int(const struct onnx_graph *g, const char *key, int otherwise);
float graph_field_float(const struct onnx_graph *g, const char *key);
/* Rows and columns; 1 and 1 without the key. */
void graph_field_pair(const struct onnx_graph *g, const char *key, int pair[2]);
const float *graph_weights(const struct onnx_graph *g, const char *tensor);
bool graph_is(const struct onnx_graph *g, const char *class_name);
enum cn_status graph_refuse(const struct onnx_graph *g, const char *why);
/* A constant of the layer's bias, or no name. */
struct onnx_name graph_bias(struct onnx_graph *g, int channels);
/* The layer's input i, with axes of 1 before its own where another input has more. */
struct onnx_name graph_operand(struct onnx_graph *g, size_t i, int rank);

/* ---- Pictures ---- */

extern const int64_t graph_channels_first[4], graph_channels_last[4];
/* 1 or 2, by the layer's class. */
int graph_axes(const struct onnx_graph *g);
/* Height, width and channels of a shape of a layer over one or two axes. */
void graph_image_dims(const struct cn_shape *shape, int axes, int dims[3]);
/* Transposes to [images, channels, height, width], and back to the shape of the layer's output. */
struct onnx_name graph_put_picture(struct onnx_graph *g, struct onnx_name value, const int dims[3]);
struct onnx_name graph_put_picture_back(struct onnx_graph *g, struct onnx_name value);

/* ---- Writers: `value` is the first input's name, or none ---- */

typedef enum cn_status onnx_writer(struct onnx_graph *g, struct onnx_name value,
                                   struct onnx_name *ret);

/* Writes the nodes of layer `l` and names its value. */
enum cn_status export_layer(struct onnx_graph *g, size_t l);

/* onnx_write_windows.c */
onnx_writer export_convolution, export_transposed, export_pooling, export_global_pooling,
    export_resampling, export_resize, export_borders, export_padding, export_slice;
/* onnx_write_weighted.c */
onnx_writer export_dense, export_per_channel, export_rescaling, export_prelu,
    export_layer_normalization, export_group_normalization, export_unit_normalization,
    export_response_normalization, export_constant;
/* onnx_write_functions.c */
onnx_writer export_unary, export_binary, export_where, export_matmul, export_reduction,
    export_average, export_add, export_subtract, export_multiply, export_maximum, export_minimum,
    export_concatenation, export_permutation, export_repeat;

#endif
