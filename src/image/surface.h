/* surface.h: the brightness of the empty page at each place. */
#ifndef CONVNET_IMAGE_SURFACE_H
#define CONVNET_IMAGE_SURFACE_H

#include "image/plane.h"

enum {
    CN_SURFACE_SIDE_LIMIT = 640, /* most samples per side of a plane with a surface */
    CN_SURFACE_GRID = 64         /* most cells per side */
};

struct cn_surface {
    int cell;          /* samples per side of a cell */
    int columns, rows; /* cells */
    bool uneven;
    float median;                                    /* of its levels */
    float levels[CN_SURFACE_GRID * CN_SURFACE_GRID]; /* [rows, columns] at the cells' centres */
};

/* Fits the surface of a light page: one-channel plane, no side longer than the limit. */
void cn_surface_fit(struct cn_surface *ret_surface, const struct cn_plane *plane);

/* The surface along row y of the plane: ret_page [width]. */
void cn_surface_row(const struct cn_surface *surface, int y, int width, float *ret_page);

/* True if the drawing is darker than its page, for a page that is smoothly lit, also with a lamp in
 * its middle or dark corners: what differs from the smooth surface of most of the plane is darker
 * than it. */
bool cn_surface_drawing_is_dark(const struct cn_plane *plane);

/* True if most of what is lighter than `level` is broad, like the lit part of a page in a shadow
 * and unlike a drawing. */
bool cn_surface_has_lit_part(const struct cn_plane *plane, int level);

/* True if the narrow structures of the plane are darker than their surroundings. For pages that
 * have no single brightness. */
bool cn_surface_is_light(const struct cn_plane *plane);

#endif
