/* placement.h: places arrays with known lifetimes in one block. */
#ifndef CONVNET_NETWORK_PLACEMENT_H
#define CONVNET_NETWORK_PLACEMENT_H

#include <stddef.h>

/* An array that is first written at time `first` and last read at time `last`. */
struct cn_span {
    size_t size; /* in any unit; 0: needs no place */
    size_t first, last;
    size_t offset; /* result */
};

/* Gives each span an offset, so that no two with overlapping lifetimes overlap; returns the block's
 * size. Greedy, the largest first, each into the smallest gap that fits (like "greedy by size for
 * offset calculation", Pisarchyk and Lee 2020). SIZE_MAX if memory runs out. */
size_t cn_place(struct cn_span *spans, size_t count);

#endif
