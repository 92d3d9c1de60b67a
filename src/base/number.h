/* number.h: floats as the shortest decimals that read back as the same float; bytes as numbers; the
 * order of numbers. */
#ifndef CONVNET_BASE_NUMBER_H
#define CONVNET_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum { CN_FLOAT_TEXT = 16 }; /* the most bytes that cn_float_format writes, with the NUL */

/* Writes `value` with the fewest significant digits (1 to 9) whose nearest float is `value`, and
 * returns the length: "0.1", "7", "1.17549435e-38". It is a JSON number in any locale; infinities
 * and NaN, which JSON lacks, become "null". */
size_t cn_float_format(char text[static CN_FLOAT_TEXT], float value);

/* The number in `count` bytes, the lowest first. */
uint64_t cn_number_little(const unsigned char *bytes, int count);

/* For qsort: doubles in rising order. */
int cn_number_compare(const void *a, const void *b);

#endif
