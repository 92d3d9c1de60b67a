/* fuzz_model.c: any bytes as a model file: they are refused or become a model, and nothing else.
 *
 * libFuzzer:  clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_model.c
 * AFL++ and replaying inputs: add -DFUZZ_MAIN and give the files as arguments.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/file.h"
#include "convnet/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    const enum cn_status status = cn_model_parse(bytes, length, "input", &model, &error);
    /* A refusal has a message and no model; a success has a model and no message. */
    if ((status == CN_OK) != (model != NULL) || error.status != status ||
        (status != CN_OK) != (error.text[0] != '\0'))
        abort();
    cn_model_free(model);
    return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct cn_error error = {0};
        unsigned char *bytes = NULL;
        size_t length = 0;
        if (cn_file_read(argv[i], (size_t)1 << 30, &bytes, &length, &error) != CN_OK)
            return 1;
        LLVMFuzzerTestOneInput(bytes, length);
        free(bytes);
    }
    return 0;
}
#endif
