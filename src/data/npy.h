/* npy.h: NumPy's arrays: one .npy (docs: numpy.lib.format) and the zip archive of them, .npz. */
#ifndef CONVNET_DATA_NPY_H
#define CONVNET_DATA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/picture_archive.h"

enum { CN_NPY_MAX_RANK = 4 };

/* An array of numbers. */
struct cn_npy {
    int rank;
    size_t dims[CN_NPY_MAX_RANK];
    size_t count;              /* their product */
    char kind;                 /* 'u', 'i', 'f' or 'b' as in its descr */
    size_t item;               /* bytes of one number */
    bool big;                  /* the first of them is the highest */
    const unsigned char *data; /* [count, item]; borrowed */
};

/* Reads the header of the array in `bytes`, which are borrowed. CN_MALFORMED: not an array, or
 * another number of bytes than its shape needs; CN_UNSUPPORTED: a type that is not a number,
 * Fortran's order or a rank above 4. `source` is its name in errors. */
enum cn_status cn_npy_parse(const unsigned char *bytes, size_t length, const char *source,
                            struct cn_npy *ret_array, struct cn_error *error);

/* Number i of the array. */
double cn_npy_value(const struct cn_npy *array, size_t i);

/* Finds the member called `name` of a zip archive. *ret_found false: there is none. CN_MALFORMED:
 * no zip, a damaged one, or a member that claims more than its bytes can produce; CN_UNSUPPORTED:
 * encrypted, or a method other than stored and deflated. */
enum cn_status cn_npz_find(const unsigned char *bytes, size_t length, const char *name,
                           const char *source, bool *ret_found,
                           struct cn_archive_member *ret_member, struct cn_error *error);

/* Writes to[member->size]. CN_MALFORMED: corrupt data, or another checksum; CN_MEMORY. */
enum cn_status cn_npz_unpack(const struct cn_archive_member *member, const char *source,
                             unsigned char *to, struct cn_error *error);

#endif
