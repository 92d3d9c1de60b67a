/* model_file.h: internal to the model folder: shared by the reader and the writer of model files.
 */
#ifndef CONVNET_MODEL_MODEL_FILE_H
#define CONVNET_MODEL_MODEL_FILE_H

#include "convnet/model.h"
#include "convnet/plan.h"

#define CN_MODEL_FORMAT "convnet/1"

enum { CN_MODEL_PROBES = 4 };

/* The number of probes that this network can afford: 1 to CN_MODEL_PROBES. */
size_t cn_model_probe_count(const struct cn_network *network);

/* Computes the network's first output [count][output size] for the first `count` probes. These are
 * fixed inputs, described in docs/model-format.md: noise (the top bytes of SplitMix64; Steele, Lea
 * and Flood 2014), strokes and faint noise, converted by cn_image_from_bytes. All inputs of a
 * network get the same bytes, cut to their sizes. Caller frees with free(). *ret_plan, unless
 * ret_plan is NULL, is the plan that computed them; caller frees with cn_plan_free. CN_INVALID if
 * an output is not finite; CN_LIMIT if the network is too large to be run. */
enum cn_status cn_model_probe(const struct cn_network *network, size_t count, float **ret_outputs,
                              struct cn_plan **ret_plan, struct cn_error *error);

/* The stored form of an output, in which probabilities near 0 count as much as others: the
 * logarithm for a softmax, the logit for a sigmoid, the number itself otherwise. */
double cn_model_probe_number(enum cn_output_kind kind, float output);

/* CN_INVALID with the tensor, the element and its value unless all parameters are finite. */
enum cn_status cn_model_check_weights(const struct cn_network *network, struct cn_error *error);

/* CN_INVALID unless it is a valid temperature for a softmax. */
enum cn_status cn_model_check_temperature(float temperature, struct cn_error *error);

/* CN_MALFORMED unless they are probabilities and their errors rise. */
enum cn_status cn_error_levels_check(const struct cn_error_levels *levels, struct cn_error *error);

/* Sets the network's own names and shapes, which a file without "tensors" means. */
enum cn_status cn_model_reset_tensors(struct cn_model *model, struct cn_error *error);
void cn_model_free_interface(struct cn_model *model);

/* Sets kind, size and numbered labels of the network's first output. */
enum cn_status cn_model_reset_labels(struct cn_model *model, struct cn_error *error);

/* cn_model_write into an open descriptor, which nobody may read before the call returns. */
enum cn_status cn_model_write_descriptor(const struct cn_model *model, int fd,
                                         struct cn_error *error);

/* The distance between stored outputs of the probe: 1 for a vector of classes, more for a map. */
static inline size_t cn_model_probe_stride(size_t outputs) {
    enum { PROBE_NUMBERS = 4096 };
    return outputs > PROBE_NUMBERS ? outputs / PROBE_NUMBERS : 1;
}

#endif
