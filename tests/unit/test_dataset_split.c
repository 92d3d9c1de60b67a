/* test_dataset_split.c: which samples are kept for validation: the same share of each class, drawn
 * with the seed; the last ones with Keras's order; or separate folders. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/dataset.h"
#include "support/folder.h"

/* Pictures of one pixel whose value is the sample's number: `sizes[c]` pictures of each class c,
 * class by class. */
static struct cn_dataset *sorted_classes(const size_t *sizes, size_t classes) {
    struct cn_dataset *data = calloc(1, sizeof *data);
    data->shape = cn_shape_image(1, 1, 1);
    data->class_count = classes;
    data->class_names = calloc(classes, sizeof(char *));
    data->images = malloc(256);
    data->labels = malloc(256 * sizeof *data->labels);
    for (size_t c = 0; c < classes; c++) {
        data->class_names[c] = calloc(2, 1);
        for (size_t i = 0; i < sizes[c]; i++) {
            data->images[data->count] = (uint8_t)data->count;
            data->labels[data->count++] = (uint16_t)c;
        }
    }
    return data;
}

static size_t count_label(const struct cn_dataset *data, unsigned label) {
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++)
        count += data->labels[i] == label;
    return count;
}

Test(dataset_split, each_class_gives_its_share) {
    const size_t sizes[] = {100, 50, 7, 1};
    struct cn_dataset *data = sorted_classes(sizes, 4), *first = NULL, *last = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_split(data, 0.2, CN_SPLIT_BY_CLASS, 0, &first, &last, &error), CN_OK,
                 "%s", error.text);
    /* 158 - floor(158 * 0.8) = 32: 20.25, 10.13, 1.42 and 0.2, of which the third rounds up. */
    cr_assert_eq(last->count, 32);
    cr_assert_eq(count_label(last, 0), 20);
    cr_assert_eq(count_label(last, 1), 10);
    cr_assert_eq(count_label(last, 2), 2);
    cr_assert_eq(count_label(last, 3), 0, "the only one of its class is trained on");
    cr_assert_eq(first->count + last->count, data->count);
    int seen[256] = {0}, straight = 0;
    for (size_t i = 0; i < first->count; i++) {
        seen[first->images[i]]++;
        cr_assert_eq(first->labels[i], data->labels[first->images[i]]);
        cr_assert(i == 0 || first->images[i] > first->images[i - 1], "the order stays");
    }
    for (size_t i = 0; i < last->count; i++) {
        seen[last->images[i]]++;
        cr_assert_eq(last->labels[i], data->labels[last->images[i]]);
        straight += i > 0 && last->images[i] == last->images[i - 1] + 1;
    }
    for (size_t i = 0; i < data->count; i++)
        cr_assert_eq(seen[i], 1);
    cr_assert_lt(straight, 16, "they are drawn, not taken in a row");
    cn_dataset_free(first);
    cn_dataset_free(last);
    cn_dataset_free(data);
}

Test(dataset_split, the_seed_says_which) {
    const size_t sizes[] = {60, 60};
    struct cn_dataset *data = sorted_classes(sizes, 2), *first = NULL, *lasts[3];
    const uint64_t seeds[] = {1, 1, 2};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(
            cn_dataset_split(data, 0.25, CN_SPLIT_BY_CLASS, seeds[i], &first, &lasts[i], NULL),
            CN_OK);
        cn_dataset_free(first);
    }
    cr_assert_str_eq(lasts[0]->sha256, lasts[1]->sha256);
    cr_assert_str_neq(lasts[0]->sha256, lasts[2]->sha256);
    for (size_t i = 0; i < 3; i++)
        cn_dataset_free(lasts[i]);
    cn_dataset_free(data);
}

Test(dataset_split, one_sample_a_class_cannot_be_split) {
    const size_t sizes[] = {1, 1, 1};
    struct cn_dataset *data = sorted_classes(sizes, 3), *first = NULL, *last = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_split(data, 0.5, CN_SPLIT_BY_CLASS, 0, &first, &last, &error),
                 CN_INVALID);
    cr_assert_not_null(strstr(error.text, "leaves one part empty"), "%s", error.text);
    cr_assert_null(first);
    cn_dataset_free(data);
}

/* ---- Folders ---- */

static const struct cn_shape shape = {3, {28, 28, 1}};

/* folder/part/{a,b}/x.png, with one pixel of this value. */
static void make_part(const char *folder, const char *part, uint8_t value) {
    char path[FOLDER_PATH], class[FOLDER_PATH], file[FOLDER_PATH];
    uint8_t pixels[784] = {0};
    void *bytes = NULL;
    size_t length = 0;
    pixels[400] = value;
    cr_assert_eq(cn_png_encode(pixels, 28, 28, 1, &bytes, &length, NULL), CN_OK);
    folder_join(path, folder, part);
    cr_assert_eq(mkdir(path, 0700), 0);
    for (int i = 0; i < 2; i++) {
        folder_join(class, path, i == 0 ? "a" : "b");
        cr_assert_eq(mkdir(class, 0700), 0);
        folder_join(file, class, "x.png");
        folder_write(file, bytes, length);
    }
    free(bytes);
}

static int pixel_of(const char *folder, enum cn_split split) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_read(folder, split, &shape, NULL, &data, &error), CN_OK, "%s",
                 error.text);
    cr_assert(data->count == 2 && data->class_count == 2 && !data->whole);
    const int pixel = data->images[400];
    cn_dataset_free(data);
    return pixel;
}

Test(dataset_split, folders_hold_splits_apart) {
    static const char *const names[] = {"val", "validation", "valid"};
    for (size_t i = 0; i < 3; i++) {
        char folder[FOLDER_PATH];
        folder_create(folder);
        make_part(folder, "train", 100);
        cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_VALIDATION));
        cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_TEST));
        make_part(folder, names[i], 150);
        make_part(folder, "test", 200);
        cr_assert(cn_dataset_has_split(folder, CN_SPLIT_VALIDATION));
        cr_assert_eq(pixel_of(folder, CN_SPLIT_TRAIN), 100);
        cr_assert_eq(pixel_of(folder, CN_SPLIT_VALIDATION), 150);
        cr_assert_eq(pixel_of(folder, CN_SPLIT_TEST), 200);
        folder_remove(folder);
    }
}

Test(dataset_split, a_folder_in_one_piece_says_so) {
    char folder[FOLDER_PATH];
    struct cn_dataset *data = NULL;
    folder_create(folder);
    make_part(folder, "some", 9);
    make_part(folder, "other", 9);
    char path[FOLDER_PATH];
    folder_join(path, folder, "some");
    cr_assert(!cn_dataset_has_split(path, CN_SPLIT_TRAIN));
    cr_assert_eq(cn_dataset_read(path, CN_SPLIT_TEST, &shape, NULL, &data, NULL), CN_OK);
    cr_assert(data->whole);
    cn_dataset_free(data);
    folder_remove(folder);
    cr_assert(cn_dataset_has_split(TEST_DATA_DIR "/mnist-sample", CN_SPLIT_TEST));
    cr_assert(!cn_dataset_has_split(TEST_DATA_DIR "/mnist-sample", CN_SPLIT_VALIDATION));
}
