/* page.h: finds the page under a drawing; the drawing is where the page is not seen. */
#ifndef CONVNET_IMAGE_PAGE_H
#define CONVNET_IMAGE_PAGE_H

#include "image/plane.h"

enum { CN_PAGE_LEAST_CONTRAST = 12 /* grey levels; less contrast is the grain of a blank page */ };

/* The properties of the page that were found. */
struct cn_page {
    bool light;   /* the ink is darker than the page */
    bool uneven;  /* lit unevenly, or with a shadow on it */
    int contrast; /* strongest difference between ink and page, of 255; 0: no ink */
};

/* Replaces each sample of a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT, by its
 * ink: 0 for the page and for differences within its grain, 255 for ink at its strongest. Without
 * `may_be_light` the page is the darker side. True if there is ink. */
bool cn_page_extract_ink(struct cn_plane *plane, bool may_be_light, struct cn_page *ret_page);

#endif
