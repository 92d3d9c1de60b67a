/* infer.h: POST .../infer of the Open Inference Protocol (v2): a tensor for each of the model's
 * inputs to one for each of its outputs, as JSON or with the binary tensor extension. Names, shapes
 * and order are the model's (struct cn_tensor_form).
 *
 * infer.c takes the request apart, infer_parse.c reads its JSON, infer_tensor.c turns the tensors
 * into images, infer_reply.c writes the answer.
 */
#ifndef CONVNET_API_OIP_INFER_H
#define CONVNET_API_OIP_INFER_H

#include "api/predict.h"
#include "json/scan.h"

/* The name by which any model's only output may be requested, besides its own. A request may give
 * the only input any name. */
#define INFER_OUTPUT "probabilities"

enum { INFER_MAX_RANK = CN_TENSOR_FORM_RANK };

enum infer_kind { INFER_SAMPLES = 0, INFER_FRACTIONS, INFER_PICTURES };

/* A datatype that an input may have. */
struct infer_type {
    const char *name;
    enum infer_kind kind; /* samples 0 to 255, numbers 0 to 1, or encoded pictures */
    size_t size;          /* bytes of a binary element; 0: each element has a length prefix */
    bool json;            /* may also be given in JSON */
    float (*load)(const uint8_t *bytes); /* reads an element from little-endian bytes; NaN: not a
                                            valid sample */
};

/* The datatype with this name, or NULL. */
const struct infer_type *infer_type_find(struct json_string name);

/* "UINT8, UINT16, ...": for messages. */
#define INFER_TYPES "FP32, FP64, FP16, BF16, UINT8 to UINT64, INT8 to INT64 and BYTES"

/* The order of the numbers of one image in a request's tensor. */
struct infer_order {
    const uint32_t *places;  /* index in the network's order of number i; NULL: see below */
    size_t channels, pixels; /* channels 0: the network's order; else one plane per channel */
};

/* An input tensor as the request describes it. */
struct infer_input {
    const struct cn_tensor_form *form; /* which of the model's inputs; NULL: not known yet */
    size_t offset;                     /* of this input's numbers within an image */
    const struct infer_type *type;     /* NULL: not known yet */
    bool has_shape;
    size_t rank; /* 0 with has_shape: the request wrote -1 instead of a list */
    int64_t dims[INFER_MAX_RANK];
    const char *data; /* the unread value of "data" in the text, or NULL */
    bool has_data, has_binary_size;
    int64_t binary_size;
};

/* An output that the request asks for. */
struct infer_output {
    const struct cn_tensor_form *form;
    bool alias;               /* requested by the name INFER_OUTPUT */
    bool binary, says_binary; /* "binary_data" */
    size_t classes;           /* "classification"; 0: not requested */
};

/* The parsed request: the protocol_state of a prediction (predict.h). */
struct infer_request {
    struct prediction *prediction;
    struct json_string id; /* as the request wrote it; begin is NULL: none */
    bool binary_output;    /* "binary_data_output" of the request */
    size_t input_count, output_count;
    struct infer_input *inputs;   /* [the model's inputs], those read so far */
    struct infer_output *outputs; /* [the model's outputs + 1]; empty: all outputs */
    char *text;                   /* a copy of the JSON, if one was needed */
};

/* Allocates the tensors of the prediction's model in a zeroed request; false if memory runs out. */
bool infer_request_begin(struct infer_request *request, struct prediction *prediction);

/* Frees the request and what it owns; accepts NULL. */
void infer_request_free(void *data);

/* Reads the JSON part [length], which ends with a NUL. The tensors are in it or in `binary`, which
 * follows it. The request keeps pointers into `text`. CN_INVALID, CN_MALFORMED, CN_LIMIT, or an
 * error of a picture. */
enum cn_status infer_parse(struct infer_request *request, const char *text, size_t length,
                           const uint8_t *binary, size_t binary_length, struct cn_error *error);

/* Reads the tensor from JSON; the scan is at the value of "data", and form, type and shape are
 * known. */
enum cn_status infer_read_json(struct infer_request *request, struct infer_input *input,
                               struct json_scan *scan);

/* Reads the tensor from little-endian bytes; form, type and shape are known. */
enum cn_status infer_read_binary(struct infer_request *request, struct infer_input *input,
                                 const uint8_t *bytes, size_t length, struct cn_error *error);

/* Writes the answer and returns its media type; sets Inference-Header-Content-Length when it has a
 * binary part. */
const char *infer_render(struct http_exchange *exchange, struct cn_text *text);

#endif
