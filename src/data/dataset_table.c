/* dataset_table.c: THE list of dataset formats. A format is one file, one row here and one test.
 * Constant data.
 */
#include "data/dataset_table.h"

static const struct cn_dataset_format formats[] = {
    {"IDX", "MNIST's or EMNIST's IDX files", cn_dataset_idx_recognize, cn_dataset_idx_has_split,
     cn_dataset_idx_read},
    {"NumPy", "x_train.npy and y_train.npy, or an .npz of them", cn_dataset_numpy_recognize,
     cn_dataset_numpy_has_split, cn_dataset_numpy_read},
    {"CIFAR", "CIFAR's data_batch_1.bin or train.bin with its class names",
     cn_dataset_cifar_recognize, cn_dataset_cifar_has_split, cn_dataset_cifar_read},
    {"labelled pictures", "labels.csv (file, label) beside pictures", cn_dataset_labels_recognize,
     cn_dataset_labels_has_split, cn_dataset_labels_read},
    {"CSV", "train.csv (label, pixel0, pixel1, ...)", cn_dataset_csv_recognize,
     cn_dataset_csv_has_split, cn_dataset_csv_read},
    {"picture folder", "one folder of pictures per class", cn_dataset_png_folder_recognize,
     cn_dataset_png_folder_has_split, cn_dataset_png_folder_read},
};

const struct cn_dataset_format *cn_dataset_formats(size_t *ret_count) {
    *ret_count = sizeof formats / sizeof formats[0];
    return formats;
}
