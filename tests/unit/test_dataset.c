/* test_dataset.c: IDX folders as labelled data, and what all datasets have in common. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/dataset.h"
#include "support/folder.h"

#define SAMPLE TEST_DATA_DIR "/mnist-sample"

/* Writes `count` images of 2 rows x 3 columns, samples 0, 1, 2, ..., and their labels. */
static void write_pair(const char *folder, const char *prefix, unsigned char count,
                       unsigned char label_count, unsigned char label) {
    unsigned char images[16 + 255 * 6] = {0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 3};
    unsigned char labels[8 + 255] = {0, 0, 8, 1, 0, 0, 0, label_count};
    char path[FOLDER_PATH], name[256];
    for (int i = 0; i < count * 6; i++)
        images[16 + i] = (unsigned char)i;
    memset(labels + 8, label, label_count);
    (void)snprintf(name, sizeof name, "%simages-idx3-ubyte", prefix);
    folder_join(path, folder, name);
    folder_write(path, images, 16 + (size_t)count * 6);
    (void)snprintf(name, sizeof name, "%slabels-idx1-ubyte", prefix);
    folder_join(path, folder, name);
    folder_write(path, labels, 8 + (size_t)label_count);
}

static enum cn_status read_split(const char *folder, enum cn_split split,
                                 struct cn_dataset **ret_dataset, struct cn_error *error) {
    return cn_dataset_read(folder, split, NULL, NULL, ret_dataset, error);
}

Test(dataset, mnist_sample) {
    static const uint8_t train[] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4};
    static const uint8_t test[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    cr_assert_eq(read_split(SAMPLE, CN_SPLIT_TRAIN, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert_eq(dataset->count, 400);
    cr_assert(dataset->class_count == 10 && strcmp(dataset->class_names[9], "9") == 0);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(dataset->labels[i], train[i]);
    cr_assert_eq(strlen(dataset->sha256), 64);
    cn_dataset_free(dataset);
    cr_assert_eq(read_split(SAMPLE, CN_SPLIT_TEST, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert(dataset->count == 200 && dataset->class_count == 10);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(dataset->labels[i], test[i]);
    cn_dataset_free(dataset);
}

Test(dataset, images_of_another_size_are_prepared) {
    const struct cn_shape larger = cn_shape_image(56, 56, 1), vector = cn_shape_vector(784);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&larger);
    struct cn_dataset *dataset = NULL, *own = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_read(SAMPLE, CN_SPLIT_TEST, NULL, NULL, &own, NULL), CN_OK);
    cr_assert_eq(cn_dataset_read(SAMPLE, CN_SPLIT_TEST, &larger, &preprocessing, &dataset, &error),
                 CN_OK, "%s", error.text);
    cr_assert_eq(dataset->count, own->count);
    cr_assert(cn_shape_equal(&dataset->shape, &larger));
    cr_assert_str_neq(dataset->sha256, own->sha256);
    for (size_t i = 0; i < dataset->count; i++) {
        int left = 56, right = 0, top = 56, bottom = 0;
        for (int k = 0; k < 56 * 56; k++) {
            if (dataset->images[i * 56 * 56 + (size_t)k] < 64)
                continue;
            left = k % 56 < left ? k % 56 : left;
            right = k % 56 > right ? k % 56 : right;
            top = k / 56 < top ? k / 56 : top;
            bottom = k / 56;
        }
        const int longer = right - left > bottom - top ? right - left + 1 : bottom - top + 1;
        cr_assert(longer >= 37 && longer <= 40, "image %zu is %d long", i, longer);
        cr_assert_eq(dataset->labels[i], own->labels[i]);
    }
    cn_dataset_free(dataset);
    cr_assert_eq(cn_dataset_read(SAMPLE, CN_SPLIT_TEST, &vector, &preprocessing, &dataset, &error),
                 CN_INVALID);
    cn_dataset_free(own);
}

Test(dataset, a_blank_image_stays_blank) {
    const struct cn_shape shape = cn_shape_image(28, 28, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    struct cn_dataset dataset = {
        .shape = cn_shape_image(16, 16, 1), .count = 2, .images = calloc(2, 256)};
    int ink = 0;
    memset(dataset.images + 256 + 16 * 7, 255, 16 * 2); /* the second row has a bar */
    cr_assert_eq(cn_dataset_prepare(&dataset, &preprocessing, &shape, NULL), CN_OK);
    for (int i = 0; i < 784; i++) {
        cr_assert_eq(dataset.images[i], 0);
        ink += dataset.images[784 + i] > 128;
    }
    cr_assert_geq(ink, 20);
    free(dataset.images);
}

Test(dataset, shape_must_fit) {
    const struct cn_shape shape = cn_shape_image(32, 32, 3);
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_read(SAMPLE, CN_SPLIT_TEST, &shape, NULL, &dataset, &error),
                 CN_INVALID);
    cr_assert_not_null(strstr(error.text, "(28, 28, 1)"), "%s", error.text);
    cr_assert_not_null(strstr(error.text, "(32, 32, 3)"), "%s", error.text);
    cr_assert_null(dataset);
}

Test(dataset, images_alone) {
    struct cn_dataset *dataset = NULL;
    cr_assert_eq(cn_dataset_read_images(SAMPLE "/t10k-images-idx3-ubyte.gz", &dataset, NULL),
                 CN_OK);
    cr_assert(dataset->count == 200 && dataset->labels == NULL && dataset->class_count == 0);
    cn_dataset_free(dataset);
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_read_images(SAMPLE "/t10k-labels-idx1-ubyte.gz", &dataset, &error),
                 CN_MALFORMED);
    cr_assert_not_null(strstr(error.text, "magic"));
}

Test(dataset, plain_files_and_rectangles) {
    char folder[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    folder_create(folder);
    write_pair(folder, "train-", 4, 4, 0);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, NULL), CN_OK);
    cr_assert(dataset->shape.dims[0] == 2 && dataset->shape.dims[1] == 3);
    cr_assert(dataset->images[7] == 7 && dataset->class_count == 2);
    cn_dataset_free(dataset);
    folder_remove(folder);
}

Test(dataset, emnist_is_put_upright) {
    char folder[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    folder_create(folder);
    write_pair(folder, "emnist-letters-train-", 3, 3, 26);
    write_pair(folder, "emnist-letters-test-", 2, 2, 25);
    cr_assert_eq(read_split(folder, CN_SPLIT_TEST, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert(dataset->count == 2 && dataset->class_count == 27);
    cr_assert(dataset->shape.dims[0] == 3 && dataset->shape.dims[1] == 2);
    /* Stored 0 1 2 / 3 4 5: upright 0 3 / 1 4 / 2 5. */
    cr_assert_eq(memcmp(dataset->images, (const uint8_t[6]){0, 3, 1, 4, 2, 5}, 6), 0);
    cn_dataset_free(dataset);
    folder_remove(folder);
}

Test(dataset, emnist_s_mapping_names_the_classes) {
    static const char mapping[] = "1 65 97 \n2 66 98\r\n25 89 121\n26 90 122\n";
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0}, lacks = {0}, bad = {0};
    folder_create(folder);
    write_pair(folder, "emnist-letters-train-", 3, 3, 26);
    folder_join(path, folder, "emnist-letters-mapping.txt");
    folder_write(path, mapping, sizeof mapping - 1);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert_eq(dataset->class_count, 4);
    cr_assert_str_eq(dataset->class_names[0], "A");
    cr_assert_str_eq(dataset->class_names[3], "Z");
    cr_assert(dataset->labels[0] == 3 && dataset->labels[2] == 3);
    cn_dataset_free(dataset);
    dataset = NULL;
    write_pair(folder, "emnist-letters-train-", 3, 3, 7);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &lacks), CN_INVALID);
    cr_assert_not_null(strstr(lacks.text, "label 7"), "%s", lacks.text);
    folder_write(path, "1 65\n1 66\n", 10);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &bad), CN_MALFORMED);
    cr_assert_not_null(strstr(bad.text, "1 66"), "%s", bad.text);
    cr_assert_null(dataset);
    folder_remove(folder);
}

Test(dataset, of_several_sets_one_must_be_named) {
    static const char *const names[] = {"emnist-digits", "digits"};
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    folder_create(folder);
    write_pair(folder, "emnist-letters-train-", 3, 3, 26);
    write_pair(folder, "emnist-digits-train-", 2, 2, 9);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "emnist-digits, emnist-letters"), "%s", error.text);
    for (size_t i = 0; i < 2; i++) {
        folder_join(path, folder, names[i]);
        cr_assert_eq(read_split(path, CN_SPLIT_TRAIN, &dataset, NULL), CN_OK);
        cr_assert(dataset->count == 2 && dataset->class_count == 10);
        cn_dataset_free(dataset);
    }
    folder_remove(folder);
}

Test(dataset, pairs_that_do_not_fit) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error counts = {0}, label = {0}, missing = {0};
    folder_create(folder);
    write_pair(folder, "train-", 4, 3, 1);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &counts), CN_INVALID);
    cr_assert_not_null(strstr(counts.text, "4 images but 3 labels"), "%s", counts.text);
    write_pair(folder, "train-", 4, 4, 1);
    write_pair(folder, "t10k-", 2, 2, 7);
    cr_assert_eq(read_split(folder, CN_SPLIT_TEST, &dataset, &label), CN_INVALID);
    cr_assert_not_null(strstr(label.text, "label 7"), "%s", label.text);
    folder_join(path, folder, "t10k-labels-idx1-ubyte");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(read_split(folder, CN_SPLIT_TEST, &dataset, &missing), CN_IO);
    cr_assert_not_null(strstr(missing.text, "t10k-labels-idx1-ubyte"), "%s", missing.text);
    cr_assert_null(dataset);
    folder_remove(folder);
}

Test(dataset, folders_that_hold_none) {
    char folder[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error empty = {0}, none = {0}, file = {0};
    folder_create(folder);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &empty), CN_INVALID);
    cr_assert_not_null(strstr(empty.text, "no known data set, which would be MNIST"), "%s",
                       empty.text);
    folder_remove(folder);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &none), CN_IO);
    cr_assert_str_eq(none.source, folder);
    cr_assert_eq(read_split(SAMPLE "/t10k-labels-idx1-ubyte.gz", CN_SPLIT_TRAIN, &dataset, &file),
                 CN_IO);
    cr_assert_not_null(strstr(file.text, "is a file"), "%s", file.text);
}

Test(dataset, appends_what_has_the_same_classes_and_shape) {
    struct cn_dataset *dataset = NULL, *more = NULL;
    struct cn_error shape = {0}, classes = {0};
    cr_assert_eq(read_split(SAMPLE, CN_SPLIT_TRAIN, &dataset, NULL), CN_OK);
    cr_assert_eq(read_split(SAMPLE, CN_SPLIT_TEST, &more, NULL), CN_OK);
    char before[sizeof dataset->sha256];
    memcpy(before, dataset->sha256, sizeof before);
    cr_assert_eq(cn_dataset_append(dataset, more, NULL), CN_OK);
    cr_assert_eq(dataset->count, 600);
    cr_assert_eq(memcmp(dataset->images + 400 * 784, more->images, 200 * 784), 0);
    cr_assert_eq(memcmp(dataset->labels + 400, more->labels, 200 * sizeof *more->labels), 0);
    cr_assert_str_neq(dataset->sha256, before);
    free(more->class_names[9]);
    more->class_names[9] = strdup("nine");
    cr_assert_eq(cn_dataset_append(dataset, more, &classes), CN_INVALID);
    cr_assert_not_null(strstr(classes.text, "is \"nine\""), "%s", classes.text);
    more->shape = cn_shape_image(14, 56, 1);
    cr_assert_eq(cn_dataset_append(dataset, more, &shape), CN_INVALID);
    cr_assert_not_null(strstr(shape.text, "(14, 56, 1)"), "%s", shape.text);
    cr_assert_eq(dataset->count, 600);
    cn_dataset_free(dataset);
    cn_dataset_free(more);
}

Test(dataset, split_as_keras_does) {
    struct cn_dataset *dataset = NULL, *first = NULL, *last = NULL;
    cr_assert_eq(read_split(SAMPLE, CN_SPLIT_TRAIN, &dataset, NULL), CN_OK);
    cr_assert_eq(cn_dataset_split(dataset, 0.1, CN_SPLIT_TAIL, 0, &first, &last, NULL), CN_OK);
    cr_assert(first->count == 360 && last->count == 40);
    cr_assert_eq(memcmp(last->images, dataset->images + 360 * 784, 40 * 784), 0);
    cr_assert_eq(memcmp(last->labels, dataset->labels + 360, 40 * sizeof *last->labels), 0);
    cr_assert(last->class_count == 10 && strcmp(last->class_names[3], "3") == 0);
    cr_assert_str_neq(first->sha256, last->sha256);
    cr_assert_str_neq(first->sha256, dataset->sha256);
    cn_dataset_free(first);
    cn_dataset_free(last);
    static const double wrong[] = {0.0, 1.0, -0.5, 0.9999, 1e-9};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cn_error error = {0};
        first = last = NULL;
        const enum cn_status status =
            cn_dataset_split(dataset, wrong[i], CN_SPLIT_TAIL, 0, &first, &last, &error);
        if (wrong[i] == 1e-9) { /* one sample, the least that floor() splits off */
            cr_assert(status == CN_OK && last->count == 1);
            cn_dataset_free(first);
            cn_dataset_free(last);
        } else {
            cr_assert_eq(status, CN_INVALID, "fraction %g", wrong[i]);
            cr_assert_null(first);
        }
    }
    cn_dataset_free(dataset);
    cn_dataset_free(NULL);
}
