/* ink.c: finds the drawing in a plane of ink. It separates pieces on a grid of cells, so that a
 * stroke which is broken by grain is still one piece. Works in place and in fixed memory whatever
 * the plane's size. Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"

enum {
    GRID = 80,        /* most cells per side */
    PIECES = 1600,    /* the most pieces that the grid can hold */
    SPECK_SHARE = 25, /* a piece with less than 1/25 of the drawing's ink is a speck */
    FRAMED_SHARE = 4, /* the content of a frame has at least a quarter of the frame's height */
    EDGE_SHARE = 12,  /* the edge is a twelfth of the side along the border */
    LEAST_PEAK = 90,  /* of 255: fainter pieces are smudges */
    LINED = 64        /* samples per side from which a picture may show ruled paper */
};

/* The share of its length that must be inked for a line to count as: a ruling, a ruling on a
 * crooked sheet, a box's side, a line between two boxes. Strokes may cross the rest. */
static const double ruling = 0.9, askew = 0.7, box_side = 0.75, box_wall = 0.95;

struct piece {
    uint64_t ink, edge_ink; /* sums of squares, so that faint ink has little weight; edge_ink: of
                               the samples along the border */
    uint8_t left, top, right, bottom; /* in cells */
    uint8_t peak;
    bool kept;
};

/* The plane reduced to cells. */
struct grid {
    int cell, columns, rows;
    uint32_t ink[GRID * GRID];
    uint8_t peak[GRID * GRID];
    uint16_t marks[GRID * GRID]; /* the number of the cell's piece; 0: none */
    uint16_t stack[GRID * GRID];
    int piece_count;
    struct piece pieces[PIECES + 1];
};

/* Most of a plane is page, so eight samples are tested at once. */
static void fill_row(struct grid *grid, const struct cn_plane *plane, int y) {
    const uint8_t *row = plane->samples + (size_t)y * (size_t)plane->width;
    const int first = y / grid->cell * grid->columns;
    for (int x = 0; x < plane->width;) {
        uint64_t eight = 1;
        if (x + 8 <= plane->width)
            memcpy(&eight, row + x, sizeof eight);
        if (eight == 0) {
            x += 8;
            continue;
        }
        const int end = x + 8 < plane->width ? x + 8 : plane->width;
        for (; x < end; x++) {
            const int cell = first + x / grid->cell;
            grid->ink[cell] += (uint32_t)(row[x] * row[x]);
            grid->peak[cell] = row[x] > grid->peak[cell] ? row[x] : grid->peak[cell];
        }
    }
}

static void fill_grid(struct grid *grid, const struct cn_plane *plane) {
    const int longer = plane->width > plane->height ? plane->width : plane->height;
    const int cell = (longer + GRID - 1) / GRID;
    grid->cell = cell;
    grid->columns = (plane->width + cell - 1) / cell;
    grid->rows = (plane->height + cell - 1) / cell;
    grid->piece_count = 0;
    const size_t count = (size_t)grid->columns * (size_t)grid->rows;
    memset(grid->ink, 0, count * sizeof grid->ink[0]);
    memset(grid->peak, 0, count * sizeof grid->peak[0]);
    memset(grid->marks, 0, count * sizeof grid->marks[0]);
    for (int y = 0; y < plane->height; y++)
        fill_row(grid, plane, y);
}

static bool is_edge(const struct grid *grid, int column, int row) {
    return column * EDGE_SHARE < grid->columns || row * EDGE_SHARE < grid->rows ||
           (grid->columns - 1 - column) * EDGE_SHARE < grid->columns ||
           (grid->rows - 1 - row) * EDGE_SHARE < grid->rows;
}

/* Marks the cells connected with `start` (8 neighbours) and sums up their ink. */
static void mark_piece(struct grid *grid, int start, uint16_t mark) {
    int left = grid->columns, top = grid->rows, right = 0, bottom = 0, depth = 0;
    struct piece piece = {0};
    grid->stack[depth++] = (uint16_t)start;
    grid->marks[start] = mark;
    while (depth > 0) {
        const int cell = grid->stack[--depth];
        const int x = cell % grid->columns, y = cell / grid->columns;
        piece.ink += grid->ink[cell];
        piece.edge_ink += is_edge(grid, x, y) ? grid->ink[cell] : 0;
        piece.peak = grid->peak[cell] > piece.peak ? grid->peak[cell] : piece.peak;
        left = x < left ? x : left;
        right = x > right ? x : right;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < grid->rows; v++) {
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < grid->columns; u++) {
                const int next = v * grid->columns + u;
                if (grid->ink[next] > 0 && grid->marks[next] == 0) {
                    grid->marks[next] = mark;
                    grid->stack[depth++] = (uint16_t)next;
                }
            }
        }
    }
    piece.left = (uint8_t)left;
    piece.top = (uint8_t)top;
    piece.right = (uint8_t)right;
    piece.bottom = (uint8_t)bottom;
    grid->pieces[mark] = piece;
}

static void find_pieces(struct grid *grid, const struct cn_plane *plane) {
    fill_grid(grid, plane);
    for (int cell = 0; cell < grid->columns * grid->rows; cell++)
        if (grid->ink[cell] > 0 && grid->marks[cell] == 0 && grid->piece_count < PIECES)
            mark_piece(grid, cell, (uint16_t)++grid->piece_count);
}

static bool spans(int first, int last, int count) {
    return first * 50 <= count && (count - 1 - last) * 50 <= count;
}

/* True if a line runs from side to side: ruled paper, or a stroke on it. A single line from top to
 * bottom on an empty page is a 1 and does not count. */
static bool has_line(const struct grid *grid) {
    uint64_t ink = 0;
    for (int i = 1; i <= grid->piece_count; i++)
        ink += grid->pieces[i].ink;
    for (int i = 1; i <= grid->piece_count; i++) {
        const struct piece *piece = &grid->pieces[i];
        const bool alone = piece->ink * SPECK_SHARE > ink * (SPECK_SHARE - 1);
        if (spans(piece->left, piece->right, grid->columns) ||
            (spans(piece->top, piece->bottom, grid->rows) && !alone))
            return true;
    }
    return false;
}

/* True for the paper's edge or a frame around it. */
static bool is_on_edge(const struct piece *piece) {
    return piece->edge_ink * 5 > piece->ink * 4;
}

/* The score of a piece as the drawing: its ink, or 0 for the paper's edge and faint pieces.
 */
static double piece_score(const struct piece *piece) {
    return (double)piece->ink * (is_on_edge(piece) ? 0.002 : 1.0) *
           (piece->peak < LEAST_PEAK ? 0.02 : 1.0);
}

static int gap(int first, int last, int other_first, int other_last) {
    return other_first > last ? other_first - last : first > other_last ? first - other_last : 0;
}

/* True if there is ink of the piece `mark` from cell (x, y) in steps of (dx, dy). */
static bool has_ink_towards(const struct grid *grid, int x, int y, int dx, int dy, uint16_t mark) {
    for (; x >= 0 && x < grid->columns && y >= 0 && y < grid->rows; x += dx, y += dy)
        if (grid->marks[y * grid->columns + x] == mark)
            return true;
    return false;
}

/* True if `outer` is a frame around `inner`, such as a form's box or a circle. A speck inside a
 * loop does not make the loop a frame. */
static bool is_frame(const struct grid *grid, const struct piece *outer,
                     const struct piece *inner) {
    const uint16_t mark = (uint16_t)(outer - grid->pieces);
    const int x = (inner->left + inner->right) / 2, y = (inner->top + inner->bottom) / 2;
    return outer->left < inner->left && outer->right > inner->right && outer->top < inner->top &&
           outer->bottom > inner->bottom && inner->peak >= LEAST_PEAK &&
           (inner->bottom - inner->top + 1) * FRAMED_SHARE > outer->bottom - outer->top &&
           inner->ink * SPECK_SHARE >= outer->ink &&
           has_ink_towards(grid, inner->left, y, -1, 0, mark) &&
           has_ink_towards(grid, inner->right, y, 1, 0, mark) &&
           has_ink_towards(grid, x, inner->top, 0, -1, mark) &&
           has_ink_towards(grid, x, inner->bottom, 0, 1, mark);
}

/* The best piece, or the best one inside `frame` if that is a frame. NULL: none. */
static const struct piece *find_best(const struct grid *grid, const struct piece *frame) {
    const struct piece *best = NULL;
    for (int i = 1; i <= grid->piece_count; i++) {
        const struct piece *piece = &grid->pieces[i];
        if ((frame == NULL || is_frame(grid, frame, piece)) &&
            (best == NULL || piece_score(piece) > piece_score(best)))
            best = piece;
    }
    return best;
}

/* True if the piece may be another digit beside the drawing: as tall as a digit and, if it was kept
 * as a part of the drawing, clearly to the left or right of it. */
static bool is_other(const struct piece *piece, const struct piece *best) {
    const int height = best->bottom - best->top + 1, own = piece->bottom - piece->top + 1;
    const int apart = gap(best->left, best->right, piece->left, piece->right);
    if (piece == best || is_on_edge(piece) || piece->peak < LEAST_PEAK ||
        piece->ink * SPECK_SHARE < best->ink)
        return false;
    return piece->kept ? own * 10 >= height * 7 && apart * 6 > height : own * 2 >= height;
}

static int count_others(const struct grid *grid, const struct piece *best,
                        const struct piece *frame) {
    int others = 0;
    for (int i = 1; i <= grid->piece_count; i++)
        others += &grid->pieces[i] != frame && is_other(&grid->pieces[i], best);
    return others;
}

/* Marks the pieces of the drawing: the best one, and those near it that are large enough beside it.
 * The content of a frame is preferred to the frame and to what is outside. Counts the pieces that
 * may be other digits. */
static bool choose_pieces(struct grid *grid, int *ret_others) {
    const struct piece *best = find_best(grid, NULL), *frame = NULL;
    if (best == NULL)
        return false;
    for (const struct piece *inner = find_best(grid, best); inner != NULL;
         inner = find_best(grid, best)) {
        frame = best;
        best = inner;
    }
    for (int i = 1; frame == NULL && i <= grid->piece_count; i++)
        if (is_frame(grid, &grid->pieces[i], best))
            frame = &grid->pieces[i];
    const int width = best->right - best->left + 1, height = best->bottom - best->top + 1;
    const int reach = (width > height ? width : height) * 6 / 10 + 1;
    for (int i = 1; i <= grid->piece_count; i++) {
        struct piece *piece = &grid->pieces[i];
        const bool outside =
            frame != NULL &&
            (piece == frame || piece->left < frame->left || piece->right > frame->right ||
             piece->top < frame->top || piece->bottom > frame->bottom);
        piece->kept =
            piece == best || (!outside && !is_on_edge(piece) &&
                              piece_score(piece) * SPECK_SHARE >= piece_score(best) &&
                              gap(best->left, best->right, piece->left, piece->right) <= reach &&
                              gap(best->top, best->bottom, piece->top, piece->bottom) <= reach);
    }
    *ret_others = count_others(grid, best, frame);
    return true;
}

/* The samples of a rectangle, including its edges. */
struct extent {
    int left, top, right, bottom;
};

static void extend(struct extent *extent, int x, int y) {
    extent->left = x < extent->left ? x : extent->left;
    extent->right = x > extent->right ? x : extent->right;
    extent->top = y < extent->top ? y : extent->top;
    extent->bottom = y;
}

static int max(int a, int b) {
    return a > b ? a : b;
}

/* Cuts `all` to the strong ink plus one cell on each side where it reaches far beyond, as the
 * remains of a shadow's edge or a ruling do. */
static void cut_weak(struct extent *all, const struct extent *strong, int cell) {
    const int width = strong->right - strong->left + 1, height = strong->bottom - strong->top + 1;
    const int far = cell + max(width, height) / 8;
    if (strong->left - all->left > far)
        all->left = strong->left - cell;
    if (strong->top - all->top > far)
        all->top = strong->top - cell;
    if (all->right - strong->right > far)
        all->right = strong->right + cell;
    if (all->bottom - strong->bottom > far)
        all->bottom = strong->bottom + cell;
}

/* Clears all other ink and measures what is kept. */
static void keep_chosen(const struct grid *grid, struct cn_plane *plane,
                        struct cn_rectangle *ret_bounds) {
    struct extent all = {plane->width, plane->height, -1, -1}, strong = all;
    for (int y = 0; y < plane->height; y++) {
        uint8_t *row = plane->samples + (size_t)y * (size_t)plane->width;
        const uint16_t *marks = grid->marks + y / grid->cell * grid->columns;
        for (int column = 0, x = 0; column < grid->columns; column++) {
            const int end = x + grid->cell < plane->width ? x + grid->cell : plane->width;
            if (marks[column] == 0 || !grid->pieces[marks[column]].kept) {
                memset(row + x, 0, (size_t)(end - x));
                x = end;
            }
            for (; x < end; x++) {
                if (row[x] > 0)
                    extend(&all, x, y);
                if (row[x] >= LEAST_PEAK)
                    extend(&strong, x, y);
            }
        }
    }
    if (strong.bottom >= 0)
        cut_weak(&all, &strong, grid->cell);
    *ret_bounds = (struct cn_rectangle){all.left, all.top, all.right - all.left + 1,
                                        all.bottom - all.top + 1};
}

static struct cn_rectangle bounds_of(const struct grid *grid, const struct piece *piece,
                                     const struct cn_plane *plane) {
    const int x = piece->left * grid->cell, y = piece->top * grid->cell;
    const int right = (piece->right + 1) * grid->cell, bottom = (piece->bottom + 1) * grid->cell;
    return (struct cn_rectangle){x, y, (right < plane->width ? right : plane->width) - x,
                                 (bottom < plane->height ? bottom : plane->height) - y};
}

bool cn_ink_find_drawing(struct cn_plane *plane, bool on_sheet, struct cn_rectangle *ret_bounds,
                         int *ret_others) {
    struct grid grid;
    find_pieces(&grid, plane);
    if ((has_line(&grid) || on_sheet) && plane->width >= LINED && plane->height >= LINED) {
        cn_ink_erase_lines(plane, (struct cn_rectangle){0, 0, plane->width, plane->height},
                           on_sheet ? askew : ruling, on_sheet ? askew : ruling);
        find_pieces(&grid, plane);
    }
    const struct piece *best = find_best(&grid, NULL);
    struct cn_rectangle box;
    if (best != NULL && cn_ink_find_box(plane, bounds_of(&grid, best, plane), &box)) {
        cn_ink_erase_lines(plane, box, box_side, box_wall);
        find_pieces(&grid, plane);
    }
    if (!choose_pieces(&grid, ret_others))
        return false;
    keep_chosen(&grid, plane, ret_bounds);
    return true;
}

bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y) {
    double mass = 0.0, sum_x = 0.0, sum_y = 0.0;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const double value = values[(size_t)y * (size_t)width + (size_t)x];
            mass += value;
            sum_x += value * x;
            sum_y += value * y;
        }
    }
    if (!(mass > 0.0))
        return false;
    *ret_x = sum_x / mass;
    *ret_y = sum_y / mass;
    return true;
}
