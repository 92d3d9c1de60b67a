/* ink.h: which pixels of a grey plane are ink, and how bright. */
#ifndef CONVNET_IMAGE_INK_H
#define CONVNET_IMAGE_INK_H

#include "image/plane.h"
#include "image/resize.h"

/* The page and the ink of a grey plane. */
struct cn_tone {
    int background; /* median of the outermost pixels */
    int contrast;   /* between the background and the pixel farthest from it on the ink's side */
    bool light;     /* the background is lighter than the ink */
};

/* Estimates the tone of a one-channel plane. */
struct cn_tone cn_tone_measure(const struct cn_plane *plane);

/* Replaces each sample by its ink: 0 for the page and for what is closer to it than a sixth of the
 * contrast, 255 for the strongest. */
void cn_ink_extract(struct cn_plane *plane, const struct cn_tone *tone);

/* Clears pieces of ink that are tiny beside the largest piece. */
void cn_ink_drop_specks(struct cn_plane *plane);

/* The smallest rectangle that holds all ink; false if there is none. */
bool cn_ink_bounds(const struct cn_plane *plane, struct cn_rectangle *ret_bounds);

/* Mean width of the strokes in `bounds`, in pixels: twice the area over the outline's length. */
double cn_ink_stroke_width(const struct cn_plane *plane, struct cn_rectangle bounds);

/* Centre of mass of values [height, width], in pixels from the first pixel's centre. False if all
 * are zero. */
bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y);

#endif
