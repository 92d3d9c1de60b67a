/* sheet.c: separates a sheet from the table on which it lies, by the grid of cells: a sheet is
 * filled, ends sharply along straight edges, and has a drawing; the table is uniform. Fixed memory,
 * thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/cells.h"
#include "image/sheet.h"

enum {
    SMALLEST = 48,         /* samples per side; smaller pictures are drawings */
    FEWEST_CELLS = 16,     /* per side; fewer are not enough */
    LEAST_DIFFERENCE = 36, /* grey levels between sheet and table */
    LEAST_PERCENT = 10,    /* a sheet has at least this share of the picture */
    BLANK_PERCENT = 17,    /* or this, if it is empty, since it could be a thick stroke */
    RIM = 2,               /* cells along an edge that may be blurred */
    ROUGH = 2,             /* cells by which an edge may be rough */
    MOST_ANGLE = 20        /* in degrees; paper lies more or less straight */
};

static const double least_of_box = 0.8; /* a sheet fills this share of its smallest rotated box */
static const double least_figure =
    0.9; /* its largest quadrilateral fills this share of it; of an ellipse it would be 0.64 */
static const double least_step = 0.5;     /* of the difference is crossed at the sheet's edge */
static const double ink_share = 0.25;     /* of the difference; smaller differences are grain */
static const double most_clutter = 0.003; /* of the table's cells may have something on them */

struct sheet {
    struct cn_cells cells;
    struct cn_cells_split split;
    bool light, blank;
    uint8_t depths[CN_CELLS_MOST];    /* steps from the table, RIM + 1 at most; 0 is table */
    uint8_t distances[CN_CELLS_MOST]; /* steps from the sheet */
    int16_t sources[CN_CELLS_MOST];   /* the nearest cell that is empty sheet */
};

/* True if the region ends within a few cells, unlike the lighter half of a gradient. */
static bool is_sharp(const struct cn_cells *cells, const struct cn_cells_split *split) {
    int edges = 0, sum = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++)
        for (int direction = 0; cells->in_region[i] && direction < 4; direction++) {
            const int outer = cn_cells_neighbour(cells, i, direction);
            const int inner = cn_cells_neighbour(cells, i, direction ^ 1);
            if (outer == CN_CELL_NONE || inner == CN_CELL_NONE || cells->in_region[outer])
                continue;
            const int next = cn_cells_neighbour(cells, outer, direction);
            edges++;
            sum += abs(cells->light[inner] - cells->light[next == CN_CELL_NONE ? outer : next]);
        }
    return sum > least_step * split->difference * edges;
}

/* True if a stroke reaches the sheet's edge: it joins the table and cuts into the sheet, with sheet
 * on both sides, in more rows or columns than a rough edge has. */
static bool has_notch(const struct cn_cells *cells) {
    for (int turned = 0; turned < 2; turned++) {
        const int lines = turned ? cells->columns : cells->rows;
        const int length = turned ? cells->rows : cells->columns;
        const int step = turned ? cells->columns : 1, stride = turned ? 1 : cells->columns;
        int depths[CN_CELLS_SIDE] = {0};
        for (int line = 0; line < lines; line++) {
            const bool *in_region = cells->in_region + line * stride;
            int first = 0, last = length - 1;
            while (first < length && !in_region[first * step])
                first++;
            while (last > first && !in_region[last * step])
                last--;
            for (int k = 0; k < length; k++) {
                const bool between = k > first && k < last && !in_region[k * step];
                depths[k] = between ? depths[k] + 1 : 0;
                if (depths[k] > ROUGH)
                    return true;
            }
        }
    }
    return false;
}

/* Puts the region's outermost cells into the queue; returns their number. */
static int find_edge(struct cn_cells *cells) {
    int count = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        bool edge = cn_cells_on_border(cells, i);
        for (int direction = 0; direction < 4 && !edge; direction++)
            edge = !cells->in_region[cn_cells_neighbour(cells, i, direction)];
        if (cells->in_region[i] && edge)
            cells->queue[count++] = (int16_t)i;
    }
    return count;
}

/* Finds the edge's cells that are farthest in four directions: corner i at `angle` + 90 i degrees.
 * Returns the sides of the box around them. */
static void find_corners(const struct cn_cells *cells, int edge, int angle,
                         double ret_corners[4][2], double ret_sides[2]) {
    const double c = cos(angle * 3.14159265358979 / 180), s = sin(angle * 3.14159265358979 / 180);
    double farthest[4] = {-1e9, -1e9, -1e9, -1e9};
    for (int i = 0; i < edge; i++) {
        const double x = cells->queue[i] % cells->columns, y = cells->queue[i] / cells->columns;
        const double u = c * x + s * y, v = c * y - s * x, along[4] = {u, v, -u, -v};
        for (int corner = 0; corner < 4; corner++)
            if (along[corner] > farthest[corner]) {
                farthest[corner] = along[corner];
                ret_corners[corner][0] = x;
                ret_corners[corner][1] = y;
            }
    }
    ret_sides[0] = farthest[0] + farthest[2] + 1.0;
    ret_sides[1] = farthest[1] + farthest[3] + 1.0;
}

/* True if a region of `size` cells has four corners and straight sides: it fills its smallest
 * rotated box, and the largest quadrilateral with corners on its edge fills it. */
static bool is_four_cornered(struct cn_cells *cells, int size) {
    const int edge = find_edge(cells);
    double box = 1e9, figure = 0.0;
    for (int angle = 0; angle < 90; angle += 3) {
        double corners[4][2], sides[2], twice = 0.0;
        find_corners(cells, edge, angle, corners, sides);
        for (int i = 0, next = 1; i < 4; i++, next = (next + 1) % 4)
            twice += corners[i][0] * corners[next][1] - corners[next][0] * corners[i][1];
        /* Pick's theorem gives the number of cells, since the corners are centres of cells. */
        figure = fmax(figure, (fabs(twice) + edge) / 2.0 + 1.0);
        if (angle <= MOST_ANGLE || angle >= 90 - MOST_ANGLE)
            box = fmin(box, sides[0] * sides[1]);
    }
    return size > least_of_box * box && figure > least_figure * size;
}

/* Counts the steps from the cells in the region or, without `from_region`, from the others. */
static void count_steps(const struct cn_cells *cells, bool from_region, uint8_t *ret_steps) {
    const int count = cells->columns * cells->rows;
    for (int i = 0; i < count; i++)
        ret_steps[i] = cells->in_region[i] == from_region ? 0 : RIM + 1;
    for (uint8_t steps = 1; steps <= RIM; steps++)
        for (int i = 0; i < count; i++)
            for (int direction = 0; direction < 4 && ret_steps[i] > steps; direction++) {
                const int next = cn_cells_neighbour(cells, i, direction);
                if (next != CN_CELL_NONE && ret_steps[next] == steps - 1)
                    ret_steps[i] = steps;
            }
}

/* True if a cell inside the sheet has ink. */
static bool is_drawn(const struct sheet *sheet, int cell) {
    const struct cn_cells *cells = &sheet->cells;
    return cells->light[cell] - cells->dark[cell] > ink_share * sheet->split.difference ||
           (cells->light[cell] > sheet->split.threshold) != sheet->light;
}

/* Measures the sheet without its rim. True if it is mostly page and not a small blank one. */
static bool find_page(struct sheet *sheet) {
    const int count = sheet->cells.columns * sheet->cells.rows;
    int inside = 0, light = 0, drawn = 0;
    for (int i = 0; i < count; i++) {
        inside += sheet->depths[i] > RIM;
        light += sheet->depths[i] > RIM && sheet->cells.light[i] > sheet->split.threshold;
    }
    /* Inside a ring the level is that of its surroundings. */
    sheet->light = light * 2 > inside;
    if (sheet->light == sheet->cells.light_around)
        return false;
    for (int i = 0; i < count; i++)
        drawn += sheet->depths[i] > RIM && is_drawn(sheet, i);
    sheet->blank = drawn < 2;
    return sheet->blank ? inside * 100 >= count * BLANK_PERCENT : drawn * 2 < inside;
}

/* Ink is at most half as bright as its page, in light and in shadow. On a blank sheet every
 * difference could be ink. */
static bool is_ink(const struct sheet *sheet, int dark, int light) {
    return (sheet->blank || dark * 2 < light) && light - dark > ink_share * sheet->split.difference;
}

/* True if nothing is drawn on the table; otherwise it is a page in the shadow. */
static bool is_plain(const struct sheet *sheet) {
    const struct cn_cells *cells = &sheet->cells;
    int table = 0, clutter = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        if (sheet->distances[i] <= RIM)
            continue;
        bool ink = is_ink(sheet, cells->dark[i], cells->light[i]);
        for (int direction = 0; direction < 4 && !ink; direction++) {
            const int next = cn_cells_neighbour(cells, i, direction);
            ink = next != CN_CELL_NONE && sheet->distances[next] > RIM &&
                  is_ink(sheet, cells->light[i], cells->light[next]);
        }
        table++;
        clutter += ink;
    }
    return clutter <= 1 + most_clutter * table;
}

/* Finds the nearest cell of empty sheet for every cell. False: there is none. */
static bool find_sources(struct sheet *sheet) {
    struct cn_cells *cells = &sheet->cells;
    int ends = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        const bool page = sheet->depths[i] > RIM && !is_drawn(sheet, i);
        sheet->sources[i] = page ? (int16_t)i : CN_CELL_NONE;
        if (page)
            cells->queue[ends++] = (int16_t)i;
    }
    for (int i = 0; i < ends; i++)
        for (int direction = 0; direction < 4; direction++) {
            const int next = cn_cells_neighbour(cells, cells->queue[i], direction);
            if (next != CN_CELL_NONE && sheet->sources[next] == CN_CELL_NONE) {
                sheet->sources[next] = sheet->sources[cells->queue[i]];
                cells->queue[ends++] = (int16_t)next;
            }
        }
    return ends > 0;
}

/* Looks for a sheet by sheet->split. */
static bool find_sheet(struct sheet *sheet) {
    struct cn_cells *cells = &sheet->cells;
    const int count = cells->columns * cells->rows;
    if (sheet->split.difference < LEAST_DIFFERENCE)
        return false;
    const int size = cn_cells_find_region(cells, &sheet->split);
    if (size * 100 < count * LEAST_PERCENT || size == count || !is_sharp(cells, &sheet->split) ||
        has_notch(cells) || !is_four_cornered(cells, size))
        return false;
    count_steps(cells, false, sheet->depths);
    count_steps(cells, true, sheet->distances);
    return find_page(sheet) && is_plain(sheet) && find_sources(sheet);
}

/* Copies a cell's source over it. */
static void paper_over(const struct sheet *sheet, struct cn_plane *plane, int cell) {
    const int side = sheet->cells.side, columns = sheet->cells.columns;
    const int from = sheet->sources[cell], x = cell % columns * side, y = cell / columns * side;
    const int from_x = from % columns * side, from_y = from / columns * side;
    for (int v = 0; v < side && y + v < plane->height; v++) {
        const int row = from_y + v < plane->height ? from_y + v : from_y;
        for (int u = 0; u < side && x + u < plane->width; u++) {
            const int column = from_x + u < plane->width ? from_x + u : from_x;
            plane->samples[(size_t)(y + v) * (size_t)plane->width + (size_t)(x + u)] =
                plane->samples[(size_t)row * (size_t)plane->width + (size_t)column];
        }
    }
}

static struct cn_rectangle find_bounds(const struct cn_cells *cells, const struct cn_plane *plane) {
    int left = cells->columns, right = 0, top = cells->rows, bottom = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        if (!cells->in_region[i])
            continue;
        const int x = i % cells->columns, y = i / cells->columns;
        left = x < left ? x : left;
        right = x > right ? x : right;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
    }
    const int end_x = (right + 1) * cells->side, end_y = (bottom + 1) * cells->side;
    const int x = left * cells->side, y = top * cells->side;
    return (struct cn_rectangle){x, y, (end_x < plane->width ? end_x : plane->width) - x,
                                 (end_y < plane->height ? end_y : plane->height) - y};
}

static void crop(struct cn_plane *plane, struct cn_rectangle to) {
    for (int y = 0; y < to.height; y++)
        memmove(plane->samples + (size_t)y * (size_t)to.width,
                plane->samples + (size_t)(to.y + y) * (size_t)plane->width + (size_t)to.x,
                (size_t)to.width);
    plane->width = to.width;
    plane->height = to.height;
}

bool cn_sheet_isolate(struct cn_plane *plane, struct cn_rectangle *ret_sheet) {
    struct sheet sheet;
    struct cn_cells *cells = &sheet.cells;
    if (plane->width < SMALLEST || plane->height < SMALLEST)
        return false;
    cn_cells_measure(cells, plane);
    if (cells->columns < FEWEST_CELLS || cells->rows < FEWEST_CELLS)
        return false;
    sheet.split = cn_cells_split(cells, CN_CELL_NONE);
    if (!find_sheet(&sheet)) {
        /* Black ink may differ more from white paper than a grey table does. */
        sheet.split = cn_cells_split(cells, sheet.split.threshold);
        if (!find_sheet(&sheet))
            return false;
    }
    for (int i = 0; i < cells->columns * cells->rows; i++)
        if (sheet.depths[i] <= RIM)
            paper_over(&sheet, plane, i);
    *ret_sheet = find_bounds(cells, plane);
    crop(plane, *ret_sheet);
    return true;
}
