/* ink.h: which of a plane's ink is the drawing. */
#ifndef CONVNET_IMAGE_INK_H
#define CONVNET_IMAGE_INK_H

#include "image/plane.h"
#include "image/resize.h"

/* Clears what is not the drawing: ruled lines, edges and frames along the picture's border, specks,
 * and what lies apart from it. *ret_bounds is the smallest rectangle that holds the rest. A plane
 * of one channel, 0 page to 255 ink, no side longer than CN_SURFACE_SIDE_LIMIT. False if there is
 * no ink. */
bool cn_ink_find_drawing(struct cn_plane *plane, struct cn_rectangle *ret_bounds);

/* Clears straight lines from one side of the picture to the other, but where strokes cross them:
 * rulings, squares, folds. For planes on which one has been seen. */
void cn_ink_erase_lines(struct cn_plane *plane);

/* Centre of mass of values [height, width], in pixels from the first pixel's centre. False if all
 * are zero. */
bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y);

#endif
