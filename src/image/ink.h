/* ink.h: finds the drawing among all ink of a plane. */
#ifndef CONVNET_IMAGE_INK_H
#define CONVNET_IMAGE_INK_H

#include "image/plane.h"
#include "image/resize.h"

/* Clears all ink that is not the drawing: ruled lines, a box or a circle around it, edges and
 * frames along the picture's border, specks, and distant pieces. *ret_bounds is the smallest
 * rectangle around the rest. The plane has one channel, 0 page to 255 ink, and no side longer than
 * CN_SURFACE_SIDE_LIMIT. `on_sheet`: it is a crop of a sheet, whose lines may end before the plane
 * does. *ret_others: how many pieces may be other digits. False if there is no ink. */
bool cn_ink_find_drawing(struct cn_plane *plane, bool on_sheet, struct cn_rectangle *ret_bounds,
                         int *ret_others);

/* Clears straight lines that run from side to side of `within`, with ink over `least_length` (0.15
 * to 1) of the way or more, except where strokes cross them: rulings, squares, folds, boxes. For
 * lines that are not along a side `least_inside` applies. Use it on planes on which such a line has
 * been seen. */
void cn_ink_erase_lines(struct cn_plane *plane, struct cn_rectangle within, double least_length,
                        double least_inside);

/* True if the outermost ink in `around` is four thin straight lines (except for strokes across
 * them), and something is drawn between them or they have no gap; *ret_box is then the rectangle of
 * the lines. */
bool cn_ink_find_box(const struct cn_plane *plane, struct cn_rectangle around,
                     struct cn_rectangle *ret_box);

/* Centre of mass of values [height, width], in pixels from the first pixel's centre. False if all
 * are zero. */
bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y);

#endif
