/* fuzz.h: common parts of the fuzzers: libFuzzer's entry point, a file for readers that need one, a
 * small model. */
#ifndef CONVNET_FUZZ_H
#define CONVNET_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convnet/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A refusal has a message and no result; a success has no message. */
static inline void fuzz_check(enum cn_status status, const struct cn_error *error, bool given) {
    if ((status == CN_OK) != given || error->status != status ||
        (status != CN_OK) != (error->text[0] != '\0'))
        abort();
}

/* Writes the bytes to a file, which the process uses again and again. */
static inline const char *fuzz_file(const uint8_t *bytes, size_t length) {
    static char path[64];
    if (path[0] == '\0')
        (void)snprintf(path, sizeof path, "/tmp/convnet-fuzz-%d", (int)getpid());
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
        abort();
    return path;
}

/* A model of 2 x 2 pixels and 3 classes. Caller frees with cn_model_free. */
static inline struct cn_model *fuzz_model(void) {
    static const char architecture[] =
        "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"tiny\",\"layers\":["
        "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\","
        "\"batch_input_shape\":[null,2,2,1]}},"
        "{\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\",\"units\":3,"
        "\"activation\":\"softmax\"}}]}}";
    struct cn_network *network = NULL;
    struct cn_model *model = NULL;
    if (cn_architecture_parse(architecture, sizeof architecture - 1, "tiny", &network, NULL) !=
            CN_OK ||
        cn_model_create(network, &model, NULL) != CN_OK)
        abort();
    return model;
}

#endif
