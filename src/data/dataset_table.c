/* dataset_table.c: THE list of dataset formats. A format is one file, one row here and one test.
 * Constant data.
 */
#include "data/dataset_table.h"

static const struct cn_dataset_format formats[] = {
    {"IDX", "train- or t10k-images-idx3-ubyte[.gz], or emnist-<set>-train-images-idx3-ubyte[.gz]",
     cn_dataset_idx_recognize, cn_dataset_idx_has_split, cn_dataset_idx_read},
    {"picture folder", "one subfolder of pictures per class", cn_dataset_png_folder_recognize,
     cn_dataset_png_folder_has_split, cn_dataset_png_folder_read},
};

const struct cn_dataset_format *cn_dataset_formats(size_t *ret_count) {
    *ret_count = sizeof formats / sizeof formats[0];
    return formats;
}
