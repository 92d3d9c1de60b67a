/* placement.h: where arrays with known lifetimes lie in one block. */
#ifndef CONVNET_NETWORK_PLACEMENT_H
#define CONVNET_NETWORK_PLACEMENT_H

#include <stddef.h>

/* An array that is written at time `first` and read for the last time at `last`. */
struct cn_span {
    size_t size; /* in any unit; 0: it needs no place */
    size_t first, last;
    size_t offset; /* out */
};

/* Gives each span an offset, so that no two that live at the same time overlap; returns the block's
 * size. Greedy, the largest first, each into the tightest gap (as "greedy by size for offset
 * calculation", Pisarchyk and Lee 2020). SIZE_MAX without memory. */
size_t cn_place(struct cn_span *spans, size_t count);

#endif
