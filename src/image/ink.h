/* ink.h: which of a plane's ink is the drawing. */
#ifndef CONVNET_IMAGE_INK_H
#define CONVNET_IMAGE_INK_H

#include "image/plane.h"
#include "image/resize.h"

/* Clears what is not the drawing: ruled lines, a box or a circle around it, edges and frames along
 * the picture's border, specks, and what lies apart from it. *ret_bounds is the smallest rectangle
 * that holds the rest. A plane of one channel, 0 page to 255 ink, no side longer than
 * CN_SURFACE_SIDE_LIMIT. `on_sheet`: it is a sheet's, whose lines may end before the plane does.
 * *ret_others: how many pieces might be digits beside it. False if there is no ink. */
bool cn_ink_find_drawing(struct cn_plane *plane, bool on_sheet, struct cn_rectangle *ret_bounds,
                         int *ret_others);

/* Clears straight lines that run from side to side of `within`, over `least_length` (0.15 to 1) of
 * the way or more, but where strokes cross them: rulings, squares, folds, boxes. Lines that are not
 * along a side run over `least_inside` or more. For planes on which one has been seen. */
void cn_ink_erase_lines(struct cn_plane *plane, struct cn_rectangle within, double least_length,
                        double least_inside);

/* True if the outermost ink in `around` is four thin straight lines, but for strokes across them,
 * and something is drawn between them or they have no gap; *ret_box then holds the lines. */
bool cn_ink_find_box(const struct cn_plane *plane, struct cn_rectangle around,
                     struct cn_rectangle *ret_box);

/* Centre of mass of values [height, width], in pixels from the first pixel's centre. False if all
 * are zero. */
bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y);

#endif
