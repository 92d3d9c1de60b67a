/* fuzz_import.c: any bytes as a model of another program: the first byte chooses the reader (.keras
 * zip, TensorFlow.js, PyTorch's two formats, safetensors, a bare pickle). The bytes are refused or
 * become a network. */
#include "fuzz/fuzz.h"
#include "import/assemble.h"
#include "import/pickle.h"
#include "import/source.h"

typedef enum cn_status (*reader)(const struct import_file *file, struct import_source *source,
                                 struct cn_error *error);

static const reader readers[] = {import_keras_zip, import_tfjs, import_torch_zip,
                                 import_torch_legacy, import_safetensors};
enum { READERS = sizeof readers / sizeof *readers };

static void read_pickle(const uint8_t *bytes, size_t length) {
    struct pickle *pickle = NULL;
    const struct pickle_value *value = NULL;
    struct cn_error error = {0};
    size_t offset = 0;
    if (pickle_create(&pickle, NULL) != CN_OK)
        return;
    const enum cn_status status = pickle_read(pickle, bytes, length, &offset, &value, &error);
    fuzz_check(status, &error, status == CN_OK);
    if (offset > length)
        abort();
    pickle_free(pickle);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length < 1)
        return 0;
    const size_t size = length - 1;
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, bytes + 1, size);
    copy[size] = '\0';
    if (bytes[0] % (READERS + 1) == READERS) {
        read_pickle(copy, size);
        free(copy);
        return 0;
    }
    const struct import_file file = {.name = "fuzz", .bytes = copy, .length = size, .folder = -1};
    struct import_source source = {.limit = 4 * size + 65536};
    struct cn_error error = {0};
    struct import_report report = {
        .layers = json_array(), .notes = json_array(), .obstacles = json_array()};
    struct cn_network *network = NULL;
    enum cn_status status = readers[bytes[0] % (READERS + 1)](&file, &source, &error);
    fuzz_check(status, &error, status == CN_OK);
    if (status == CN_OK) {
        status = import_assemble(&source, NULL, &report, &network, &error);
        fuzz_check(status, &error, network != NULL);
    }
    cn_network_free(network);
    json_decref(report.layers);
    json_decref(report.notes);
    json_decref(report.obstacles);
    json_decref(report.tensors);
    import_source_clear(&source);
    free(copy);
    return 0;
}
