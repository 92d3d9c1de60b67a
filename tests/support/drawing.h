/* drawing.h: pictures of digits as people make them: other hands, pens, papers and lights, from a
 * seed alone. Nobody's data, and the same on every machine. */
#ifndef TESTS_SUPPORT_DRAWING_H
#define TESTS_SUPPORT_DRAWING_H

#include "convnet/image.h"

/* What the picture is made on and with; each is drawn on its own. */
enum drawing_paper {
    DRAWING_PLAIN = 0,   /* one colour, as on a screen */
    DRAWING_TRANSPARENT, /* nothing under the ink */
    DRAWING_LIT,         /* paper under uneven light, with grain */
    DRAWING_SHADOW,      /* the same, with a shadow's edge across it */
    DRAWING_RULED,       /* lines or squares */
    DRAWING_FRAMED,      /* the paper's edge is in the picture */
    DRAWING_SHEET,       /* all of it is, askew, and the table that it lies on */
    DRAWING_BOXED,       /* a form's box around the digit */
    DRAWING_GRAINY,      /* taken in the dark: much grain */
    DRAWING_FAINT,       /* the ink is little darker than the paper */
    DRAWING_PAPERS
};
extern const char *const drawing_paper_names[DRAWING_PAPERS];

struct drawing {
    struct cn_picture picture; /* freed by drawing_clear */
    int label;
    enum drawing_paper paper;
};

/* Draws a digit: all of it is decided by `seed`. */
void drawing_make(uint64_t seed, struct drawing *ret_drawing);

/* What dims a plain light sheet that fills the picture; of `share` of the light less is left. */
enum drawing_dimming {
    DRAWING_VIGNETTE_SQUARE = 0, /* in the corners, by the square of the distance */
    DRAWING_VIGNETTE_LENS,       /* by the fourth power of a cosine, as a lens does */
    DRAWING_VIGNETTE_CONE,       /* by the distance */
    DRAWING_SHADOW_SOFT,         /* beyond an edge that takes 5 to 25 % of the side */
    DRAWING_SHADOW_HARD          /* beyond an edge of two pixels */
};

/* A dark digit on such a sheet. */
void drawing_make_dimmed(enum drawing_dimming dimming, float share, uint64_t seed, int width,
                         int height, struct drawing *ret_drawing);

void drawing_clear(struct drawing *drawing);

#endif
