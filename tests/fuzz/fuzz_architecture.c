/* fuzz_architecture.c: any bytes as Keras JSON: they are refused, or become a network that is the
 * same after it was written and read back. */
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct cn_error error = {0}, again = {0};
    struct cn_network *network = NULL, *copy = NULL;
    char *json = NULL;
    const enum cn_status status =
        cn_architecture_parse((const char *)bytes, length, "input", &network, &error);
    fuzz_check(status, &error, network != NULL);
    if (status == CN_OK && network->parameter_count < 1 << 20 &&
        cn_architecture_format(network, &json, NULL) == CN_OK) {
        if (cn_architecture_parse(json, strlen(json), "copy", &copy, &again) != CN_OK) {
            (void)fprintf(stderr, "%s: %s\n", again.text, json);
            abort();
        }
        if (copy->parameter_count != network->parameter_count)
            abort();
    }
    free(json);
    cn_network_free(network);
    cn_network_free(copy);
    return 0;
}
