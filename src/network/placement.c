/* placement.c: see placement.h. No state. */
#include "network/placement.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* The largest first, and of equals the earliest. */
static int compare_sizes(const void *a, const void *b) {
    const struct cn_span *x = *(struct cn_span *const *)a, *y = *(struct cn_span *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x < y ? -1 : x > y);
}

static bool meet(const struct cn_span *a, const struct cn_span *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The offset of the smallest gap for `span` among the placed ones, which are sorted by offset. */
static size_t find_gap(const struct cn_span *span, struct cn_span *const *placed, size_t count) {
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct cn_span *other = placed[i];
        if (!meet(span, other))
            continue;
        if (other->offset > end && other->offset - end >= span->size &&
            other->offset - end < best_gap) {
            best = end;
            best_gap = other->offset - end;
        }
        if (other->offset + other->size > end)
            end = other->offset + other->size;
    }
    return best != SIZE_MAX ? best : end;
}

size_t cn_place(struct cn_span *spans, size_t count) {
    struct cn_span **order = calloc(2 * count + 1, sizeof *order);
    if (order == NULL)
        return SIZE_MAX;
    struct cn_span **placed = order + count;
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        order[i] = &spans[i];
    qsort(order, count, sizeof *order, compare_sizes);
    for (size_t i = 0; i < count && order[i]->size > 0; i++) {
        struct cn_span *span = order[i];
        size_t at = i;
        span->offset = find_gap(span, placed, i);
        for (; at > 0 && placed[at - 1]->offset > span->offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = span;
        if (span->offset + span->size > total)
            total = span->offset + span->size;
    }
    free(order);
    return total;
}
