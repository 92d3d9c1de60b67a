/* dataset.h: labelled images in memory.
 *
 * Formats are rows of THE table in src/data/dataset_table.c: IDX pairs (plain or .gz) with MNIST's
 * or EMNIST's file names, and a folder of PNGs with one subfolder a class.
 */
#ifndef CONVNET_DATASET_H
#define CONVNET_DATASET_H

#include <stdint.h>

#include "convnet/image.h"

enum cn_split { CN_SPLIT_TRAIN = 0, CN_SPLIT_TEST };

struct cn_dataset {
    struct cn_shape shape; /* of one image, rank 3 */
    size_t count;
    uint8_t *images;  /* [count, shape], 0 background to 255 ink */
    uint16_t *labels; /* [count], each below class_count */
    size_t class_count;
    char **class_names; /* [class_count] */
    char sha256[65];    /* of images and labels as they lie in memory */
    /* What the network takes them through: cn_preprocessing_normalize. Zeroed: nothing. */
    struct cn_preprocessing normalization;
};

/* Reads one split of the data in folder `path`, trying each format in turn.
 * IDX: train-images-idx3-ubyte[.gz] + train-labels-idx1-ubyte[.gz], t10k-... for the test split,
 * EMNIST's emnist-<set>-{train,test}-{images-idx3,labels-idx1}-ubyte[.gz] (transposed there, put
 * upright here). PNG folder: subfolders `train`/`test` if they exist, else `path` itself is either
 * split; one subfolder a class, sorted by name ("10" after "9" when all are numbers); pictures go
 * through cn_preprocess to `shape`.
 * `shape` (may be NULL for IDX: the file's own) is what the network takes. IDX images of another
 * size go through cn_preprocess to it, if `preprocessing` is given: see cn_dataset_prepare;
 * without, another shape is CN_INVALID naming both. Caller frees with cn_dataset_free. */
enum cn_status cn_dataset_read(const char *path, enum cn_split split, const struct cn_shape *shape,
                               const struct cn_preprocessing *preprocessing,
                               struct cn_dataset **ret_dataset, struct cn_error *error);

/* Reads one IDX image file (plain or .gz), without labels (labels NULL, class_count 0). */
enum cn_status cn_dataset_read_images(const char *path, struct cn_dataset **ret_dataset,
                                      struct cn_error *error);

/* Turns one-channel images of any size into images of `shape` by cn_preprocess, but that IDX says
 * what is ink (255 on 0), so nothing is inverted. A blank image stays blank: all zeros. The
 * checksum becomes that of the new images. CN_UNSUPPORTED: more than one channel on either side;
 * CN_MEMORY. */
enum cn_status cn_dataset_prepare(struct cn_dataset *dataset,
                                  const struct cn_preprocessing *preprocessing,
                                  const struct cn_shape *shape, struct cn_error *error);

/* Splits off the last `fraction` of the samples, as Keras's validation_split does. Both results
 * borrow nothing: caller frees each with cn_dataset_free. 0 < fraction < 1 and neither empty. */
enum cn_status cn_dataset_split(const struct cn_dataset *dataset, double fraction,
                                struct cn_dataset **ret_first, struct cn_dataset **ret_last,
                                struct cn_error *error);

/* Puts the samples of `more` behind those of `dataset`; both must have the same shape and the same
 * classes in the same order (CN_INVALID). The checksum becomes that of all; nothing changes on
 * failure. `more` stays the caller's. CN_MEMORY. */
enum cn_status cn_dataset_append(struct cn_dataset *dataset, const struct cn_dataset *more,
                                 struct cn_error *error);

void cn_dataset_free(struct cn_dataset *dataset);

#endif
