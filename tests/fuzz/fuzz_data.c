/* fuzz_data.c: the readers of NumPy's archives and arrays, and of CSV rows, on any bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "convnet/dataset.h"
#include "data/npy.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);

/* The CSV reader reads from the disk, so the process uses one file for it. */
static const char *file_path(void) {
    static char path[64];
    if (path[0] == '\0')
        (void)snprintf(path, sizeof path, "/tmp/convnet-fuzz-%d.csv", (int)getpid());
    return path;
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    static const char *const names[] = {"x_train.npy", "y_train.npy"};
    struct cn_npy array;
    for (size_t i = 0; i < 2; i++) {
        struct cn_archive_member member;
        bool found = false;
        if (cn_npz_find(bytes, length, names[i], "fuzz", &found, &member, NULL) != CN_OK ||
            !found || member.size > 1 << 20)
            continue;
        unsigned char *unpacked = malloc(member.size + 1);
        if (unpacked != NULL && cn_npz_unpack(&member, "fuzz", unpacked, NULL) == CN_OK &&
            cn_npy_parse(unpacked, member.size, "fuzz", &array, NULL) == CN_OK && array.count > 0)
            (void)cn_npy_value(&array, array.count - 1);
        free(unpacked);
    }
    if (cn_npy_parse(bytes, length, "fuzz", &array, NULL) == CN_OK && array.count > 0)
        (void)cn_npy_value(&array, array.count - 1);
    FILE *file = fopen(file_path(), "wb");
    if (file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0) {
        struct cn_dataset *data = NULL;
        if (cn_dataset_read(file_path(), CN_SPLIT_TRAIN, NULL, NULL, &data, NULL) == CN_OK)
            cn_dataset_free(data);
    }
    return 0;
}
