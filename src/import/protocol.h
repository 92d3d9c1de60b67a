/* protocol.h: the protocol between `convnet import` and the import program: descriptors.
 *
 * The request, the program's only argument, is JSON: {"name": the file's name for messages,
 * "input_shape": [height, width, channels], "input_shapes": ["name=1,3,224,224"]}. With "pack":
 * true it comes from `convnet export`: the input has the floats, the architecture the layout of
 * keras_pack.h, and the output becomes a Keras file. The report is JSON: {"format", "layers",
 * "notes", "obstacles", "tensors", "error": {"status", "text"}}. */
#ifndef CONVNET_IMPORT_PROTOCOL_H
#define CONVNET_IMPORT_PROTOCOL_H

#include <fcntl.h>
#include <stdbool.h>

enum {
    IMPORT_FD_INPUT = 3,        /* the foreign file */
    IMPORT_FD_FOLDER = 4,       /* its folder, O_PATH */
    IMPORT_FD_OUTPUT = 5,       /* the model is written here */
    IMPORT_FD_REPORT = 6,       /* the report is written here */
    IMPORT_FD_ARCHITECTURE = 7, /* Keras JSON; closed if there is none */
    IMPORT_MAX_FILE = 1 << 30   /* bytes */
};

/* True if the descriptor is open. */
static inline bool fcntl_is_open(int fd) {
    return fcntl(fd, F_GETFD) != -1;
}

#endif
