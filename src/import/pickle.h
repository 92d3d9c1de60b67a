/* pickle.h: reads Python's pickle, as far as PyTorch state dicts need it.
 *
 * The reader builds values and calls nothing. It knows the few globals of a state dict
 * (OrderedDict, _rebuild_tensor_v2, the storages, torch.Size); any other global or opcode is
 * refused with its name and position. */
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
    PICKLE_TUPLE,   /* also lists */
    PICKLE_DICT,    /* items: key, value, key, value, ... */
    PICKLE_GLOBAL,  /* text: "collections.OrderedDict" */
    PICKLE_STORAGE, /* items: key (text); text: its global; integer: number of elements */
    PICKLE_TENSOR,  /* items: storage, offset, sizes, strides */
    PICKLE_OTHER    /* a value that is not part of a weight */
};

struct pickle_value {
    enum pickle_kind kind;
    int64_t integer;
    char *text;
    size_t count, capacity;
    struct pickle_value **items;
};

/* Owns every value of the pickles that were read. */
struct pickle;

/* CN_MEMORY. Caller frees with pickle_free. */
enum cn_status pickle_create(struct pickle **ret_pickle, struct cn_error *error);
void pickle_free(struct pickle *pickle);

/* Reads one pickle from bytes + *offset, and moves *offset past it. The value is borrowed until
 * pickle_free. CN_MALFORMED, CN_UNSUPPORTED (names what is not supported), CN_LIMIT, CN_MEMORY. */
enum cn_status pickle_read(struct pickle *pickle, const unsigned char *bytes, size_t length,
                           size_t *offset, const struct pickle_value **ret_value,
                           struct cn_error *error);

#endif
