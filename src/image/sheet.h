/* sheet.h: finds the sheet in a picture that also shows what the sheet lies on. */
#ifndef CONVNET_IMAGE_SHEET_H
#define CONVNET_IMAGE_SHEET_H

#include "image/plane.h"
#include "image/resize.h"

/* Crops a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT, to the sheet on it (paper
 * on a table, a canvas in a window), and fills other parts of that rectangle with pieces of the
 * sheet. *ret_sheet is the rectangle, in samples of the original plane. False, with nothing
 * changed, if the picture shows no straight-edged region with ink on it in uniform surroundings of
 * another brightness, or if strokes cross its edge, as they cross a shadow's. */
bool cn_sheet_isolate(struct cn_plane *plane, struct cn_rectangle *ret_sheet);

#endif
