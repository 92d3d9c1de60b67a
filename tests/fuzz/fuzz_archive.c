/* fuzz_archive.c: arbitrary bytes as a zip or tar archive of pictures, each member unpacked.
 * libFuzzer's entry point.
 */
#include <stdlib.h>

#include "data/picture_archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cn_archive archive;
    struct cn_archive_member member;
    bool found = true;
    if (!cn_archive_recognize(data, size) || cn_archive_open(data, size, &archive, NULL) != CN_OK)
        return 0;
    while (cn_archive_next(&archive, &member, &found, NULL) == CN_OK && found) {
        const void *content = NULL;
        void *owned = NULL;
        (void)cn_archive_unpack(&member, 1 << 20, &content, &owned, NULL);
        free(owned);
    }
    return 0;
}
