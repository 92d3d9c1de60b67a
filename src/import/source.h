/* source.h: the contents of a foreign model file.
 *
 * Each reader of a container (Keras's HDF5 and zip, TensorFlow.js, PyTorch, safetensors) fills a
 * `struct import_source`: the architecture as Keras JSON if the file has one, and the tensors by
 * name. assemble.c makes a network of it. A reader checks every size against the file's length
 * before it allocates. */
#ifndef CONVNET_IMPORT_SOURCE_H
#define CONVNET_IMPORT_SOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "convnet/status.h"

enum {
    IMPORT_NAME = 512,    /* bytes of a path or a name with its NUL */
    IMPORT_MAX_RANK = 8,  /* most dimensions of a tensor */
    IMPORT_MAX_DEPTH = 64 /* deepest nesting of groups, dictionaries and models */
};

/* The convention by which a file names its tensors. */
enum import_naming {
    IMPORT_BY_LAYER, /* Keras's HDF5: group = the top-level layer, name = "layer/kernel:0" */
    IMPORT_BY_CLASS, /* Keras 3: group = "layers/conv2d_1", name = the variable's number */
    IMPORT_BY_NAME,  /* TensorFlow.js: group = "conv2d_1" or "model/conv2d_1", name = "kernel" */
    IMPORT_BY_SHAPE  /* PyTorch: group = "features.0", name = "weight"; kernels are OIHW */
};

struct import_tensor {
    char *group; /* owned */
    char *name;  /* owned */
    int rank;
    size_t dims[IMPORT_MAX_RANK];
    size_t size;   /* floats */
    float *values; /* owned; row-major */
    bool used;     /* a layer has taken it */
};

struct import_source {
    const char *format; /* "Keras 3 .keras file" */
    enum import_naming naming;
    bool flipped_kernels; /* Theano's convolutions: kernels are rotated by 180 degrees */
    bool keras_1;
    json_t *architecture; /* Keras JSON, owned; NULL if the file has none */
    json_t *labels;       /* array of strings, owned; NULL if the file has none */
    size_t tensor_count, tensor_capacity;
    struct import_tensor *tensors;
    size_t group_count, group_capacity;
    char **groups;        /* Keras 3: every group's path, with or without variables */
    size_t floats, limit; /* number of floats so far, and the most allowed */
};

/* One foreign file. */
struct import_file {
    const char *name; /* for messages */
    const unsigned char *bytes;
    size_t length;
    int folder; /* descriptor of its folder, for files that it refers to; -1: none */
};

/* Adds a tensor with room for its elements; the names are copied. The caller fills in ret_tensor's
 * values. CN_LIMIT above the source's limit, CN_MALFORMED for an impossible shape. */
enum cn_status import_source_add(struct import_source *source, const char *group, const char *name,
                                 int rank, const size_t *dims, struct import_tensor **ret_tensor,
                                 struct cn_error *error);

/* Adds a group of a Keras 3 file. */
enum cn_status import_source_add_group(struct import_source *source, const char *path,
                                       struct cn_error *error);

/* Notes in the architecture, if there is one, the version of Keras that wrote it, since some words
 * of Keras 3 mean something else in Keras 2. NULL: unknown. */
void import_source_set_version(struct import_source *source, const char *version);

/* Frees what the source owns. Accepts a source that is all zero. */
void import_source_clear(struct import_source *source);

/* Number types of the containers; little-endian. */
enum import_dtype {
    IMPORT_F32,
    IMPORT_F64,
    IMPORT_F16,
    IMPORT_BF16,
    IMPORT_U8,
    IMPORT_I8,
    IMPORT_U16,
    IMPORT_I16,
    IMPORT_I32,
    IMPORT_I64,
    IMPORT_BOOL
};

/* Bytes of one element. */
size_t import_dtype_size(enum import_dtype dtype);

/* Element `index` of the array at `bytes`. */
float import_dtype_value(enum import_dtype dtype, const unsigned char *bytes, size_t index);

/* Reads the file `name` in the folder of `file`, at most `limit` bytes; `name` must stay in that
 * folder. Caller frees with free(). */
enum cn_status import_read_beside(const struct import_file *file, const char *name, size_t limit,
                                  unsigned char **ret_bytes, size_t *ret_length,
                                  struct cn_error *error);

/* ---- The readers ---- */

/* Each fills `source`, which the caller has zeroed except for `limit`, and which the caller clears,
 * also after a failure. */
enum cn_status import_hdf5(const struct import_file *file, struct import_source *source,
                           struct cn_error *error);
enum cn_status import_keras_zip(const struct import_file *file, struct import_source *source,
                                struct cn_error *error);
enum cn_status import_tfjs(const struct import_file *file, struct import_source *source,
                           struct cn_error *error);
enum cn_status import_torch_zip(const struct import_file *file, struct import_source *source,
                                struct cn_error *error);
enum cn_status import_torch_legacy(const struct import_file *file, struct import_source *source,
                                   struct cn_error *error);
enum cn_status import_safetensors(const struct import_file *file, struct import_source *source,
                                  struct cn_error *error);

#endif
