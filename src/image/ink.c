/* ink.c: finds the drawing in a plane of ink. Pieces are told apart on a grid of cells, so that a
 * stroke which is broken by grain is still one. Works in place and in fixed memory whatever the
 * plane's size. Thread-safe.
 */
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"

enum {
    GRID = 80,        /* cells a side at most */
    PIECES = 1600,    /* as many as the grid can hold */
    SPECK_SHARE = 25, /* a piece with less than 1/25 of the drawing's ink is a speck */
    EDGE_SHARE = 12,  /* a twelfth of the side along the border is its edge */
    LEAST_PEAK = 90,  /* of 255: fainter pieces are smudges */
    LINED = 64        /* samples a side of a picture that may show ruled paper */
};

struct piece {
    uint64_t ink, edge_ink; /* squared, so that faint ink counts little; of it along the border */
    uint8_t left, top, right, bottom; /* cells */
    uint8_t peak;
    bool kept;
};

/* The plane in cells. */
struct grid {
    int cell, columns, rows;
    uint32_t ink[GRID * GRID];
    uint8_t peak[GRID * GRID];
    uint16_t marks[GRID * GRID]; /* the cell's piece, 0: none */
    uint16_t stack[GRID * GRID];
    int piece_count;
    struct piece pieces[PIECES + 1];
};

/* Most of a plane is page: eight samples of it at a time. */
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

/* Marks the cells connected with `start` (8 neighbours) and sums them up. */
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

/* From side to side? Then it may be ruled paper, or a stroke on it. */
static bool has_line(const struct grid *grid) {
    for (int i = 1; i <= grid->piece_count; i++) {
        const struct piece *piece = &grid->pieces[i];
        if (spans(piece->left, piece->right, grid->columns) ||
            spans(piece->top, piece->bottom, grid->rows))
            return true;
    }
    return false;
}

/* The paper's edge, or a frame around it? */
static bool is_on_edge(const struct piece *piece) {
    return piece->edge_ink * 5 > piece->ink * 4;
}

/* What a piece says for itself as the drawing: its ink, unless it is the paper's edge or faint. */
static double merit(const struct piece *piece) {
    return (double)piece->ink * (is_on_edge(piece) ? 0.002 : 1.0) *
           (piece->peak < LEAST_PEAK ? 0.02 : 1.0);
}

static int gap(int first, int last, int other_first, int other_last) {
    return other_first > last ? other_first - last : first > other_last ? first - other_last : 0;
}

/* Marks the pieces of the drawing: the best one, and those near it that are no specks beside it. */
static bool choose_pieces(struct grid *grid) {
    const struct piece *best = NULL;
    for (int i = 1; i <= grid->piece_count; i++)
        if (best == NULL || merit(&grid->pieces[i]) > merit(best))
            best = &grid->pieces[i];
    if (best == NULL)
        return false;
    const int width = best->right - best->left + 1, height = best->bottom - best->top + 1;
    const int reach = (width > height ? width : height) * 6 / 10 + 1;
    for (int i = 1; i <= grid->piece_count; i++) {
        struct piece *piece = &grid->pieces[i];
        piece->kept =
            piece == best || (!is_on_edge(piece) && merit(piece) * SPECK_SHARE >= merit(best) &&
                              gap(best->left, best->right, piece->left, piece->right) <= reach &&
                              gap(best->top, best->bottom, piece->top, piece->bottom) <= reach);
    }
    return true;
}

/* Clears the rest and measures what is kept. */
static void keep_chosen(const struct grid *grid, struct cn_plane *plane,
                        struct cn_rectangle *ret_bounds) {
    int left = plane->width, right = -1, top = -1, bottom = -1;
    for (int y = 0; y < plane->height; y++) {
        uint8_t *row = plane->samples + (size_t)y * (size_t)plane->width;
        const uint16_t *marks = grid->marks + y / grid->cell * grid->columns;
        int first = plane->width, last = -1;
        for (int column = 0, x = 0; column < grid->columns; column++) {
            const int end = x + grid->cell < plane->width ? x + grid->cell : plane->width;
            if (marks[column] != 0 && grid->pieces[marks[column]].kept) {
                for (; x < end; x++)
                    if (row[x] > 0) {
                        first = x < first ? x : first;
                        last = x;
                    }
            } else {
                memset(row + x, 0, (size_t)(end - x));
                x = end;
            }
        }
        if (last < 0)
            continue;
        left = first < left ? first : left;
        right = last > right ? last : right;
        top = top < 0 ? y : top;
        bottom = y;
    }
    *ret_bounds = (struct cn_rectangle){left, top, right - left + 1, bottom - top + 1};
}

bool cn_ink_find_drawing(struct cn_plane *plane, struct cn_rectangle *ret_bounds) {
    struct grid grid;
    find_pieces(&grid, plane);
    if (has_line(&grid) && plane->width >= LINED && plane->height >= LINED) {
        cn_ink_erase_lines(plane);
        find_pieces(&grid, plane);
    }
    if (!choose_pieces(&grid))
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
