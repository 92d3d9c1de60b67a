/* dataset.h: labelled images in memory.
 *
 * Formats are rows of THE table in src/data/dataset_table.c: IDX pairs (plain or .gz) with MNIST's
 * or EMNIST's file names, NumPy's .npz and .npy, CIFAR's binary files, CSV, and a folder of
 * pictures with one subfolder per class.
 */
#ifndef CONVNET_DATASET_H
#define CONVNET_DATASET_H

#include <stdint.h>

#include "convnet/image.h"

CN_DECLARATIONS_BEGIN

enum cn_split { CN_SPLIT_TRAIN = 0, CN_SPLIT_TEST, CN_SPLIT_VALIDATION };
extern const char *const cn_split_names[]; /* "train", "test", "validation", NULL */

/* The storage of a data set's images: memory if they have at most `memory` bytes, else a file
 * without a name in `folder` (NULL: $TMPDIR, or /var/tmp), of which the system keeps in memory as
 * much as fits. All zero: memory, whatever their size. */
struct cn_dataset_storage {
    size_t memory;
    const char *folder; /* borrowed as long as there is the data set */
};

struct cn_dataset {
    struct cn_shape shape; /* of one image, rank 3 */
    size_t count;
    uint8_t *images;  /* [count, shape], 0 background to 255 ink */
    uint16_t *labels; /* [count], each below class_count */
    float *weights;   /* [count], the samples'; NULL: all 1 */
    char **names;     /* [count], the pictures' files; NULL: they have none */
    size_t class_count;
    char **class_names; /* [class_count] */
    char sha256[65];    /* of images and labels as they lie in memory */
    /* The preprocessing of the network's input: cn_preprocessing_normalize. Zeroed: none. */
    struct cn_preprocessing normalization;
    size_t left_out; /* number of files that are not pictures */
    bool whole;      /* the data have no splits: every split is all of them */
    struct cn_dataset_storage storage;
    size_t mapped; /* bytes of the file that holds the images; 0: they are in memory */
    int file;      /* its descriptor, if there is one */
};

/* Reads one split of the data in folder `path`, trying each format in turn.
 * IDX: train-images-idx3-ubyte[.gz] + train-labels-idx1-ubyte[.gz], t10k-... for the test split,
 * EMNIST's emnist-<set>-{train,test}-{images-idx3,labels-idx1}-ubyte[.gz] (transposed there, put
 * upright here; of several sets `path` names one, DIR/emnist-letters, and the set's mapping file
 * beside it names the classes). Picture folder: subfolders `train` and `test`, and `val` or
 * `validation`, if one of the first two exists, else `path` itself is any split; one subfolder a
 * class, sorted by name ("10" after "9" when all are numbers); pictures go through cn_preprocess to
 * `shape`. Labels: labels.csv beside the pictures (see src/data/dataset_labels.c). `shape` (may be
 * NULL for IDX: the file's own) is what the network takes. IDX images of another size go through
 * cn_preprocess to it, if `preprocessing` is given: see cn_dataset_prepare; without, another shape
 * is CN_INVALID naming both. Caller frees with cn_dataset_free. */
enum cn_status cn_dataset_read(const char *path, enum cn_split split, const struct cn_shape *shape,
                               const struct cn_preprocessing *preprocessing,
                               struct cn_dataset **ret_dataset, struct cn_error *error);

/* The same, and says where the images shall lie; storage NULL: in memory. */
enum cn_status cn_dataset_read_to(const char *path, enum cn_split split,
                                  const struct cn_shape *shape,
                                  const struct cn_preprocessing *preprocessing,
                                  const struct cn_dataset_storage *storage,
                                  struct cn_dataset **ret_dataset, struct cn_error *error);

/* Says which samples will be looked at soon, so that what lies in a file is read meanwhile. */
void cn_dataset_expect(const struct cn_dataset *dataset, const uint32_t *samples, size_t count);

/* True if the data in `path` have this split separately, so that it can be read alone. */
bool cn_dataset_has_split(const char *path, enum cn_split split);

/* Reads one IDX image file (plain or .gz), without labels (labels NULL, class_count 0). */
enum cn_status cn_dataset_read_images(const char *path, struct cn_dataset **ret_dataset,
                                      struct cn_error *error);

/* Converts one-channel images of any size to `shape` by cn_preprocess. IDX's polarity is known (255
 * is ink), so nothing is inverted. A blank image stays blank: all zeros. The checksum becomes that
 * of the new images. CN_UNSUPPORTED: more than one channel on either side; CN_MEMORY. */
enum cn_status cn_dataset_prepare(struct cn_dataset *dataset,
                                  const struct cn_preprocessing *preprocessing,
                                  const struct cn_shape *shape, struct cn_error *error);

/* The choice of the samples for validation. */
enum cn_split_order {
    CN_SPLIT_BY_CLASS = 0, /* the same share of each class, drawn with the seed */
    CN_SPLIT_TAIL          /* the last ones, as Keras's fit does */
};
extern const char *const cn_split_order_names[]; /* "by-class", "tail", NULL */

/* Parts the samples in two, each in its old order: ret_last gets as many as Keras's
 * validation_split gives, count - floor(count * (1 - fraction)), of which each class has its share
 * (by the method of largest remainders) but never all it has. The same seed and data give the same
 * parts. Both results borrow nothing: caller frees each with cn_dataset_free. CN_INVALID unless
 * 0 < fraction < 1 and neither part is empty. */
enum cn_status cn_dataset_split(const struct cn_dataset *dataset, double fraction,
                                enum cn_split_order order, uint64_t seed,
                                struct cn_dataset **ret_first, struct cn_dataset **ret_last,
                                struct cn_error *error);

/* Appends the samples of `more` to `dataset`; both must have the same shape and the same classes in
 * the same order (CN_INVALID). The checksum becomes that of all samples; nothing changes after a
 * failure. The caller keeps `more`. CN_MEMORY. */
enum cn_status cn_dataset_append(struct cn_dataset *dataset, const struct cn_dataset *more,
                                 struct cn_error *error);

void cn_dataset_free(struct cn_dataset *dataset);

CN_DECLARATIONS_END

#endif
