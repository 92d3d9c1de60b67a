/* safetensors.h: the container format of models and checkpoints.
 *
 * Layout: 8 bytes, unsigned little-endian: length N of the header; N bytes of JSON, an object
 * beginning with '{', padded with spaces; then the data. Each key of the object is a tensor,
 *   "name": {"dtype": "F32", "shape": [d0, d1, ...], "data_offsets": [begin, end]}
 * with offsets into the data, except "__metadata__", an object of strings.
 * Accepted here: a header of at most 1 MiB, at most 4,096 tensors, dtype F32 and I8, rank at most
 * 4, no duplicate keys, and data that the tensors cover from 0 to the end of the file without a
 * hole or an overlap; F32 begins at multiples of 4. Values are not looked at. The writer pads the
 * header to a multiple of 8.
 *
 * A file is sealed if its metadata has CN_SAFETENSORS_CHECKSUM: "sha256:" and the SHA-256 of the
 * whole file, computed with zeros in place of those 64 digits. */
#ifndef CONVNET_MODEL_SAFETENSORS_H
#define CONVNET_MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum {
    CN_SAFETENSOR_NAME = 128,
    CN_SAFETENSOR_MAX_RANK = 4,
    CN_SAFETENSORS_MAX_TENSORS = 4096,
    CN_SAFETENSORS_MAX_HEADER = 1 << 20, /* bytes */
    CN_SAFETENSORS_MAX_FILE = 1 << 30    /* bytes */
};

#define CN_SAFETENSORS_CHECKSUM "checksum"

struct cn_safetensor {
    char name[CN_SAFETENSOR_NAME];
    int rank;
    size_t dims[CN_SAFETENSOR_MAX_RANK]; /* unused dims are 1 */
    size_t size;                         /* numbers */
    const float *data;                   /* [dims], aligned; of a parsed file: borrowed from it */
    const int8_t *bytes;                 /* of I8, in place of `data`, which is NULL then */
};

/* One string of "__metadata__". The writer only reads both pointers; a parsed file owns them. */
struct cn_metadata {
    char *key;
    char *value;
};

struct cn_safetensors {
    size_t tensor_count;
    struct cn_safetensor *tensors; /* in the order of the header */
    size_t metadata_count;
    struct cn_metadata *metadata;
    unsigned char *bytes;     /* the file, owned; NULL when parsed from borrowed memory */
    float *copy;              /* an aligned copy of the data, owned; NULL if it was not needed */
    const unsigned char *raw; /* the parsed bytes: `bytes`, or borrowed */
    size_t raw_length;
};

/* Reads and checks a file of at most 1 GiB. Caller frees with cn_safetensors_free.
 * ret_sha256 (may be NULL) receives the file's SHA-256 as lower-case hex.
 * CN_MALFORMED or CN_UNSUPPORTED with error->source = path and the byte offset; CN_LIMIT. */
enum cn_status cn_safetensors_read(const char *path, struct cn_safetensors **ret,
                                   char ret_sha256[65], struct cn_error *error);

/* The same from memory, borrowed until cn_safetensors_free; `source` names it in errors. */
enum cn_status cn_safetensors_parse(const void *bytes, size_t length, const char *source,
                                    struct cn_safetensors **ret, struct cn_error *error);

/* The tensor of this name, or NULL. Borrowed until cn_safetensors_free. */
const struct cn_safetensor *cn_safetensors_tensor(const struct cn_safetensors *file,
                                                  const char *name);

/* The metadata string of this key, or NULL. Borrowed until cn_safetensors_free. */
const char *cn_safetensors_metadata(const struct cn_safetensors *file, const char *key);

/* CN_MALFORMED if the file is sealed and was changed afterwards. *ret_sealed: it is sealed. */
enum cn_status cn_safetensors_check_seal(const struct cn_safetensors *file, bool *ret_sealed,
                                         struct cn_error *error);

void cn_safetensors_free(struct cn_safetensors *file);

/* Writes the tensors in this order, those of bytes last, atomically (see cn_file_write). `size` of
 * a tensor must be the product of its dims; names are not empty, differ from each other and from
 * "__metadata__". The file is sealed if `metadata` has CN_SAFETENSORS_CHECKSUM, whatever its value.
 * CN_INVALID, CN_LIMIT, CN_IO, CN_MEMORY. */
enum cn_status cn_safetensors_write(const char *path, const struct cn_safetensor *tensors,
                                    size_t tensor_count, const struct cn_metadata *metadata,
                                    size_t metadata_count, struct cn_error *error);

/* The same into an open descriptor, which nobody may read before the call returns. */
enum cn_status cn_safetensors_write_descriptor(int fd, const struct cn_safetensor *tensors,
                                               size_t tensor_count,
                                               const struct cn_metadata *metadata,
                                               size_t metadata_count, struct cn_error *error);

#endif
