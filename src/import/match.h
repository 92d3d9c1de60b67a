/* match.h: internal to match.c and match_modules.c: a foreign file's tensors and a network's
 * weights while they are matched. */
#ifndef CONVNET_IMPORT_MATCH_H
#define CONVNET_IMPORT_MATCH_H

#include "import/assemble.h"

struct import_matcher {
    struct import_source *source;
    struct cn_network *network;
    char *const *paths; /* each layer's path in the architecture */
    json_t *groups;     /* Keras 3: a layer's path -> its group in the file */
    struct import_report *report;
    struct cn_error *error;
};

/* True if the tensor's name is `expected`, or another name of the same weight. */
bool import_match_named(const struct import_tensor *tensor, const char *expected);

/* True if the tensor can be the weight, in the file's order of elements. */
bool import_match_fits(const struct import_matcher *matcher, const struct import_tensor *tensor,
                       const struct cn_tensor_spec *spec);

/* Copies the tensor into weight `index` of the layer, reordered. CN_INVALID if it does not fit. */
enum cn_status import_match_give(const struct import_matcher *matcher, const struct cn_layer *layer,
                                 size_t index, struct import_tensor *tensor);

/* True for PyTorch's count of batches, which is not needed here. */
bool import_match_counter(const struct import_tensor *tensor);

/* The last component of a path. */
const char *import_match_leaf(const char *path);

/* Fills the weights from PyTorch's modules (match_modules.c). CN_INVALID if a layer has no module,
 * or if it is not certain which one. */
enum cn_status import_match_modules(const struct import_matcher *matcher);

#endif
