/* keras_pack.h: writes the files of Keras, as `convnet export` has laid them out.
 *
 * The layout is JSON: "groups", a list of [path, {attribute: a string or a list of them}];
 * "arrays", a list of [path, shape, where its floats begin]; "entries", an object of the texts that
 * a zip file has before model.weights.h5, or null: then the HDF5 file is all there is.
 */
#ifndef CONVNET_IMPORT_KERAS_PACK_H
#define CONVNET_IMPORT_KERAS_PACK_H

#include <jansson.h>
#include <stddef.h>

#include "convnet/status.h"

/* Writes the file to `fd`, the same bytes each time. `values` [count]: all floats. CN_INVALID if
 * the layout asks for floats that are not there. */
enum cn_status import_keras_pack(const json_t *layout, const float *values, size_t count, int fd,
                                 struct cn_error *error);

#endif
