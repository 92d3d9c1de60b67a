/* tfserving.h: TensorFlow Serving's REST API for one model. */
#ifndef CONVNET_API_TFSERVING_H
#define CONVNET_API_TFSERVING_H

#include "api/predict.h"

/* The state of a predict request: its prediction's protocol_state. */
struct tfserving_request {
    struct prediction *prediction;
    bool seen;    /* "instances" or "inputs" */
    bool columns; /* the request has "inputs", so the answer has "outputs", not "predictions" */
    size_t named; /* inputs by name in "inputs" */
};

/* Reads a body [length], which ends with a NUL, into the prediction's images. CN_INVALID,
 * CN_MALFORMED, CN_LIMIT, or an error of a picture. `error` is not NULL. */
enum cn_status tfserving_parse(struct tfserving_request *request, const char *text, size_t length,
                               struct cn_error *error);

#endif
