/* known_models.h: models and architectures that are called by a name instead of a file. */
#ifndef CONVNET_MODEL_KNOWN_MODELS_H
#define CONVNET_MODEL_KNOWN_MODELS_H

#include <limits.h>
#include <stdbool.h>

/* The folders in which names are looked up, in this order. */
enum cn_known_folder {
    CN_KNOWN_HERE = 0,  /* ./models: for work in a source tree, not for a service */
    CN_KNOWN_VARIABLE,  /* $CONVNET_MODELSDIR */
    CN_KNOWN_BUILD,     /* of the build tree that the program lies in, if it does */
    CN_KNOWN_INSTALLED, /* of `make install` */
    CN_KNOWN_FOLDERS
};

/* The folder, "" if there is none; it may be written to `room`, or be elsewhere. */
const char *cn_known_folder(enum cn_known_folder which, char room[static PATH_MAX]);

/* True for a file rather than a name: it has a slash or one of the endings .json and .safetensors,
 * or it exists. */
bool cn_known_is_path(const char *argument);

/* Finds NAME + ending, a file, in the folders from `first` on. */
bool cn_known_find(const char *name, const char *ending, enum cn_known_folder first,
                   char ret_path[static PATH_MAX]);

#endif
