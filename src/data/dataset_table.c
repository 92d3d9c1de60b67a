/* dataset_table.c: THE list of dataset formats. A format is one file, one row here and one test.
 * Constant data.
 */
#include "data/dataset_table.h"

static const struct cn_dataset_format formats[] = {
    {"IDX", "train- or t10k-images-idx3-ubyte[.gz], or emnist-<set>-train-images-idx3-ubyte[.gz]",
     cn_dataset_idx_recognize, cn_dataset_idx_has_split, cn_dataset_idx_read},
    {"NumPy", "an .npz archive, or .npy files, of x_train and y_train", cn_dataset_numpy_recognize,
     cn_dataset_numpy_has_split, cn_dataset_numpy_read},
    {"CIFAR", "data_batch_1.bin and batches.meta.txt, or train.bin and fine_label_names.txt",
     cn_dataset_cifar_recognize, cn_dataset_cifar_has_split, cn_dataset_cifar_read},
    {"labelled pictures", "labels.csv with the columns file and label beside its pictures",
     cn_dataset_labels_recognize, cn_dataset_labels_has_split, cn_dataset_labels_read},
    {"CSV", "train.csv with the columns label, pixel0, pixel1, ...", cn_dataset_csv_recognize,
     cn_dataset_csv_has_split, cn_dataset_csv_read},
    {"picture folder", "one subfolder of pictures per class", cn_dataset_png_folder_recognize,
     cn_dataset_png_folder_has_split, cn_dataset_png_folder_read},
};

const struct cn_dataset_format *cn_dataset_formats(size_t *ret_count) {
    *ret_count = sizeof formats / sizeof formats[0];
    return formats;
}
