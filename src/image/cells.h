/* cells.h: a plane reduced to a coarse grid of cells, and the largest region on it that does not
 * belong to the surroundings. */
#ifndef CONVNET_IMAGE_CELLS_H
#define CONVNET_IMAGE_CELLS_H

#include "image/plane.h"

enum {
    CN_CELLS_SIDE = 64, /* most cells per side */
    CN_CELLS_MOST = CN_CELLS_SIDE * CN_CELLS_SIDE,
    CN_CELL_NONE = -1
};

struct cn_cells {
    int side, columns, rows;       /* plane samples per side of a cell; number of cells */
    uint8_t light[CN_CELLS_MOST];  /* the level of a cell's lighter samples */
    uint8_t dark[CN_CELLS_MOST];   /* and of its darker ones */
    bool light_around;             /* the surroundings are light; set by cn_cells_find_region */
    bool in_region[CN_CELLS_MOST]; /* set by cn_cells_find_region */
    int16_t queue[CN_CELLS_MOST];  /* scratch space for walks over cells */
};

/* A threshold between two kinds of cells. */
struct cn_cells_split {
    int threshold;     /* of `light`: the cells above it are the lighter ones */
    double difference; /* between the means of the two kinds, in grey levels */
};

/* Measures the levels of each cell of a one-channel plane with no side longer than
 * CN_SURFACE_SIDE_LIMIT. */
void cn_cells_measure(struct cn_cells *ret_cells, const struct cn_plane *plane);

/* Splits the cells lighter than `above` (CN_CELL_NONE: all) where the variance between the two
 * kinds is largest (Otsu 1979). */
struct cn_cells_split cn_cells_split(const struct cn_cells *cells, int above);

/* Finds the largest region outside of the surroundings. The surroundings are the cells, of the kind
 * that most of the border has, that are connected with the border. Holes of that kind inside the
 * region belong to the region. Returns the number of its cells; 0: none. */
int cn_cells_find_region(struct cn_cells *cells, const struct cn_cells_split *split);

/* The cell beside `cell` in direction 0 to 3 (direction ^ 1 is the opposite one); CN_CELL_NONE
 * beyond the grid. */
int cn_cells_neighbour(const struct cn_cells *cells, int cell, int direction);

bool cn_cells_on_border(const struct cn_cells *cells, int cell);

#endif
