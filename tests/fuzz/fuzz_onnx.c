/* fuzz_onnx.c: any bytes as an ONNX file. */
#include <stdint.h>
#include <stdlib.h>

#include "import/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct import_onnx_result result = {0};
    struct cn_error error = {0};
    const struct import_onnx_options options = {
        .name = "fuzz", .bytes = bytes, .length = length, .folder = -1};
    const enum cn_status status = import_onnx(&options, &result, &error);
    if ((status == CN_OK) != (result.network != NULL) ||
        (status != CN_OK) != (error.text[0] != '\0'))
        abort();
    import_onnx_clear(&result);
    return 0;
}
