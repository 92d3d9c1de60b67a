/* trace.h: the output of each layer of a network for one image.
 *
 * A plan fuses layers, so their single outputs do not exist. A trace runs the inference form of
 * each layer by itself, in the network's order, and keeps the outputs. Its last layer agrees with
 * cn_plan_run, but not to the bit, since folded weights round differently. */
#ifndef CONVNET_TRACE_H
#define CONVNET_TRACE_H

#include "convnet/network.h"

CN_DECLARATIONS_BEGIN

/* The state of a trace of `network`; used by one thread at a time. */
struct cn_trace;

/* The value of `layer` in cn_trace_create that selects all layers. */
#define CN_TRACE_ALL SIZE_MAX

/* Allocates a trace that keeps the outputs of all layers (CN_TRACE_ALL), or that runs up to layer
 * `layer` and keeps its output only. Borrows `network` until cn_trace_free. CN_LIMIT: the outputs
 * have more than `max_values` floats; CN_INVALID: there is no layer `layer`; CN_MEMORY. Caller
 * frees with cn_trace_free. */
enum cn_status cn_trace_create(const struct cn_network *network, size_t layer, size_t max_values,
                               struct cn_trace **ret_trace, struct cn_error *error);

/* Gives the trace of a network without parameters those of an equal network, borrowed until
 * cn_trace_free. */
void cn_trace_set_parameters(struct cn_trace *trace, const float *parameters);

/* Runs `image` [input_shape] through the layers, serially, as inference does: no dropout, moving
 * statistics, the network's temperature in the last layer. `image` must exist as long as the
 * outputs are read. Does not allocate, cannot fail. */
void cn_trace_run(struct cn_trace *trace, const float *image);

/* The same for a network of several inputs: images[i] is [shape of input i]. */
void cn_trace_run_inputs(struct cn_trace *trace, const float *const *images);

/* The output of layer `layer` [its output_shape]; NULL if it was not kept. Layers that inference
 * skips (Flatten, Dropout) give their input's values. Borrowed until the next run or cn_trace_free.
 */
const float *cn_trace_output(const struct cn_trace *trace, size_t layer);

/* The memory of the outputs and of the packed parameters. */
size_t cn_trace_bytes(const struct cn_trace *trace);

/* Accepts NULL. */
void cn_trace_free(struct cn_trace *trace);

CN_DECLARATIONS_END

#endif
