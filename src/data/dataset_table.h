/* dataset_table.h: the interface of dataset formats. */
#ifndef CONVNET_DATA_DATASET_TABLE_H
#define CONVNET_DATA_DATASET_TABLE_H

#include "convnet/dataset.h"

/* The arguments of cn_dataset_read. */
struct cn_dataset_request {
    const char *path;
    enum cn_split split;
    const struct cn_shape *shape;                 /* NULL: the data's own */
    const struct cn_preprocessing *preprocessing; /* NULL: the default of the shape */
};

/* Makes room for `bytes` of images and keeps the first `used`. CN_MEMORY; CN_IO: there is no room
 * in a file either. Nothing changes after a failure. */
enum cn_status cn_dataset_resize(struct cn_dataset *dataset, size_t used, size_t bytes,
                                 struct cn_error *error);
void cn_dataset_free_images(struct cn_dataset *dataset);

struct cn_dataset_format {
    const char *name; /* for messages: "IDX" */
    const char *what; /* files that the format looks for, for messages */
    /* True if the folder holds this format, whole or in part. */
    bool (*recognize)(const struct cn_dataset_request *request);
    /* True if the folder has the request's split separately. */
    bool (*has_split)(const struct cn_dataset_request *request);
    /* Fills shape, count, images, labels, class_count, class_names and whole of a zeroed dataset,
     * also in part after a failure: the caller frees it. */
    enum cn_status (*read)(const struct cn_dataset_request *request, struct cn_dataset *dataset,
                           struct cn_error *error);
};

/* Sets the checksum to that of the present images and labels. */
void cn_dataset_write_checksum(struct cn_dataset *dataset);

/* Names the classes "0" to the largest label, two at least. CN_MEMORY. */
enum cn_status cn_dataset_number_classes(struct cn_dataset *dataset, struct cn_error *error);

/* Names `count` classes "0", "1", .... CN_MEMORY. */
enum cn_status cn_dataset_name_classes(struct cn_dataset *dataset, size_t count,
                                       struct cn_error *error);

/* Makes room for one more sample than dataset->count: an image, a label and, where the samples have
 * weights, a weight. *capacity is 0 at first. CN_MEMORY, CN_IO. */
enum cn_status cn_dataset_grow(struct cn_dataset *dataset, size_t *capacity,
                               struct cn_error *error);

/* Gives each present sample the weight 1. CN_MEMORY. */
enum cn_status cn_dataset_weigh(struct cn_dataset *dataset, struct cn_error *error);

/* Parses a weight from 0 to 1e6; false if `text` is not one. */
bool cn_dataset_parse_weight(const char *text, float *ret_weight);

/* THE list, in the order of trying; *ret_count receives its length. */
const struct cn_dataset_format *cn_dataset_formats(size_t *ret_count);

/* The formats' functions, one file each. */
bool cn_dataset_idx_recognize(const struct cn_dataset_request *request);
bool cn_dataset_idx_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_idx_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error);
bool cn_dataset_png_folder_recognize(const struct cn_dataset_request *request);
bool cn_dataset_png_folder_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_png_folder_read(const struct cn_dataset_request *request,
                                          struct cn_dataset *dataset, struct cn_error *error);

bool cn_dataset_labels_recognize(const struct cn_dataset_request *request);
bool cn_dataset_labels_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_labels_read(const struct cn_dataset_request *request,
                                      struct cn_dataset *dataset, struct cn_error *error);

bool cn_dataset_csv_recognize(const struct cn_dataset_request *request);
bool cn_dataset_csv_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_csv_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error);

bool cn_dataset_numpy_recognize(const struct cn_dataset_request *request);
bool cn_dataset_numpy_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_numpy_read(const struct cn_dataset_request *request,
                                     struct cn_dataset *dataset, struct cn_error *error);

bool cn_dataset_cifar_recognize(const struct cn_dataset_request *request);
bool cn_dataset_cifar_has_split(const struct cn_dataset_request *request);
enum cn_status cn_dataset_cifar_read(const struct cn_dataset_request *request,
                                     struct cn_dataset *dataset, struct cn_error *error);

#endif
