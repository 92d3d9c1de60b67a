/* infer.h: POST .../infer of the Open Inference Protocol (v2): a tensor for each of the model's
 * inputs to one for each of its outputs, as JSON or with the binary tensor extension. Names, shapes
 * and order are the model's (struct cn_tensor_form).
 *
 * infer.c takes the request apart, infer_parse.c reads its JSON, infer_shape.c what the shape of a
 * tensor means, infer_data.c turns the tensors into images, infer_reply.c writes the answer.
 */
#ifndef CONVNET_API_OIP_INFER_H
#define CONVNET_API_OIP_INFER_H

#include "api/predict.h"
#include "json/scan.h"

/* What the only output of any model may be called besides its own name. A request may call the only
 * input as it likes. */
#define INFER_OUTPUT "probabilities"

enum { INFER_MAX_RANK = CN_TENSOR_FORM_RANK };

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

/* How the numbers of one image lie in a request's tensor. */
struct infer_order {
    const uint32_t *places;  /* where number i belongs; NULL: see below */
    size_t channels, pixels; /* channels 0: as in the network; else channel after channel */
};

/* An input tensor as the request describes it. */
struct infer_input {
    const struct cn_tensor_form *form; /* which of the model's; NULL: not said yet */
    size_t offset;                     /* of its numbers in an image */
    const struct infer_type *type;     /* NULL: not said yet */
    bool has_shape;
    size_t rank; /* 0 with has_shape: the shape was -1 and not a list */
    int64_t dims[INFER_MAX_RANK];
    const char *data; /* where its "data" stands and still waits for being read, or NULL */
    bool has_data, has_binary_size;
    int64_t binary_size;
};

/* An output that the request asks for. */
struct infer_output {
    const struct cn_tensor_form *form;
    bool alias;               /* asked for as INFER_OUTPUT */
    bool binary, says_binary; /* "binary_data" */
    size_t classes;           /* "classification"; 0: not asked for */
};

/* What the request asks for: the protocol_state of a prediction (predict.h). */
struct infer_request {
    struct prediction *prediction;
    struct json_string id; /* as it was written; begin is NULL: none */
    bool binary_output;    /* "binary_data_output" of the request */
    size_t input_count, output_count;
    struct infer_input *inputs;   /* [the model's inputs], those so far */
    struct infer_output *outputs; /* [the model's outputs + 1]; none: all of them */
    char *text;                   /* the JSON when it had to be copied */
};

/* Makes room in a zeroed request for the tensors of the prediction's model; false: no memory. */
bool infer_request_begin(struct infer_request *request, struct prediction *prediction);

/* Frees the request with what it holds; NULL is fine. */
void infer_request_free(void *data);

/* Reads the JSON part [length], which ends with a NUL, and takes the tensor from it or from
 * `binary`, which follows it. The request keeps pointers into `text`. CN_INVALID, CN_MALFORMED,
 * CN_LIMIT, and what pictures may do. */
enum cn_status infer_parse(struct infer_request *request, const char *text, size_t length,
                           const uint8_t *binary, size_t binary_length, struct cn_error *error);

/* The images that a tensor of this type and shape has, and how they lie in it, checked against the
 * model's input and the limit of images. A shape of pictures may be unknown: then *ret_images is 0.
 */
enum cn_status infer_images(const struct infer_request *request, const struct infer_input *input,
                            size_t *ret_images, struct infer_order *ret_order,
                            struct cn_error *error);

/* "[16, 28, 28]" */
enum { INFER_SHAPE_TEXT = 192 };
const char *infer_format_shape(const struct infer_input *input, char text[static INFER_SHAPE_TEXT]);

/* The tensor from JSON, with the scan at the value of "data"; form, type and shape are known. */
enum cn_status infer_read_json(struct infer_request *request, struct infer_input *input,
                               struct json_scan *scan);

/* The tensor from little-endian bytes; form, type and shape are known. */
enum cn_status infer_read_binary(struct infer_request *request, struct infer_input *input,
                                 const uint8_t *bytes, size_t length, struct cn_error *error);

/* Writes the answer and returns its media type; sets Inference-Header-Content-Length when it has a
 * binary part. */
const char *infer_render(struct http_exchange *exchange, struct cn_text *text);

#endif
