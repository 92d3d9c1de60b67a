/* fuzz_config.c: any bytes as a configuration file: they are refused with the line, or become
 * options that are the same after they were printed and read back. */
#include "daemon/options.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct daemon_options options, copy;
    struct cn_error error = {0};
    char *text = NULL;
    size_t size = 0;
    options_init(&options);
    const enum cn_status status = options_read_file(&options, fuzz_file(bytes, length), &error);
    fuzz_check(status, &error, status == CN_OK);
    if (status != CN_OK)
        return 0;
    (void)options_check(&options, NULL);
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL)
        return 0;
    options_print(&options, stream);
    (void)fclose(stream);
    options_init(&copy);
    if (options_read_file(&copy, fuzz_file((const uint8_t *)text, size), &error) != CN_OK) {
        (void)fprintf(stderr, "%lld: %s\n", error.offset, error.text);
        abort();
    }
    for (size_t i = 0; i < option_row_count; i++) {
        char before[OPTION_VALUE_SIZE], after[OPTION_VALUE_SIZE];
        option_format(&options, &option_rows[i], before);
        option_format(&copy, &option_rows[i], after);
        if (strcmp(before, after) != 0)
            abort();
    }
    free(text);
    return 0;
}
