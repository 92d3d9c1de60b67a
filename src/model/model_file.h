/* model_file.h: inside the model folder: what the reader and the writer of model files share. */
#ifndef CONVNET_MODEL_MODEL_FILE_H
#define CONVNET_MODEL_MODEL_FILE_H

#include "convnet/model.h"

#define CN_MODEL_FORMAT "convnet/1"

enum { CN_MODEL_PROBES = 4 };

/* How many probes are worth their time for this network: 1 to CN_MODEL_PROBES. */
size_t cn_model_probe_count(const struct cn_network *network);

/* The network's first output [count][output size] for the first `count` probes, fixed inputs: noise
 * (the top bytes of SplitMix64; Steele, Lea and Flood 2014), strokes and faint noise, as
 * docs/model-format.md says, through cn_image_from_bytes. All inputs of a network get the same, as
 * far as it goes. Caller frees with free(). CN_INVALID if an
 * output is not finite; CN_LIMIT if the network is too large to be tried out. */
enum cn_status cn_model_probe(const struct cn_network *network, size_t count, float **ret_outputs,
                              struct cn_error *error);

/* What is stored of an output, so that a probability near 0 counts as much as one near 1: the
 * logarithm of a softmax's, the logit of a sigmoid's, the number itself of all others. */
double cn_model_probe_number(enum cn_output_kind kind, float output);

/* CN_INVALID unless all parameters are finite; names the tensor, the element and its value. */
enum cn_status cn_model_check_weights(const struct cn_network *network, struct cn_error *error);

/* CN_INVALID unless a softmax can be divided by it. */
enum cn_status cn_model_check_temperature(float temperature, struct cn_error *error);

/* The network's own names and shapes: what a file without "tensors" means. */
enum cn_status cn_model_reset_tensors(struct cn_model *model, struct cn_error *error);
void cn_model_free_interface(struct cn_model *model);

/* Kind, size and numbered labels of the network's first output. */
enum cn_status cn_model_reset_labels(struct cn_model *model, struct cn_error *error);

/* cn_model_write into an open descriptor, which must not be seen before all is written. */
enum cn_status cn_model_write_descriptor(const struct cn_model *model, int fd,
                                         struct cn_error *error);

/* Every so-manieth output of the probe is stored: all of a vector of classes, some of a map. */
static inline size_t cn_model_probe_stride(size_t outputs) {
    enum { PROBE_NUMBERS = 4096 };
    return outputs > PROBE_NUMBERS ? outputs / PROBE_NUMBERS : 1;
}

#endif
