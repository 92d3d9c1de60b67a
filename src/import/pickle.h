/* pickle.h: Python's pickle, as far as a PyTorch state dict goes.
 *
 * The reader builds values and calls nothing. It knows by name the few things that a state dict is
 * made of (OrderedDict, _rebuild_tensor_v2, the storages, torch.Size); any other global, and any
 * other opcode, is refused with its name and its place.
 */
#ifndef CONVNET_IMPORT_PICKLE_H
#define CONVNET_IMPORT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INTEGER,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_TUPLE,   /* and lists */
    PICKLE_DICT,    /* items: key, value, key, value, ... */
    PICKLE_GLOBAL,  /* text: "collections.OrderedDict" */
    PICKLE_STORAGE, /* items: key (text); text: its global; integer: number of elements */
    PICKLE_TENSOR,  /* items: storage, offset, sizes, strides */
    PICKLE_BESIDE   /* something that is no weight */
};

struct pickle_value {
    enum pickle_kind kind;
    int64_t integer;
    char *text;
    size_t count, capacity;
    struct pickle_value **items;
};

/* Owns every value of the pickles that it has read. */
struct pickle;

/* CN_MEMORY. Caller frees with pickle_free. */
enum cn_status pickle_create(struct pickle **ret_pickle, struct cn_error *error);
void pickle_free(struct pickle *pickle);

/* Reads one pickle from bytes + *offset, and moves *offset past it. The value is borrowed until
 * pickle_free. CN_MALFORMED, CN_UNSUPPORTED (names what it will not take), CN_LIMIT, CN_MEMORY. */
enum cn_status pickle_read(struct pickle *pickle, const unsigned char *bytes, size_t length,
                           size_t *offset, const struct pickle_value **ret_value,
                           struct cn_error *error);

#endif
