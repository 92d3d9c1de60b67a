/* infer.h: POST .../infer of the Open Inference Protocol (v2): one input tensor, images, to one
 * output tensor, probabilities, as JSON or with the binary tensor extension.
 *
 * infer.c takes the request apart, infer_parse.c reads its JSON, infer_data.c turns the tensor into
 * images, infer_reply.c writes the answer.
 */
#ifndef CONVNET_API_OIP_INFER_H
#define CONVNET_API_OIP_INFER_H

#include "api/predict.h"
#include "json/scan.h"

/* The names that the metadata give to the model's input and output. A request may call its input as
 * it likes; an output is asked for by its name. */
#define INFER_INPUT  "image"
#define INFER_OUTPUT "probabilities"

enum { INFER_MAX_RANK = 8 };

enum infer_kind { INFER_SAMPLES = 0, INFER_FRACTIONS, INFER_PICTURES };

/* A datatype that is taken. */
struct infer_type {
    const char *name;
    enum infer_kind kind; /* whole numbers 0 to 255; numbers 0 to 1; pictures */
    size_t size;          /* bytes of an element in binary; 0: each has its length before it */
    bool json;            /* may stand in JSON as well */
    float (*load)(const uint8_t *bytes); /* an element from little-endian bytes; NaN: no sample */
};

/* The datatype with this name, or NULL. */
const struct infer_type *infer_type_find(struct json_string name);

/* "UINT8, UINT16, ...": for messages. */
#define INFER_TYPES "FP32, FP64, FP16, BF16, UINT8 to UINT64, INT8 to INT64 and BYTES"

/* The input tensor as the request describes it. */
struct infer_input {
    const struct infer_type *type; /* NULL: not said yet */
    bool has_shape;
    size_t rank; /* 0 with has_shape: the shape was -1 and not a list */
    int64_t dims[INFER_MAX_RANK];
    const char *data; /* where its "data" stands and still waits for being read, or NULL */
    bool has_data, has_binary_size;
    int64_t binary_size;
};

/* What the request asks for: the protocol_state of a prediction (predict.h). */
struct infer_request {
    struct prediction *prediction;
    struct json_string id; /* as it was written; begin is NULL: none */
    bool binary_output;    /* "binary_data_output" of the request */
    size_t input_count, output_count;
    struct infer_input input;
    bool output_binary, output_says_binary; /* "binary_data" of the output */
    size_t classes;                         /* "classification" of the output; 0: not asked for */
    char *text;                             /* the JSON when it had to be copied */
};

void infer_request_free(void *data);

/* Reads the JSON part [length], which ends with a NUL, and takes the tensor from it or from
 * `binary`, which follows it. The request keeps pointers into `text`. CN_INVALID, CN_MALFORMED,
 * CN_LIMIT, and what pictures may do. */
enum cn_status infer_parse(struct infer_request *request, const char *text, size_t length,
                           const uint8_t *binary, size_t binary_length, struct cn_error *error);

/* The images that a tensor of this type and shape has, checked against the model's input and the
 * limit of images. A shape of pictures may be unknown: then *ret_images is 0. */
enum cn_status infer_images(const struct infer_request *request, size_t *ret_images,
                            struct cn_error *error);

/* The tensor from JSON, with the scan at the value of "data"; type and shape are known. */
enum cn_status infer_read_json(struct infer_request *request, struct json_scan *scan);

/* The tensor from little-endian bytes; type and shape are known. */
enum cn_status infer_read_binary(struct infer_request *request, const uint8_t *bytes, size_t length,
                                 struct cn_error *error);

/* Writes the answer and returns its media type; sets Inference-Header-Content-Length when it has a
 * binary part. */
const char *infer_render(struct http_exchange *exchange, struct cn_text *text);

#endif
