/* model_folder.h: finds the model files. */
#ifndef CONVNET_SERVING_MODEL_FOLDER_H
#define CONVNET_SERVING_MODEL_FOLDER_H

#include "serving/registry.h"

/* Identifies a state of a file: all zero if it could not be read. */
struct registry_stamp {
    unsigned long long device, inode, size;
    long long modified_seconds, modified_nanoseconds, changed_seconds, changed_nanoseconds;
};

struct registry_file {
    char name[SERVED_MODEL_NAME];
    unsigned version;
    char *path;
    struct registry_stamp stamp;
};

struct registry_files {
    struct registry_file *files; /* sorted by name and version, without repetitions */
    size_t count, capacity;
    size_t refused; /* files without a valid model name, or for a model that another file has */
};

/* Finds the one file, or the *.safetensors files of the folder; those with a bad name are reported
 * and counted. CN_IO: the folder cannot be read. Caller frees with registry_files_clear, also after
 * a failure. */
enum cn_status registry_scan(const struct registry_options *options, struct registry_files *files,
                             struct cn_error *error);
void registry_files_clear(struct registry_files *files);

/* -1, 0 or 1: orders by name, then by version. */
int registry_order(const char *name, unsigned version, const char *other, unsigned other_version);

#endif
