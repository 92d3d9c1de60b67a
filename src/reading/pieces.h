/* pieces.h: the connected pieces of ink of a picture. */
#ifndef CONVNET_READING_PIECES_H
#define CONVNET_READING_PIECES_H

#include "convnet/status.h"
#include "image/plane.h"

enum { CN_PIECES_MOST = 4096 }; /* a picture with more is not text */

/* The edges are inclusive, in samples of the plane. */
struct cn_piece {
    int left, top, right, bottom;
    int area; /* samples of ink */
};

struct cn_pieces {
    size_t count;
    struct cn_piece *pieces; /* [count] */
    int width, height;
    int16_t *owner; /* [height, width]: the piece to which a sample belongs; -1: page */
};

/* Finds the pieces of a plane of ink, 0 page to 255 ink: samples that touch, also at a corner.
 * Faint ink between two pieces does not join them, and belongs to one beside it. Caller frees with
 * cn_pieces_clear. CN_LIMIT above CN_PIECES_MOST; CN_MEMORY. */
enum cn_status cn_pieces_find(const struct cn_plane *plane, struct cn_pieces *ret_pieces,
                              struct cn_error *error);

void cn_pieces_clear(struct cn_pieces *pieces);

static inline int cn_piece_width(const struct cn_piece *piece) {
    return piece->right - piece->left + 1;
}

static inline int cn_piece_height(const struct cn_piece *piece) {
    return piece->bottom - piece->top + 1;
}

/* The number of samples that two pieces share along x; negative: the gap between them. */
static inline int cn_piece_overlap(const struct cn_piece *a, const struct cn_piece *b) {
    const int left = a->left > b->left ? a->left : b->left;
    const int right = a->right < b->right ? a->right : b->right;
    return right - left + 1;
}

#endif
