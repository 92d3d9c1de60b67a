/* test_png_folder.c: a folder of PNGs with one subfolder per class. */
#include <criterion/criterion.h>
#include <string.h>

#include "convnet/dataset.h"
#include "support/folder.h"

static const struct cn_shape shape = {3, {28, 28, 1}};

static void make_folder(char path[static FOLDER_PATH], const char *folder, const char *name) {
    folder_join(path, folder, name);
    cr_assert_eq(mkdir(path, 0700), 0);
}

/* A dark 28 x 28 picture with one pixel of this value. */
static void write_picture(const char *folder, const char *name, uint8_t value) {
    uint8_t pixels[784] = {0};
    char path[FOLDER_PATH];
    void *bytes = NULL;
    size_t length = 0;
    pixels[400] = value;
    cr_assert_eq(cn_png_encode(pixels, 28, 28, 1, &bytes, &length, NULL), CN_OK);
    folder_join(path, folder, name);
    folder_write(path, bytes, length);
    free(bytes);
}

static enum cn_status read_split(const char *folder, enum cn_split split,
                                 struct cn_dataset **ret_dataset, struct cn_error *error) {
    return cn_dataset_read(folder, split, &shape, NULL, ret_dataset, error);
}

Test(png_folder, classes_and_files_are_sorted) {
    static const char *const classes[] = {"10", "9", "1"};
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    folder_create(folder);
    for (uint8_t i = 0; i < 3; i++) {
        make_folder(path, folder, classes[i]);
        write_picture(path, "b.png", (uint8_t)(100 + i));
        write_picture(path, "a.png", (uint8_t)(200 + i));
        write_picture(path, ".hidden", 50);
    }
    folder_join(path, folder, "README");
    folder_write(path, "not a class", 11);
    cr_assert_eq(read_split(folder, CN_SPLIT_TEST, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert(dataset->count == 6 && dataset->class_count == 3);
    static const char *const names[] = {"1", "9", "10"};
    static const uint8_t values[] = {202, 102, 201, 101, 200, 100};
    for (size_t i = 0; i < 3; i++)
        cr_assert_str_eq(dataset->class_names[i], names[i]);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(dataset->labels[i], i / 2);
        cr_assert_eq(dataset->images[i * 784 + 400], values[i]);
        cr_assert_eq(dataset->images[i * 784], 0);
    }
    cn_dataset_free(dataset);
    folder_remove(folder);
}

Test(png_folder, train_and_test) {
    char folder[FOLDER_PATH], split[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    folder_create(folder);
    make_folder(split, folder, "train");
    for (int i = 0; i < 2; i++) {
        make_folder(path, split, i == 0 ? "cat" : "bird");
        write_picture(path, "x.png", 99);
    }
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, NULL), CN_OK);
    cr_assert_str_eq(dataset->class_names[0], "bird");
    cn_dataset_free(dataset);
    dataset = NULL;
    /* There is no test folder: the training data must not be used in its place. */
    cr_assert_eq(read_split(folder, CN_SPLIT_TEST, &dataset, &error), CN_IO);
    cr_assert_not_null(strstr(error.source, "/test"), "%s", error.source);
    cr_assert_null(dataset);
    folder_remove(folder);
}

Test(png_folder, bad_folders) {
    const struct cn_preprocessing digits = cn_preprocessing_digits(&shape);
    char folder[FOLDER_PATH], first[FOLDER_PATH], second[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error one = {0}, empty = {0}, foreign = {0}, left = {0}, blank = {0}, no_shape = {0};
    folder_create(folder);
    make_folder(first, folder, "a");
    write_picture(first, "x.png", 99);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &one), CN_INVALID);
    cr_assert_not_null(strstr(one.text, "has one subfolder, "), "%s", one.text);

    make_folder(second, folder, "b");
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &empty), CN_INVALID);
    cr_assert_str_eq(empty.source, second);

    folder_join(path, second, "notes.txt");
    folder_write(path, "hello, world", 12);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &left), CN_INVALID);
    cr_assert_not_null(strstr(left.text, "without pictures"), "%s", left.text);
    cr_assert_eq(unlink(path), 0);
    folder_join(path, second, "notes.PNG"); /* its name ends like a picture's */
    folder_write(path, "hello, world", 12);
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &foreign), CN_MALFORMED);
    cr_assert_str_eq(foreign.source, path);
    cr_assert_not_null(strstr(foreign.text, "not a picture"), "%s", foreign.text);

    cr_assert_eq(unlink(path), 0);
    write_picture(second, "blank.png", 0);
    cr_assert_eq(cn_dataset_read(folder, CN_SPLIT_TRAIN, &shape, &digits, &dataset, &blank),
                 CN_UNUSABLE);
    cr_assert_not_null(strstr(blank.source, "blank.png"), "%s", blank.source);
    cr_assert_not_null(strstr(blank.text, "blank"), "%s", blank.text);

    cr_assert_eq(cn_dataset_read(folder, CN_SPLIT_TRAIN, NULL, NULL, &dataset, &no_shape),
                 CN_INVALID);
    cr_assert_null(dataset);
    folder_remove(folder);
}

Test(png_folder, folders_within_a_class_belong_to_it_and_other_files_are_counted) {
    char folder[FOLDER_PATH], class[FOLDER_PATH], below[FOLDER_PATH], path[FOLDER_PATH];
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    folder_create(folder);
    for (int i = 0; i < 2; i++) {
        make_folder(class, folder, i == 0 ? "a" : "b");
        make_folder(below, class, "holiday");
        write_picture(below, "x.png", 90);
        write_picture(below, "a picture without an ending", 91);
        folder_join(path, class, "Thumbs.db");
        folder_write(path, "\1\2\3", 3);
        folder_join(path, below, "again");
        cr_assert_eq(symlink("..", path), 0);
    }
    cr_assert_eq(read_split(folder, CN_SPLIT_TRAIN, &dataset, &error), CN_OK, "%s", error.text);
    cr_assert_eq(dataset->count, 4);
    cr_assert_eq(dataset->left_out, 4);
    cr_assert(dataset->labels[1] == 0 && dataset->labels[2] == 1);
    cn_dataset_free(dataset);
    folder_remove(folder);
}
