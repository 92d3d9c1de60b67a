/* model_files.h: a small model and its file for tests. All assert success. */
#ifndef CONVNET_TESTS_SUPPORT_MODEL_FILES_H
#define CONVNET_TESTS_SUPPORT_MODEL_FILES_H

#include "convnet/model.h"

/* The network of an architecture in JSON, initialised with `seed`. Caller frees with
 * cn_network_free. */
struct cn_network *model_files_network(const char *json, uint64_t seed);

/* A classifier of 8x8x1 into three classes named "little", with layers "c" (Conv2D), "bn", "f"
 * (Flatten) and "d" (Dense). Caller frees with cn_model_free. */
struct cn_model *model_files_model(uint64_t seed);

void model_files_save(const struct cn_model *model, const char *path);

/* Files in the folder. */
size_t model_files_entries(const char *folder);

#endif
