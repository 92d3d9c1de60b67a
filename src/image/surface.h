/* surface.h: the brightness of a page where nothing is drawn on it, place by place. */
#ifndef CONVNET_IMAGE_SURFACE_H
#define CONVNET_IMAGE_SURFACE_H

#include "image/plane.h"

enum {
    CN_SURFACE_SIDE_LIMIT = 640, /* samples a side of a plane that has a surface */
    CN_SURFACE_GRID = 64         /* cells a side */
};

struct cn_surface {
    int cell;          /* samples a side of a cell */
    int columns, rows; /* cells */
    bool uneven;
    float median;                                    /* of its levels */
    float levels[CN_SURFACE_GRID * CN_SURFACE_GRID]; /* [rows, columns] at the cells' centres */
};

/* Fits the surface of a light page: one-channel plane, no side longer than the limit. */
void cn_surface_fit(struct cn_surface *ret_surface, const struct cn_plane *plane);

/* The surface along row y of the plane: ret_page [width]. */
void cn_surface_row(const struct cn_surface *surface, int y, int width, float *ret_page);

/* For a page that is smoothly lit, also by a lamp in its middle or with dark corners: true if what
 * differs from the smooth surface that most of the plane follows is darker than it. */
bool cn_surface_drawing_is_dark(const struct cn_plane *plane);

/* True if most of what is lighter than `level` is broad, as the lit part of a page in a shadow is
 * and a drawing is not. */
bool cn_surface_has_lit_part(const struct cn_plane *plane, int level);

/* For a page without one brightness: true if the plane's narrow structures are darker than what is
 * around them. */
bool cn_surface_is_light(const struct cn_plane *plane);

#endif
