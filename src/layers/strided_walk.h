/* strided_walk.h: walks over a tensor of up to CN_SHAPE_MAX_RANK axes row by row (the innermost
 * axis), while other tensors are followed by their own strides. */
#ifndef CONVNET_LAYERS_STRIDED_WALK_H
#define CONVNET_LAYERS_STRIDED_WALK_H

#include <stddef.h>

#include "convnet/shape.h"

enum { CN_WALK_MOST = 3 }; /* most tensors that are followed */

struct cn_walk {
    int rank, dims[CN_SHAPE_MAX_RANK], digits[CN_SHAPE_MAX_RANK];
    size_t rows, row;             /* number of rows; the present one */
    int columns;                  /* of a row */
    int followed;                 /* number of followed tensors */
    ptrdiff_t at[CN_WALK_MOST];   /* per tensor: the beginning of the present row */
    ptrdiff_t step[CN_WALK_MOST]; /* per tensor: the distance between columns */
    ptrdiff_t strides[CN_WALK_MOST][CN_SHAPE_MAX_RANK];
};

/* A walk over `shape` that follows no tensor yet. */
struct cn_walk cn_walk_over(const struct cn_shape *shape);

/* Follows a tensor with these strides, beginning at `at`. */
void cn_walk_follow(struct cn_walk *walk, const ptrdiff_t *strides, ptrdiff_t at);

/* Follows a tensor of `shape`, whose axes of length 1 are broadcast. Same rank. */
void cn_walk_follow_broadcast(struct cn_walk *walk, const struct cn_shape *shape);

/* Moves to the next row; false after the last one. */
bool cn_walk_next(struct cn_walk *walk);

/* Row-major strides of `shape`. */
void cn_walk_strides(const struct cn_shape *shape, ptrdiff_t strides[CN_SHAPE_MAX_RANK]);

/* The shape to which both are broadcast, axis by axis; false if that is impossible or their ranks
 * differ. */
bool cn_walk_broadcast(const struct cn_shape *a, const struct cn_shape *b, struct cn_shape *ret);

#endif
