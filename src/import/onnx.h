/* onnx.h: imports an ONNX file as a network. */
#ifndef CONVNET_IMPORT_ONNX_H
#define CONVNET_IMPORT_ONNX_H

#include <jansson.h>
#include <stddef.h>

#include "convnet/network.h"

struct import_onnx_options {
    const char *name;           /* of the file, for messages */
    const unsigned char *bytes; /* the file */
    size_t length;
    int folder;                      /* the file's folder, for external data; -1: none */
    const char *const *input_shapes; /* "3,224,224" or "name=1,3,224,224", for free axes */
    size_t input_shape_count;
};

/* The result of an import; zero before, cleared with import_onnx_clear. After a failure `obstacles`
 * has strings, one per node that cannot be imported. */
struct import_onnx_result {
    struct cn_network *network;
    /* {"inputs": [port, ...], "outputs": [port, ...]}, in the network's order. A port has the name
     * and the shape of the source (-1 for a free batch); "axes", for each axis of the network's
     * tensor the corresponding axis of the source (the others are 1 or the batch); and "batched":
     * the source's first axis is the batch. */
    json_t *tensors;
    json_t *layers;    /* array of {"name", "class", "shape", "source"} */
    json_t *notes;     /* array of strings: what was dropped or folded */
    json_t *obstacles; /* array of strings */
    json_t *source;    /* {"format", "producer", "opset", "ir_version"} */
    json_t *labels;    /* array of strings from the file's metadata; NULL: none */
};

/* Reads an ONNX model of opset 7 to 22 whose operators are in the list of onnx_operators.c.
 * CN_MALFORMED, CN_UNSUPPORTED (the text counts the obstacles and names the first), CN_LIMIT,
 * CN_MEMORY. */
enum cn_status import_onnx(const struct import_onnx_options *options,
                           struct import_onnx_result *ret_result, struct cn_error *error);

/* Accepts a result that is all zero. */
void import_onnx_clear(struct import_onnx_result *result);

#endif
