/* cells.h: a plane seen from afar, as a grid of cells, and the region on it that its surroundings
 * leave. */
#ifndef CONVNET_IMAGE_CELLS_H
#define CONVNET_IMAGE_CELLS_H

#include "image/plane.h"

enum {
    CN_CELLS_SIDE = 64, /* cells a side at most */
    CN_CELLS_MOST = CN_CELLS_SIDE * CN_CELLS_SIDE,
    CN_CELL_NONE = -1
};

struct cn_cells {
    int side, columns, rows;       /* plane samples a side of a cell; cells */
    uint8_t light[CN_CELLS_MOST];  /* the level of a cell's lighter and */
    uint8_t dark[CN_CELLS_MOST];   /* of its darker samples */
    bool light_around;             /* set by cn_cells_find_region, as is */
    bool in_region[CN_CELLS_MOST]; /* set by cn_cells_find_region */
    int16_t queue[CN_CELLS_MOST];  /* for whoever walks over cells */
};

/* A threshold between two kinds of cells. */
struct cn_cells_split {
    int threshold;     /* of `light`: the cells above are the lighter ones */
    double difference; /* of the two kinds' means, in grey levels */
};

/* The levels of each cell of a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT. */
void cn_cells_measure(struct cn_cells *ret_cells, const struct cn_plane *plane);

/* Splits the cells lighter than `above` (CN_CELL_NONE: all) where the variance between the two
 * kinds is largest (Otsu 1979). */
struct cn_cells_split cn_cells_split(const struct cn_cells *cells, int above);

/* Finds the largest region that is not surroundings: cells of one kind that are joined to the
 * grid's border, of which that kind holds most. Cells of the same kind that the region is all
 * around belong to it. The number of its cells; 0: there is none. */
int cn_cells_find_region(struct cn_cells *cells, const struct cn_cells_split *split);

/* The cell beside `cell` in direction 0 to 3 (direction ^ 1 is the opposite one); CN_CELL_NONE
 * beyond the grid. */
int cn_cells_neighbour(const struct cn_cells *cells, int cell, int direction);

bool cn_cells_on_border(const struct cn_cells *cells, int cell);

#endif
