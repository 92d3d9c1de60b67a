/* ruled_lines.c: erases straight lines that run from one side of the picture to the other: ruled
 * and squared paper, folds, the edge of a table. They are found as a Radon transform finds them, by
 * counting ink along each slope and offset, and then followed sample by sample, so that a stroke
 * that crosses one stays. Fixed memory, thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"
#include "image/surface.h"

enum {
    SLOPES = 24,                  /* the ends of a line may differ by this many cells in height */
    SIDE = CN_SURFACE_SIDE_LIMIT, /* samples */
    CELLS = 160,                  /* most cells per side */
    MOST = 64,                    /* most lines to erase */
    THICK_SHARE = 30,             /* a line is at most a thirtieth of the side thick */
    BOX_SHARE = 20,               /* a box's side is at most a twentieth of the side thick */
    SIDE_SHARE = 8                /* a line is along a side within an eighth of the picture */
};

/* The share of a box's sides that must be inked: the least for each side, and the least sum over
 * all four. A round 0 has less. */
static const double half_straight = 0.5, mostly_straight = 3.0;

/* The least share of each side that must be inked if the box may be empty. */
static const double straight = 0.9;

/* One of the two directions of view: sample (along, across) is at samples[along * step + across *
 * stride]. */
struct view {
    uint8_t *samples;
    size_t step, stride;
    int length, breadth;
};

struct line {
    float start, slope; /* across = start + slope * along, in samples */
};

static int min(int a, int b) {
    return a < b ? a : b;
}

/* Which cells have ink, and how much ink lies along each line through them. */
struct cells {
    int cell, columns, rows;
    uint8_t ink[CELLS * CELLS];                         /* 0 or 1 */
    uint8_t shifts[2 * SLOPES + 1][CELLS];              /* [rise][column] */
    uint8_t counts[2 * SLOPES + 1][CELLS + 2 * SLOPES]; /* [rise][start]: the inked columns */
};

/* The rise at `column` of a line that rises by `rise` cells in all. */
static int rise_at(const struct cells *cells, int rise, int column) {
    return rise * column / (cells->columns > 1 ? cells->columns - 1 : 1);
}

/* Inks a cell, or clears it, and counts that on each line through it. */
static void set_ink(struct cells *cells, int column, int row, uint8_t ink) {
    uint8_t *cell = &cells->ink[row * cells->columns + column];
    if (*cell == ink)
        return;
    *cell = ink;
    for (int rise = 0; rise <= 2 * SLOPES; rise++) {
        uint8_t *count = &cells->counts[rise][row + cells->shifts[rise][column]];
        *count = (uint8_t)(ink != 0 ? *count + 1 : *count - 1);
    }
}

static void fill_cells(struct cells *cells, const struct view *view) {
    const int longer = view->length > view->breadth ? view->length : view->breadth;
    cells->cell = (longer + CELLS - 1) / CELLS;
    cells->columns = (view->length + cells->cell - 1) / cells->cell;
    cells->rows = (view->breadth + cells->cell - 1) / cells->cell;
    memset(cells->ink, 0, (size_t)cells->columns * (size_t)cells->rows);
    memset(cells->counts, 0, sizeof cells->counts);
    for (int rise = -SLOPES; rise <= SLOPES; rise++)
        for (int column = 0; column < cells->columns; column++)
            cells->shifts[rise + SLOPES][column] = (uint8_t)(SLOPES - rise_at(cells, rise, column));
    for (int across = 0; across < view->breadth; across++)
        for (int along = 0; along < view->length; along++)
            if (view->samples[(size_t)along * view->step + (size_t)across * view->stride] > 0)
                set_ink(cells, along / cells->cell, across / cells->cell, 1);
}

/* Finds the slope and offset with the most inked columns; returns their number. */
static int find_best(const struct cells *cells, int *ret_rise, int *ret_start) {
    int best = 0;
    for (int rise = 0; rise <= 2 * SLOPES; rise++)
        for (int start = 0; start < CELLS + 2 * SLOPES; start++)
            if (cells->counts[rise][start] > best) {
                best = cells->counts[rise][start];
                *ret_rise = rise - SLOPES;
                *ret_start = start - SLOPES;
            }
    return best;
}

/* Finds the ends of the run of ink across `line` at `along`; false if there is none within a cell.
 */
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

/* The median thickness of a line; 0 if less than `least_length` of it has ink. */
static int find_thickness(const struct view *view, const struct line *line, int cell,
                          double least_length) {
    int counts[SIDE + 1] = {0}, total = 0, below = 0, thickness = 0, first = 0, last = 0;
    for (int along = 0; along < view->length; along++)
        if (find_run(view, line, along, cell, &first, &last)) {
            counts[last - first + 1]++;
            total++;
        }
    if (total < least_length * view->length)
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

static void erase_along(const struct view *view, double least_length, double least_inside) {
    struct cells cells;
    fill_cells(&cells, view);
    for (int i = 0; i < MOST && cells.columns > 1; i++) { /* one cell is no line */
        int rise = 0, start = 0;
        const int length = find_best(&cells, &rise, &start);
        if (length < least_length * cells.columns)
            return;
        const float cell = (float)cells.cell;
        const struct line line = {((float)start + 0.5F) * cell - 0.5F,
                                  (float)rise * cell / (float)view->length};
        /* Cells are longer than the gaps in a line. */
        const int thickness = find_thickness(view, &line, cells.cell, least_length - 0.15);
        const int middle = start + rise / 2, side = min(middle, cells.rows - 1 - middle);
        if (thickness > 0 && thickness * THICK_SHARE <= view->breadth + THICK_SHARE &&
            (length >= least_inside * cells.columns || side * SIDE_SHARE < cells.rows))
            erase(view, &line, cells.cell, thickness);
        /* The line must not be found again, whether it was erased or not. */
        for (int column = 0; column < cells.columns; column++) {
            const int row = start + rise_at(&cells, rise, column);
            for (int v = row - 1; v <= row + 1; v++)
                if (v >= 0 && v < cells.rows)
                    set_ink(&cells, column, v, 0);
        }
    }
}

void cn_ink_erase_lines(struct cn_plane *plane, struct cn_rectangle within, double least_length,
                        double least_inside) {
    const size_t width = (size_t)plane->width;
    uint8_t *samples = plane->samples + (size_t)within.y * width + (size_t)within.x;
    erase_along(&(struct view){samples, 1, width, within.width, within.height}, least_length,
                least_inside);
    erase_along(&(struct view){samples, width, 1, within.height, within.width}, least_length,
                least_inside);
}

/* The line that is seen first from one side of a view. */
struct side {
    int first, last; /* the depth at which it lies */
    double straight; /* the share of the side on which it is seen */
};

/* Looks into the view from the near or the far side for a thin straight line. Strokes across it
 * hide a part. */
static struct side look_from(const struct view *view, bool far) {
    int depths[SIDE], counts[2][SIDE + 1] = {{0}}, medians[2] = {0, 0}, close = 0;
    const int thick = view->breadth / BOX_SHARE + 2, half = view->length / 2;
    for (int along = 0; along < view->length; along++) {
        const uint8_t *samples = view->samples + (size_t)along * view->step;
        int depth = 0, run = 0;
        while (depth + run < view->breadth && run <= thick) {
            const int across = far ? view->breadth - 1 - depth - run : depth + run;
            if (samples[(size_t)across * view->stride] > 0)
                run++;
            else if (run == 0)
                depth++;
            else
                break;
        }
        depths[along] = run > thick ? -1 : depth;
        counts[along >= half][depth]++;
    }
    for (int end = 0; end < 2; end++)
        for (int below = counts[end][0]; below * 2 < half; below += counts[end][medians[end]])
            medians[end]++;
    const double slope = half > 0 ? (medians[1] - medians[0]) / (0.5 * view->length) : 0.0;
    const double start = medians[0] - slope * 0.25 * view->length;
    const double end = start + slope * view->length;
    for (int along = 0; along < view->length; along++)
        close += depths[along] >= 0 &&
                 fabs(depths[along] - start - slope * along) <= 2.0 + 0.01 * view->breadth;
    return (struct side){(int)fmax(fmin(start, end), 0.0), (int)fmax(start, end) + thick,
                         fabs(slope) < 0.2 ? (double)close / view->length : 0.0};
}

/* True if at least a third of the rows inside a box have ink. */
static bool is_drawn_in(const uint8_t *samples, size_t stride, int width, int height) {
    int drawn = 0;
    for (int y = 0; y < height; y++) {
        bool ink = false;
        for (int x = 0; x < width; x++)
            ink |= samples[(size_t)y * stride + (size_t)x] > 0;
        drawn += ink;
    }
    return drawn * 3 > height;
}

bool cn_ink_find_box(const struct cn_plane *plane, struct cn_rectangle around,
                     struct cn_rectangle *ret_box) {
    const size_t stride = (size_t)plane->width;
    uint8_t *samples = plane->samples + (size_t)around.y * stride + (size_t)around.x;
    const struct view rows = {samples, 1, stride, around.width, around.height};
    const struct view columns = {samples, stride, 1, around.height, around.width};
    const struct side top = look_from(&rows, false), bottom = look_from(&rows, true);
    const struct side left = look_from(&columns, false), right = look_from(&columns, true);
    const double sum = top.straight + bottom.straight + left.straight + right.straight;
    const double least =
        fmin(fmin(top.straight, bottom.straight), fmin(left.straight, right.straight));
    const int inner_width = around.width - left.last - right.last;
    const int inner_height = around.height - top.last - bottom.last;
    if (least < half_straight || sum < mostly_straight || inner_width < 1 || inner_height < 1)
        return false;
    *ret_box = (struct cn_rectangle){around.x + left.first, around.y + top.first,
                                     around.width - left.first - right.first,
                                     around.height - top.first - bottom.first};
    return least >= straight || is_drawn_in(samples + (size_t)top.last * stride + (size_t)left.last,
                                            stride, inner_width, inner_height);
}
