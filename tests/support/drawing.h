/* drawing.h: pictures of digits as people make them, with many hands, pens, papers and lights,
 * generated from a seed alone. They are no one's data and the same on every machine. */
#ifndef TESTS_SUPPORT_DRAWING_H
#define TESTS_SUPPORT_DRAWING_H

#include "convnet/image.h"

/* The kind of paper; each kind is drawn separately. */
enum drawing_paper {
    DRAWING_PLAIN = 0,   /* one colour, as on a screen */
    DRAWING_TRANSPARENT, /* transparent */
    DRAWING_LIT,         /* paper under uneven light, with grain */
    DRAWING_SHADOW,      /* the same, with the edge of a shadow across it */
    DRAWING_RULED,       /* lines or squares */
    DRAWING_FRAMED,      /* an edge of the paper is in the picture */
    DRAWING_SHEET,       /* the whole sheet is in the picture, askew on a table */
    DRAWING_BOXED,       /* a form's box around the digit */
    DRAWING_GRAINY,      /* taken in the dark, with much grain */
    DRAWING_FAINT,       /* the ink is little darker than the paper */
    DRAWING_PAPERS
};
extern const char *const drawing_paper_names[DRAWING_PAPERS];

struct drawing {
    struct cn_picture picture; /* freed by drawing_clear */
    int label;
    enum drawing_paper paper;
};

/* Draws a digit; `seed` determines everything about it. */
void drawing_make(uint64_t seed, struct drawing *ret_drawing);

/* The kind of dimming of a plain light sheet that fills the picture. `share` is the largest loss of
 * light. */
enum drawing_dimming {
    DRAWING_VIGNETTE_SQUARE = 0, /* in the corners, with the square of the distance */
    DRAWING_VIGNETTE_LENS,       /* with the fourth power of a cosine, like a lens */
    DRAWING_VIGNETTE_CONE,       /* in proportion to the distance */
    DRAWING_SHADOW_SOFT,         /* beyond an edge with a width of 5 to 25 % of the side */
    DRAWING_SHADOW_HARD          /* beyond an edge with a width of two pixels */
};

/* A dark digit on a dimmed sheet. */
void drawing_make_dimmed(enum drawing_dimming dimming, float share, uint64_t seed, int width,
                         int height, struct drawing *ret_drawing);

void drawing_clear(struct drawing *drawing);

#endif
