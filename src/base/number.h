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

/* The number in `count` bytes, the highest first. */
uint64_t cn_number_big(const unsigned char *bytes, int count);

/* The values of an IEEE 754 binary16 number and of a bfloat16 number, which is a float's high half.
 */
float cn_number_half(uint16_t half);
float cn_number_brain(uint16_t brain);

/* For qsort: doubles in rising order. */
int cn_number_compare(const void *a, const void *b);

#endif
