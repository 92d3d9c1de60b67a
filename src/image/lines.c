/* lines.c: erases straight lines that run from one side of the picture to the other: ruled and
 * squared paper, folds, the edge of a table. They are found as a Radon transform finds them, by
 * counting ink along each slope and offset, and followed sample by sample, so that a stroke that
 * crosses one stays. Fixed memory, thread-safe.
 */
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"
#include "image/surface.h"

enum {
    SLOPES = 24,                  /* an end may lie this many cells above or below the other */
    SIDE = CN_SURFACE_SIDE_LIMIT, /* samples */
    CELLS = 160,                  /* cells a side at most */
    MOST = 64,                    /* lines to erase */
    THICK_SHARE = 30              /* a thirtieth of the side is too thick for a line */
};

/* One of the two directions to look along: sample (along, across) is at samples[along * step +
 * across * stride]. */
struct view {
    uint8_t *samples;
    size_t step, stride;
    int length, breadth;
};

struct line {
    float start, slope; /* across = start + slope * along, in samples */
};

/* One bit a cell: is there ink? */
struct cells {
    int cell, columns, rows;
    uint8_t ink[CELLS * CELLS];
};

static void fill_cells(struct cells *cells, const struct view *view) {
    const int longer = view->length > view->breadth ? view->length : view->breadth;
    cells->cell = (longer + CELLS - 1) / CELLS;
    cells->columns = (view->length + cells->cell - 1) / cells->cell;
    cells->rows = (view->breadth + cells->cell - 1) / cells->cell;
    memset(cells->ink, 0, (size_t)cells->columns * (size_t)cells->rows);
    for (int across = 0; across < view->breadth; across++)
        for (int along = 0; along < view->length; along++)
            if (view->samples[(size_t)along * view->step + (size_t)across * view->stride] > 0)
                cells->ink[along / cells->cell + across / cells->cell * cells->columns] = 1;
}

/* How far a line that rises by `rise` cells has risen at `column`. */
static int rise_at(const struct cells *cells, int rise, int column) {
    return rise * column / (cells->columns > 1 ? cells->columns - 1 : 1);
}

/* The slope and offset with the most columns inked; their number. */
static int find_best(const struct cells *cells, int *ret_rise, int *ret_start) {
    uint8_t columns[CELLS * CELLS], rows[CELLS * CELLS]; /* of the inked cells, which are few */
    int inked = 0, best = 0;
    for (int row = 0; row < cells->rows; row++)
        for (int column = 0; column < cells->columns; column++)
            if (cells->ink[row * cells->columns + column] != 0) {
                columns[inked] = (uint8_t)column;
                rows[inked++] = (uint8_t)row;
            }
    for (int rise = -SLOPES; rise <= SLOPES; rise++) {
        int counts[CELLS + 2 * SLOPES + 1] = {0}, shifts[CELLS];
        for (int column = 0; column < cells->columns; column++)
            shifts[column] = SLOPES - rise_at(cells, rise, column);
        for (int i = 0; i < inked; i++)
            counts[rows[i] + shifts[columns[i]]]++;
        for (int i = 0; i < CELLS + 2 * SLOPES + 1; i++)
            if (counts[i] > best) {
                best = counts[i];
                *ret_rise = rise;
                *ret_start = i - SLOPES;
            }
    }
    return best;
}

/* The run of ink across `line` at `along`: its ends, or false if none is within a cell of it. */
static bool find_run(const struct view *view, const struct line *line, int along, int cell,
                     int *ret_first, int *ret_last) {
    const uint8_t *samples = view->samples + (size_t)along * view->step;
    const int middle = (int)(line->start + line->slope * (float)along + 0.5F);
    int at = -1;
    for (int off = 0; off <= cell + 1 && at < 0; off++) {
        if (middle - off >= 0 && middle - off < view->breadth &&
            samples[(size_t)(middle - off) * view->stride] > 0)
            at = middle - off;
        else if (middle + off < view->breadth && middle + off >= 0 &&
                 samples[(size_t)(middle + off) * view->stride] > 0)
            at = middle + off;
    }
    if (at < 0)
        return false;
    int first = at, last = at;
    while (first > 0 && samples[(size_t)(first - 1) * view->stride] > 0)
        first--;
    while (last + 1 < view->breadth && samples[(size_t)(last + 1) * view->stride] > 0)
        last++;
    *ret_first = first;
    *ret_last = last;
    return true;
}

/* Median length of the runs across a line; 0 if most of it is missing. */
static int find_thickness(const struct view *view, const struct line *line, int cell) {
    int counts[SIDE + 1] = {0}, total = 0, below = 0, thickness = 0, first = 0, last = 0;
    for (int along = 0; along < view->length; along++)
        if (find_run(view, line, along, cell, &first, &last)) {
            counts[last - first + 1]++;
            total++;
        }
    if (total * 4 < view->length * 3)
        return 0;
    while ((below + counts[thickness]) * 2 <= total)
        below += counts[thickness++];
    return thickness;
}

static void erase(const struct view *view, const struct line *line, int cell, int thickness) {
    int first = 0, last = 0;
    for (int along = 0; along < view->length; along++) {
        if (!find_run(view, line, along, cell, &first, &last) ||
            last - first + 1 > thickness + thickness / 2 + 2)
            continue;
        for (int across = first; across <= last; across++)
            view->samples[(size_t)along * view->step + (size_t)across * view->stride] = 0;
    }
}

static void erase_along(const struct view *view) {
    struct cells cells;
    fill_cells(&cells, view);
    for (int i = 0; i < MOST; i++) {
        int rise = 0, start = 0;
        if (find_best(&cells, &rise, &start) * 10 < cells.columns * 9)
            return;
        const float cell = (float)cells.cell;
        const struct line line = {((float)start + 0.5F) * cell - 0.5F,
                                  (float)rise * cell / (float)view->length};
        const int thickness = find_thickness(view, &line, cells.cell);
        if (thickness > 0 && thickness * THICK_SHARE <= view->breadth + THICK_SHARE)
            erase(view, &line, cells.cell, thickness);
        /* Not to be found again, erased or not. */
        for (int column = 0; column < cells.columns; column++) {
            const int row = start + rise_at(&cells, rise, column);
            for (int v = row - 1; v <= row + 1; v++)
                if (v >= 0 && v < cells.rows)
                    cells.ink[v * cells.columns + column] = 0;
        }
    }
}

void cn_ink_erase_lines(struct cn_plane *plane) {
    const size_t width = (size_t)plane->width;
    erase_along(&(struct view){plane->samples, 1, width, plane->width, plane->height});
    erase_along(&(struct view){plane->samples, width, 1, plane->height, plane->width});
}
