/* trace.h: what each layer of a network makes of one image.
 *
 * A plan is fast because it fuses layers, and so their single outputs are nowhere to be seen. A
 * trace runs the inference form of each layer by itself, in the network's order, and keeps what
 * comes out. Its last layer agrees with cn_plan_run, but not to the bit: folded weights round
 * differently.
 */
#ifndef CONVNET_TRACE_H
#define CONVNET_TRACE_H

#include "convnet/network.h"

CN_DECLARATIONS_BEGIN

/* One image's way through `network`; used by one thread at a time. */
struct cn_trace;

/* As `layer` of cn_trace_create. */
#define CN_TRACE_ALL SIZE_MAX

/* Room for a trace that keeps the outputs of all layers (CN_TRACE_ALL), or runs up to layer `layer`
 * and keeps its output alone. Borrows `network` until cn_trace_free.
 * CN_LIMIT: the outputs to keep have over `max_values` floats; CN_INVALID: `layer` is past the last
 * one; CN_MEMORY. Caller frees with cn_trace_free. */
enum cn_status cn_trace_create(const struct cn_network *network, size_t layer, size_t max_values,
                               struct cn_trace **ret_trace, struct cn_error *error);

/* Runs `image` [input_shape] through the layers, serially, as inference does: no dropout, moving
 * statistics, the network's temperature in the last one. `image` must last as long as the outputs
 * are read. Does not allocate, cannot fail. */
void cn_trace_run(struct cn_trace *trace, const float *image);

/* The same for a network of several inputs: images[i] is [shape of input i]. */
void cn_trace_run_inputs(struct cn_trace *trace, const float *const *images);

/* What layer `layer` gave [its output_shape], NULL if it is not kept. Layers that inference skips
 * (Flatten, Dropout) give their input's values. Borrowed until the next run or cn_trace_free. */
const float *cn_trace_output(const struct cn_trace *trace, size_t layer);

/* Accepts NULL. */
void cn_trace_free(struct cn_trace *trace);

CN_DECLARATIONS_END

#endif
