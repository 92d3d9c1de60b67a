/* test_dataset_labels.c: pictures with a labels.csv, weights of samples, and images that are kept
 * in a file because memory is short. */
#include <criterion/criterion.h>
#include <string.h>

#include "convnet/dataset.h"
#include "data/dataset_table.h"
#include "support/folder.h"

static const struct cn_shape shape = {.rank = 3, .dims = {4, 4, 1}};

static void write_text(const char *folder, const char *name, const char *text) {
    char path[FOLDER_PATH];
    folder_join(path, folder, name);
    folder_write(path, text, strlen(text));
}

/* A grey picture of 4 x 4 pixels with one value. */
static void write_picture(const char *folder, const char *name, int tone) {
    char path[FOLDER_PATH], bytes[32] = "P5 4 4 255\n";
    const size_t head = strlen(bytes);
    memset(bytes + head, tone, 16);
    folder_join(path, folder, name);
    folder_write(path, bytes, head + 16);
}

static void make_folder(char path[static FOLDER_PATH], const char *folder, const char *name) {
    folder_join(path, folder, name);
    cr_assert_eq(mkdir(path, 0777), 0);
}

static enum cn_status read_to(const char *folder, enum cn_split split,
                              const struct cn_dataset_storage *storage,
                              struct cn_dataset **ret_data, struct cn_error *error) {
    struct cn_preprocessing plain = cn_preprocessing_default(&shape);
    plain.fit = CN_FIT_STRETCH;
    plain.invert = false;
    return cn_dataset_read_to(folder, split, &shape, &plain, storage, ret_data, error);
}

static struct cn_dataset *read_good(const char *folder, enum cn_split split) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    cr_assert_eq(read_to(folder, split, NULL, &data, &error), CN_OK, "%s", error.text);
    return data;
}

static void expect_error(const char *folder, enum cn_split split, const char *word) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    cr_expect_neq(read_to(folder, split, NULL, &data, &error), CN_OK, "%s", word);
    cr_expect_not_null(strstr(error.text, word), "'%s' lacks '%s'", error.text, word);
    cr_assert_null(data);
}

/* Four pictures with the values 10, 20, 30 and 40. */
static void make_pictures(const char *folder) {
    write_picture(folder, "a.pgm", 10);
    write_picture(folder, "b, or so.pgm", 20);
    write_picture(folder, "c.pgm", 30);
    write_picture(folder, "d.pgm", 40);
}

Test(dataset_labels, names_classes_and_weights) {
    char folder[FOLDER_PATH];
    folder_create(folder);
    make_pictures(folder);
    write_text(folder, "labels.csv",
               "weight,filename,label\r\n1,c,dog\r\n0.5,\"b, or so.pgm\",\"a "
               "\"\"cat\"\"\"\r\n2,a.pgm,dog");
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 3 && data->class_count == 2 && data->whole);
    cr_assert_str_eq(data->class_names[0], "a \"cat\"");
    cr_assert_str_eq(data->class_names[1], "dog");
    cr_assert(data->labels[0] == 1 && data->labels[1] == 0 && data->labels[2] == 1);
    cr_assert(data->images[0] == 30 && data->images[16] == 20 && data->images[32] == 10);
    cr_assert(data->weights[0] == 1 && data->weights[1] == 0.5f && data->weights[2] == 2);
    cr_assert_str_eq(data->names[0], "c.pgm");
    cr_assert_str_eq(data->names[1], "b, or so.pgm");
    cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_TEST));
    cn_dataset_free(data);
    folder_remove(folder);
}

Test(dataset_labels, a_column_parts_the_splits) {
    char folder[FOLDER_PATH];
    folder_create(folder);
    make_pictures(folder);
    write_text(folder, "labels.csv",
               "file;class;split\na.pgm;10;train\nc.pgm;9;train\nd.pgm;2;Test\n");
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 2 && data->class_count == 3 && !data->whole && data->weights == NULL);
    cr_assert_str_eq(data->class_names[2], "10", "numbers are in order of their value");
    cr_assert(data->labels[0] == 2 && data->labels[1] == 1);
    cn_dataset_free(data);
    data = read_good(folder, CN_SPLIT_TEST);
    cr_assert(data->count == 1 && data->labels[0] == 0 && data->images[0] == 40);
    cn_dataset_free(data);
    cr_assert(cn_dataset_has_split(folder, CN_SPLIT_TEST));
    cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_VALIDATION));
    expect_error(folder, CN_SPLIT_VALIDATION, "names no picture of the split validation");
    folder_remove(folder);
}

Test(dataset_labels, folders_of_splits_and_kaggle_s_train_csv) {
    char folder[FOLDER_PATH], train[FOLDER_PATH];
    folder_create(folder);
    make_folder(train, folder, "train");
    make_pictures(train);
    write_text(train, "labels.csv", "a.pgm,x\nd.pgm,y\n"); /* no head */
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 2 && data->class_count == 2 && !data->whole);
    cn_dataset_free(data);
    folder_join(train, folder, "train/labels.csv");
    cr_assert_eq(unlink(train), 0);
    write_text(folder, "train.csv", "id,target\na,x\nd,y\nc,x\n");
    data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 3 && data->images[16] == 40 && !data->whole);
    cn_dataset_free(data);
    cr_assert(cn_dataset_has_split(folder, CN_SPLIT_TRAIN));
    folder_remove(folder);
}

Test(dataset_labels, bad_rows_are_named_by_line) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"file,label\na.pgm,x\nnone.pgm,y\n", "line 3 names the picture 'none.pgm'"},
        {"file,label\na.pgm,x\nc.pgm\n", "line 3 lacks"},
        {"file,label\na.pgm,x\n,y\n", "line 3 lacks"},
        {"file,label\na.pgm,x\nc.pgm,x\n", "names 1 classes"},
        {"file,label,weight\na.pgm,x,1\nc.pgm,y,-1\n", "line 3: '-1' is not a weight"},
        {"file,label,weight\na.pgm,x,nan\n", "'nan' is not a weight"},
        {"file,label\n", "names 0 classes"},
        {"file,label\na.pgm,x\nlabels.csv,y\n", "labels.csv"},
    };
    char folder[FOLDER_PATH];
    folder_create(folder);
    make_pictures(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_dataset *data = NULL;
        struct cn_error error = {0};
        write_text(folder, "labels.csv", cases[i].text);
        cr_expect_neq(read_to(folder, CN_SPLIT_TRAIN, NULL, &data, &error), CN_OK, "%zu", i);
        cr_expect(strstr(error.text, cases[i].word) != NULL ||
                      strstr(error.source, cases[i].word) != NULL,
                  "'%s: %s' lacks '%s'", error.source, error.text, cases[i].word);
        cn_dataset_free(data);
    }
    folder_remove(folder);
}

/* ---- Weights and names stay with their samples ---- */

Test(dataset_labels, a_split_keeps_weights_and_names) {
    char folder[FOLDER_PATH];
    struct cn_dataset *first = NULL, *last = NULL;
    folder_create(folder);
    make_pictures(folder);
    write_text(folder, "labels.csv", "file,label,weight\na.pgm,x,1\nc.pgm,y,3\nd.pgm,y,4\n");
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert_eq(cn_dataset_split(data, 0.34, CN_SPLIT_TAIL, 0, &first, &last, NULL), CN_OK);
    cr_assert(first->count == 1 && last->count == 2);
    cr_assert(first->weights[0] == 1 && last->weights[0] == 3 && last->weights[1] == 4);
    cr_assert_str_eq(last->names[1], "d.pgm");
    cr_assert_eq(cn_dataset_append(first, last, NULL), CN_OK);
    cr_assert(first->count == 3 && first->weights[2] == 4 && first->images[32] == 40);
    cn_dataset_free(first);
    cn_dataset_free(last);
    cn_dataset_free(data);
    folder_remove(folder);
}

/* ---- Data larger than the memory ---- */

Test(dataset_labels, images_in_a_file_are_the_same) {
    char folder[FOLDER_PATH], name[32], text[4096] = "file,label\n";
    const struct cn_dataset_storage storage = {.memory = 100}, nowhere = {100, "/proc/none"};
    struct cn_dataset *mapped = NULL, *first = NULL, *last = NULL;
    struct cn_error error = {0};
    const uint32_t soon[] = {199, 0, 7};
    folder_create(folder);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "%d.pgm", i);
        write_picture(folder, name, i);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s,%c\n", name,
                       i % 3 == 0 ? 'a' : 'b');
    }
    write_text(folder, "labels.csv", text);
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert_eq(read_to(folder, CN_SPLIT_TRAIN, &storage, &mapped, &error), CN_OK, "%s",
                 error.text);
    cr_assert(data->mapped == 0 && mapped->mapped > 0);
    cr_assert_str_eq(mapped->sha256, data->sha256);
    cn_dataset_expect(mapped, soon, 3);
    cr_assert_eq(cn_dataset_split(mapped, 0.1, CN_SPLIT_BY_CLASS, 0, &first, &last, NULL), CN_OK);
    cr_assert(first->mapped > 0 && last->mapped > 0);
    cr_assert_eq(cn_dataset_append(first, last, NULL), CN_OK);
    cr_assert_eq(first->count, 200);
    cn_dataset_free(first);
    cn_dataset_free(last);
    first = NULL;
    cr_assert_eq(read_to(folder, CN_SPLIT_TRAIN, &nowhere, &first, &error), CN_IO);
    cr_assert_not_null(strstr(error.text, "too many for memory"), "%s", error.text);
    cn_dataset_free(mapped);
    cn_dataset_free(data);
    folder_remove(folder);
}

/* While a CSV is read, its images move from memory to a file. */
Test(dataset_labels, a_csv_grows_into_a_file) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    static char text[64 * 2000] = "label,weight,a,b,c,d\n";
    const struct cn_dataset_storage storage = {.memory = 3000};
    struct cn_dataset *data = NULL, *mapped = NULL;
    size_t used = strlen(text);
    folder_create(folder);
    for (int i = 0; i < 2000; i++)
        used += (size_t)sprintf(text + used, "%d,%d.5,%d,2,3,%d\n", i % 5, i % 7, i % 256, i / 8);
    folder_join(path, folder, "train.csv");
    folder_write(path, text, used);
    cr_assert_eq(cn_dataset_read(folder, CN_SPLIT_TRAIN, NULL, NULL, &data, NULL), CN_OK);
    cr_assert_eq(cn_dataset_read_to(folder, CN_SPLIT_TRAIN, NULL, NULL, &storage, &mapped, NULL),
                 CN_OK);
    cr_assert(mapped->mapped > 0 && data->mapped == 0 && data->weights[8] == 1.5f);
    cr_assert_str_eq(mapped->sha256, data->sha256);
    cn_dataset_free(data);
    cn_dataset_free(mapped);
    folder_remove(folder);
}
