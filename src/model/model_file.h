/* model_file.h: inside the model folder: what the reader and the writer of model files share. */
#ifndef CONVNET_MODEL_MODEL_FILE_H
#define CONVNET_MODEL_MODEL_FILE_H

#include "convnet/model.h"

#define CN_MODEL_FORMAT "convnet/1"

/* The network's first output [output size] for the probe: one fixed input (the same for each, as
 * far as it goes), whose sample i is the top byte of output i of SplitMix64 (Steele, Lea and Flood
 * 2014) seeded with 0, through cn_image_from_bytes. Caller frees with free(). CN_INVALID if an
 * output is not finite; CN_LIMIT if the network is too large to be tried out. */
enum cn_status cn_model_probe(const struct cn_network *network, float **ret_outputs,
                              struct cn_error *error);

/* CN_INVALID unless all parameters are finite; names the tensor, the element and its value. */
enum cn_status cn_model_check_weights(const struct cn_network *network, struct cn_error *error);

/* CN_INVALID unless a softmax can be divided by it. */
enum cn_status cn_model_check_temperature(float temperature, struct cn_error *error);

/* cn_model_write into an open descriptor, which must not be seen before all is written. */
enum cn_status cn_model_write_descriptor(const struct cn_model *model, int fd,
                                         struct cn_error *error);

/* Every so-manieth output of the probe is stored: all of a vector of classes, some of a map. */
static inline size_t cn_model_probe_stride(size_t outputs) {
    enum { PROBE_NUMBERS = 4096 };
    return outputs > PROBE_NUMBERS ? outputs / PROBE_NUMBERS : 1;
}

#endif
