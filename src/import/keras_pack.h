/* keras_pack.h: writes Keras's files with the layout that `convnet export` has made.
 *
 * The layout is JSON: "groups", a list of [path, {attribute: a string or a list of them}];
 * "arrays", a list of [path, shape, offset of its floats]; "entries", an object with the texts that
 * a zip file has besides model.weights.h5, or null for an HDF5 file alone. */
#ifndef CONVNET_IMPORT_KERAS_PACK_H
#define CONVNET_IMPORT_KERAS_PACK_H

#include <jansson.h>
#include <stddef.h>

#include "convnet/status.h"

/* Writes the file to `fd`; the same input gives the same bytes. `values` [count]: all floats.
 * CN_INVALID if the layout refers to floats beyond them. */
enum cn_status import_keras_pack(const json_t *layout, const float *values, size_t count, int fd,
                                 struct cn_error *error);

#endif
