/* strided_walk.c: walks over tensors row by row, following other tensors by strides. No state. */
#include "layers/strided_walk.h"

struct cn_walk cn_walk_over(const struct cn_shape *shape) {
    struct cn_walk walk = {.rank = shape->rank, .rows = 1};
    for (int i = 0; i < shape->rank; i++) {
        walk.dims[i] = shape->dims[i];
        walk.rows *= i + 1 < shape->rank ? (size_t)shape->dims[i] : 1;
    }
    walk.columns = cn_shape_channels(shape);
    return walk;
}

void cn_walk_follow(struct cn_walk *walk, const ptrdiff_t *strides, ptrdiff_t at) {
    const int k = walk->followed++;
    for (int i = 0; i < walk->rank; i++)
        walk->strides[k][i] = strides[i];
    walk->at[k] = at;
    walk->step[k] = strides[walk->rank - 1];
}

void cn_walk_strides(const struct cn_shape *shape, ptrdiff_t strides[CN_SHAPE_MAX_RANK]) {
    ptrdiff_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= shape->dims[i];
    }
}

void cn_walk_follow_broadcast(struct cn_walk *walk, const struct cn_shape *shape) {
    ptrdiff_t strides[CN_SHAPE_MAX_RANK];
    cn_walk_strides(shape, strides);
    for (int i = 0; i < shape->rank; i++)
        strides[i] = shape->dims[i] == 1 ? 0 : strides[i];
    cn_walk_follow(walk, strides, 0);
}

bool cn_walk_next(struct cn_walk *walk) {
    if (++walk->row >= walk->rows)
        return false;
    for (int i = walk->rank - 2; i >= 0; i--) {
        const bool wraps = ++walk->digits[i] == walk->dims[i];
        for (int k = 0; k < walk->followed; k++)
            walk->at[k] += wraps ? walk->strides[k][i] * (1 - walk->dims[i]) : walk->strides[k][i];
        if (!wraps)
            break;
        walk->digits[i] = 0;
    }
    return true;
}

bool cn_walk_broadcast(const struct cn_shape *a, const struct cn_shape *b, struct cn_shape *ret) {
    struct cn_shape shape = *a;
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i] && a->dims[i] != 1 && b->dims[i] != 1)
            return false;
        shape.dims[i] = a->dims[i] == 1 ? b->dims[i] : a->dims[i];
    }
    *ret = shape;
    return true;
}
