/* preprocessing_equal.h: compares the members of struct cn_preprocessing. memcmp would compare its
 * padding, too, which compilers need not copy. */
#ifndef TESTS_SUPPORT_PREPROCESSING_EQUAL_H
#define TESTS_SUPPORT_PREPROCESSING_EQUAL_H

#include <string.h>

#include "convnet/image.h"

/* True if all members have the same bits. */
static inline bool preprocessing_equal(const struct cn_preprocessing *a,
                                       const struct cn_preprocessing *b) {
    return a->fit == b->fit && a->box == b->box && a->invert == b->invert &&
           a->channels == b->channels && a->interpolation == b->interpolation &&
           memcmp(&a->scale, &b->scale, sizeof a->scale) == 0 &&
           memcmp(a->mean, b->mean, sizeof a->mean) == 0 &&
           memcmp(a->std, b->std, sizeof a->std) == 0;
}

#endif
