/* cells.c: a plane reduced to a coarse grid. A cell's levels come from the means of its parts, so
 * that grain has little effect and a stroke through the cell is still visible. Fixed memory,
 * thread-safe. */
#include <string.h>

#include "image/cells.h"
#include "image/surface.h"

enum {
    PARTS = 3,                 /* parts per side of a cell */
    LIGHT_BORDER_PERCENT = 70, /* surroundings are light if at least this much of the border is */
    DARK_BORDER_PERCENT = 20   /* and dark if at most this much is light: a sheet is usually lighter
                                  than what it lies on */
};

/* A cell's state during the search for the region. */
enum state { UNSEEN, SEEN, OF_SURROUNDINGS, SURROUNDINGS };

/* Computes the means of the samples in each part of a cell, for one row of `columns` parts. */
static void average_parts(const struct cn_plane *plane, int part, int top, int columns,
                          uint32_t *ret_means) {
    uint16_t sums[CN_SURFACE_SIDE_LIMIT] = {0};
    const int bottom = top + part < plane->height ? top + part : plane->height;
    for (int y = top; y < bottom; y++) {
        const uint8_t *row = plane->samples + (size_t)y * (size_t)plane->width;
        for (int x = 0; x < plane->width; x++)
            sums[x] = (uint16_t)(sums[x] + row[x]);
    }
    for (int column = 0, x = 0; column < columns; column++) {
        const int first = x, end = x + part < plane->width ? x + part : plane->width;
        uint32_t sum = 0;
        for (; x < end; x++)
            sum += sums[x];
        ret_means[column] = sum / (uint32_t)((end - first) * (bottom - top));
    }
}

void cn_cells_measure(struct cn_cells *cells, const struct cn_plane *plane) {
    const int longer = plane->width > plane->height ? plane->width : plane->height;
    const int part = (longer + PARTS * CN_CELLS_SIDE - 1) / (PARTS * CN_CELLS_SIDE);
    const int columns = (plane->width + part - 1) / part;
    uint32_t means[PARTS][PARTS * CN_CELLS_SIDE];
    cells->side = PARTS * part;
    cells->columns = (columns + PARTS - 1) / PARTS;
    cells->rows = (plane->height + cells->side - 1) / cells->side;
    for (int row = 0; row < cells->rows; row++) {
        int lines = 0;
        for (int y = row * cells->side; lines < PARTS && y < plane->height; y += part)
            average_parts(plane, part, y, columns, means[lines++]);
        for (int column = 0; column < cells->columns; column++) {
            uint32_t light[2] = {0, 0}, dark[2] = {255, 255};
            for (int v = 0; v < lines; v++)
                for (int u = column * PARTS; u < (column + 1) * PARTS && u < columns; u++) {
                    const uint32_t level = means[v][u];
                    light[1] = level > light[0] ? light[0] : level > light[1] ? level : light[1];
                    light[0] = level > light[0] ? level : light[0];
                    dark[1] = level < dark[0] ? dark[0] : level < dark[1] ? level : dark[1];
                    dark[0] = level < dark[0] ? level : dark[0];
                }
            cells->light[row * cells->columns + column] = (uint8_t)light[lines > 1];
            cells->dark[row * cells->columns + column] = (uint8_t)dark[lines > 1];
        }
    }
}

struct cn_cells_split cn_cells_split(const struct cn_cells *cells, int above) {
    int histogram[256] = {0}, below = 0, count = 0;
    double total = 0.0, sum = 0.0, best = -1.0;
    struct cn_cells_split split = {0, 0.0};
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        if (cells->light[i] <= above)
            continue;
        histogram[cells->light[i]]++;
        total += cells->light[i];
        count++;
    }
    for (int level = 0; level < 255; level++) {
        below += histogram[level];
        sum += (double)histogram[level] * level;
        if (below == 0 || below == count)
            continue;
        const double difference = (total - sum) / (count - below) - sum / below;
        const double between = difference * difference * below * (count - below);
        if (between > best) {
            best = between;
            split = (struct cn_cells_split){level, difference};
        }
    }
    return split;
}

bool cn_cells_on_border(const struct cn_cells *cells, int cell) {
    const int x = cell % cells->columns, y = cell / cells->columns;
    return x == 0 || y == 0 || x == cells->columns - 1 || y == cells->rows - 1;
}

int cn_cells_neighbour(const struct cn_cells *cells, int cell, int direction) {
    const int x = cell % cells->columns, y = cell / cells->columns;
    switch (direction) {
    case 0:
        return x > 0 ? cell - 1 : CN_CELL_NONE;
    case 1:
        return x < cells->columns - 1 ? cell + 1 : CN_CELL_NONE;
    case 2:
        return y > 0 ? cell - cells->columns : CN_CELL_NONE;
    default:
        return y < cells->rows - 1 ? cell + cells->columns : CN_CELL_NONE;
    }
}

/* Flood-fills the cells in state `from`, starting with the `ends` cells in the queue; returns their
 * number. */
static int flood(struct cn_cells *cells, uint8_t *states, enum state from, enum state to,
                 int ends) {
    for (int i = 0; i < ends; i++)
        for (int direction = 0; direction < 4; direction++) {
            const int next = cn_cells_neighbour(cells, cells->queue[i], direction);
            if (next != CN_CELL_NONE && states[next] == from) {
                states[next] = (uint8_t)to;
                cells->queue[ends++] = (int16_t)next;
            }
        }
    return ends;
}

/* Separates the surroundings from the rest. False: the border has both kinds of cells. */
static bool find_surroundings(struct cn_cells *cells, const struct cn_cells_split *split,
                              uint8_t *ret_states) {
    const int count = cells->columns * cells->rows;
    int border = 0, light = 0, ends = 0;
    for (int i = 0; i < count; i++)
        if (cn_cells_on_border(cells, i)) {
            border++;
            light += cells->light[i] > split->threshold;
        }
    const bool are_light = light * 100 >= border * LIGHT_BORDER_PERCENT;
    cells->light_around = are_light;
    if (!are_light && (border - light) * 100 < border * DARK_BORDER_PERCENT)
        return false;
    for (int i = 0; i < count; i++) {
        const bool alike = (cells->light[i] > split->threshold) == are_light;
        ret_states[i] = alike ? OF_SURROUNDINGS : UNSEEN;
        if (alike && cn_cells_on_border(cells, i)) {
            ret_states[i] = SURROUNDINGS;
            cells->queue[ends++] = (int16_t)i;
        }
    }
    (void)flood(cells, ret_states, OF_SURROUNDINGS, SURROUNDINGS, ends);
    for (int i = 0; i < count; i++)
        if (ret_states[i] == OF_SURROUNDINGS) /* a hole in the region */
            ret_states[i] = UNSEEN;
    return true;
}

int cn_cells_find_region(struct cn_cells *cells, const struct cn_cells_split *split) {
    uint8_t states[CN_CELLS_MOST];
    const int count = cells->columns * cells->rows;
    int largest = 0;
    if (!find_surroundings(cells, split, states))
        return 0;
    for (int i = 0; i < count; i++) {
        if (states[i] != UNSEEN)
            continue;
        states[i] = SEEN;
        cells->queue[0] = (int16_t)i;
        const int size = flood(cells, states, UNSEEN, SEEN, 1);
        if (size <= largest)
            continue;
        largest = size;
        memset(cells->in_region, 0, (size_t)count * sizeof *cells->in_region);
        for (int k = 0; k < size; k++)
            cells->in_region[cells->queue[k]] = true;
    }
    return largest;
}
