/* explain.h: POST /explain: what each layer of the network computes for one image. */
#ifndef CONVNET_API_EXPLAIN_H
#define CONVNET_API_EXPLAIN_H

#include "api/predict.h"
#include "convnet/trace.h"

enum {
    EXPLAIN_MAX_NUMBERS = 1 << 20, /* most values in one answer as decimal numbers */
    EXPLAIN_MAX_BYTES = 1 << 22    /* most values in one answer as bytes, and most pixels */
};

enum explain_values { EXPLAIN_FLOATS = 0, EXPLAIN_BYTES, EXPLAIN_NONE };

/* What the query and the Accept header ask for. */
struct explain_options {
    enum explain_values values;
    bool png;     /* the tiles of one layer as a PNG instead of JSON */
    bool filters; /* JSON: include the parameters; PNG: show the kernel instead of the feature maps
                   */
    size_t layer; /* index of the layer, or CN_TRACE_ALL */
    int zoom;     /* PNG: pixels per value; 0: chosen so that a tile has a good size */
};

/* The state of an explanation: its prediction's protocol_state. */
struct explanation {
    struct explain_options options;
    struct cn_workspace *workspace;
    struct cn_trace *trace;
};

/* The smallest and the largest of `count` >= 1 values. */
struct explain_range {
    float minimum, maximum;
};
struct explain_range explain_range_of(const float *values, size_t count);

/* Writes the answer as JSON. */
void explain_render(const struct prediction *prediction, struct cn_text *text);

/* CN_INVALID: the layer that the options name has no filters; CN_LIMIT: the picture would have more
 * than EXPLAIN_MAX_BYTES pixels. */
enum cn_status explain_tiles_check(const struct explain_options *options,
                                   const struct cn_network *network, struct cn_error *error);

/* Adds the tiles of that layer as a PNG. Without memory the text is marked as failed. */
void explain_tiles(const struct prediction *prediction, struct cn_text *text);

#endif
