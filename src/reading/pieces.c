/* pieces.c: connected components by flood fill with a stack (Rosenfeld and Pfaltz 1966 define
 * them). It knows no digits. Thread-safe: no state but the caller's. */
#include <stdlib.h>
#include <string.h>

#include "reading/pieces.h"

enum {
    FIRM = 40,      /* of 255: ink that connects pieces */
    LEAST_AREA = 4, /* in samples; smaller pieces are grain */
    UNSEEN = -1, /* the owner of ink that is not assigned yet; the plane tells whether it is firm */
};

struct fill {
    const struct cn_plane *plane;
    struct cn_pieces *pieces;
    int *stack; /* [width x height] */
};

static void piece_take(struct cn_piece *piece, int x, int y) {
    piece->left = x < piece->left ? x : piece->left;
    piece->right = x > piece->right ? x : piece->right;
    piece->top = y < piece->top ? y : piece->top;
    piece->bottom = y > piece->bottom ? y : piece->bottom;
    piece->area++;
}

/* Assigns all firm ink connected with `start` to the piece `index`. */
static struct cn_piece fill_piece(struct fill *fill, int start, int16_t index) {
    const int width = fill->plane->width, height = fill->plane->height;
    struct cn_piece piece = {width, height, -1, -1, 0};
    size_t depth = 0;
    fill->stack[depth++] = start;
    fill->pieces->owner[start] = index;
    while (depth > 0) {
        const int at = fill->stack[--depth], x = at % width, y = at / width;
        piece_take(&piece, x, y);
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < height; v++)
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < width; u++) {
                const int next = v * width + u;
                if (fill->plane->samples[next] >= FIRM && fill->pieces->owner[next] == UNSEEN) {
                    fill->pieces->owner[next] = index;
                    fill->stack[depth++] = next;
                }
            }
    }
    return piece;
}

/* The piece of a sample that is grain is taken back. */
static void forget_piece(struct cn_pieces *pieces, const struct cn_piece *piece, int16_t index) {
    for (int y = piece->top; y <= piece->bottom; y++)
        for (int x = piece->left; x <= piece->right; x++) {
            int16_t *owner = &pieces->owner[y * pieces->width + x];
            *owner = *owner == index ? UNSEEN : *owner;
        }
}

/* Assigns faint ink beside a piece to it, as its soft edge. */
static void take_edges(struct cn_pieces *pieces, const struct cn_plane *plane, int16_t *before) {
    const int width = pieces->width, height = pieces->height;
    memcpy(before, pieces->owner, (size_t)width * (size_t)height * sizeof *before);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const int at = y * width + x;
            if (plane->samples[at] == 0 || before[at] != UNSEEN)
                continue;
            for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < height; v++)
                for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < width; u++)
                    if (before[v * width + u] >= 0)
                        pieces->owner[at] = before[v * width + u];
            if (pieces->owner[at] != UNSEEN)
                piece_take(&pieces->pieces[pieces->owner[at]], x, y);
        }
}

enum cn_status cn_pieces_find(const struct cn_plane *plane, struct cn_pieces *ret_pieces,
                              struct cn_error *error) {
    enum cn_status status = CN_OK;
    const int samples = plane->width * plane->height;
    const size_t count = (size_t)samples;
    struct cn_pieces pieces = {.width = plane->width, .height = plane->height};
    struct fill fill = {plane, &pieces, malloc(count * sizeof *fill.stack)};
    pieces.owner = malloc(count * sizeof *pieces.owner);
    pieces.pieces = malloc(CN_PIECES_MOST * sizeof *pieces.pieces);
    if (fill.stack == NULL || pieces.owner == NULL || pieces.pieces == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for the pieces of %d x %d samples",
                         plane->width, plane->height);
        goto out;
    }
    memset(pieces.owner, 0xff, count * sizeof *pieces.owner); /* UNSEEN */
    for (int at = 0; at < samples; at++) {
        if (plane->samples[at] < FIRM || pieces.owner[at] != UNSEEN)
            continue;
        if (pieces.count == CN_PIECES_MOST) {
            status = cn_fail(error, CN_LIMIT, "the picture has more than %d pieces of ink",
                             CN_PIECES_MOST);
            goto out;
        }
        const int16_t index = (int16_t)pieces.count;
        const struct cn_piece piece = fill_piece(&fill, at, index);
        if (piece.area < LEAST_AREA)
            forget_piece(&pieces, &piece, index);
        else
            pieces.pieces[pieces.count++] = piece;
    }
    take_edges(&pieces, plane, (int16_t *)(void *)fill.stack);
    *ret_pieces = pieces;
    pieces = (struct cn_pieces){0};
out:
    free(fill.stack);
    cn_pieces_clear(&pieces);
    return status;
}

void cn_pieces_clear(struct cn_pieces *pieces) {
    free(pieces->pieces);
    free(pieces->owner);
    *pieces = (struct cn_pieces){0};
}
