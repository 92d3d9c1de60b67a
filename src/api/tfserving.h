/* tfserving.h: TensorFlow Serving's REST API for one model. */
#ifndef CONVNET_API_TFSERVING_H
#define CONVNET_API_TFSERVING_H

#include "api/predict.h"

/* What a predict request is made of: the protocol_state of a prediction. */
struct tfserving_request {
    struct prediction *prediction;
    bool seen;    /* "instances" or "inputs" */
    bool columns; /* "inputs": the answer says "outputs", not "predictions" */
    size_t named; /* inputs by name in "inputs" */
};

/* Reads a body [length], which ends with a NUL, into the prediction's images. CN_INVALID,
 * CN_MALFORMED, CN_LIMIT, and what pictures may do. `error` is not NULL. */
enum cn_status tfserving_parse(struct tfserving_request *request, const char *text, size_t length,
                               struct cn_error *error);

#endif
