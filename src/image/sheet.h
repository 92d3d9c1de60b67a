/* sheet.h: the sheet in a picture that also shows what the sheet lies on. */
#ifndef CONVNET_IMAGE_SHEET_H
#define CONVNET_IMAGE_SHEET_H

#include "image/plane.h"
#include "image/resize.h"

/* Crops a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT, to the sheet on it and
 * papers over what else is in that rectangle with pieces of the sheet: paper on a table, a canvas
 * in a window. *ret_sheet is the rectangle, in samples of the plane as it was. False, and nothing
 * is changed, where the picture shows no such thing: no straight-edged region with ink on it, in
 * surroundings that are plain and of another brightness; or where strokes cross its edge, as they
 * do a shadow's. */
bool cn_sheet_isolate(struct cn_plane *plane, struct cn_rectangle *ret_sheet);

#endif
