/* page.h: the page under a drawing, and the drawing as the page's absence. */
#ifndef CONVNET_IMAGE_PAGE_H
#define CONVNET_IMAGE_PAGE_H

#include "image/plane.h"

enum { CN_PAGE_LEAST_CONTRAST = 12 /* grey levels; less is a blank page with grain */ };

/* What was found out about the page. */
struct cn_page {
    bool light;   /* the ink is darker than the page */
    bool uneven;  /* its brightness differs from place to place, by light and shadow */
    int contrast; /* between the ink and the page where it is strongest, of 255; 0: no ink */
};

/* Replaces each sample of a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT, by its
 * ink: 0 for the page and for what differs from it by no more than its grain, 255 for ink at its
 * strongest. Without `may_be_light` the page is taken as the darker side. True if there is ink. */
bool cn_page_extract_ink(struct cn_plane *plane, bool may_be_light, struct cn_page *ret_page);

#endif
