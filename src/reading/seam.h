/* seam.h: the path of the least ink between two digits that touch. */
#ifndef CONVNET_READING_SEAM_H
#define CONVNET_READING_SEAM_H

#include <stddef.h>
#include <stdint.h>

/* The number of cells that cn_seam_find needs for a drawing of this height. */
size_t cn_seam_cells(int height);

/* Finds the path through ink[height, width] from the top row to the bottom row that crosses the
 * middle row at `column` or beside it, crosses the least ink, and steps at most one column per row
 * and a quarter of the height in all. Writes its column in each row to ret_path[height] and returns
 * its cost: the sum of the grey levels that it crosses, and a little for each row and each step to
 * a side. `costs` and `steps` have room for cn_seam_cells(height). */
int cn_seam_find(const uint8_t *ink, int width, int height, int column, int *costs, int8_t *steps,
                 int16_t *ret_path);

#endif
