/* explain.h: POST /explain: one image's way through the network, layer by layer. */
#ifndef CONVNET_API_EXPLAIN_H
#define CONVNET_API_EXPLAIN_H

#include "api/predict.h"
#include "convnet/trace.h"

enum {
    EXPLAIN_MAX_NUMBERS = 1 << 20, /* values in one answer as decimal numbers */
    EXPLAIN_MAX_BYTES = 1 << 22    /* values in one answer, or pixels, as bytes */
};

enum explain_values { EXPLAIN_FLOATS = 0, EXPLAIN_BYTES, EXPLAIN_NONE };

/* What the query and Accept ask for. */
struct explain_options {
    enum explain_values values;
    bool png;     /* tiles of one layer instead of JSON */
    bool filters; /* JSON: the parameters too; PNG: the kernel instead of the feature maps */
    size_t layer; /* index, or CN_TRACE_ALL */
    int zoom;     /* PNG: pixels a value; 0: chosen by the size of a tile */
};

/* What /explain knows of its prediction, as its protocol_state. */
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

/* The answer as JSON. */
void explain_render(const struct prediction *prediction, struct cn_text *text);

/* CN_INVALID: the one layer that the options name has no filters to show; CN_LIMIT: the picture
 * would have over EXPLAIN_MAX_BYTES pixels. */
enum cn_status explain_tiles_check(const struct explain_options *options,
                                   const struct cn_network *network, struct cn_error *error);

/* Adds the tiles of that layer as a PNG; without memory the text has failed. */
void explain_tiles(const struct prediction *prediction, struct cn_text *text);

#endif
