/* test_data_formats.c: Kaggle's CSV, NumPy's arrays and CIFAR's binary files as labelled data, and
 * the messages for other files. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "convnet/dataset.h"
#include "data/npy.h"
#include "support/folder.h"

static void expect_error(const char *path, enum cn_split split, const char *word) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    cr_expect_neq(cn_dataset_read(path, split, NULL, NULL, &data, &error), CN_OK, "%s", word);
    cr_expect_not_null(strstr(error.text, word), "'%s' lacks '%s'", error.text, word);
    cr_assert_null(data);
}

static struct cn_dataset *read_good(const char *path, enum cn_split split) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_dataset_read(path, split, NULL, NULL, &data, &error), CN_OK, "%s", error.text);
    return data;
}

/* ---- CSV ---- */

static void write_text(char path[static FOLDER_PATH], const char *folder, const char *name,
                       const char *text) {
    folder_join(path, folder, name);
    folder_write(path, text, strlen(text));
}

Test(data_formats, kaggle_s_csv) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    write_text(path, folder, "train.csv",
               "label,pixel0,pixel1,pixel2,pixel3\r\n2,0,1,2,255\r\n\"0\",9,8,7,6\n");
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 2 && data->class_count == 3 && !data->whole);
    cr_assert(data->shape.dims[0] == 2 && data->shape.dims[1] == 2 && data->shape.dims[2] == 1);
    cr_assert(data->labels[0] == 2 && data->labels[1] == 0);
    cr_assert_eq(memcmp(data->images, (const uint8_t[8]){0, 1, 2, 255, 9, 8, 7, 6}, 8), 0);
    cr_assert_str_eq(data->class_names[2], "2");
    cn_dataset_free(data);
    cr_assert(cn_dataset_has_split(folder, CN_SPLIT_TRAIN));
    cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_TEST));
    write_text(path, folder, "test.csv", "pixel0,pixel1,pixel2,pixel3\n1,2,3,4\n");
    cr_assert(!cn_dataset_has_split(folder, CN_SPLIT_TEST), "Kaggle's has no labels");
    expect_error(folder, CN_SPLIT_TEST, "no column called label");
    folder_remove(folder);
}

Test(data_formats, one_csv_file_with_the_label_last_and_no_head) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    write_text(path, folder, "a.csv", "p0,class\n7,1\n5,0\n");
    struct cn_dataset *data = read_good(path, CN_SPLIT_TEST);
    cr_assert(data->whole && data->count == 2 && data->labels[0] == 1 && data->images[1] == 5);
    cn_dataset_free(data);
    write_text(path, folder, "b.csv", "1,7\n0,5\n"); /* without a header the first column is the
                                                      * label */
    data = read_good(path, CN_SPLIT_TRAIN);
    cr_assert(data->count == 2 && data->labels[0] == 1 && data->images[1] == 5);
    cn_dataset_free(data);
    gzFile file = gzopen(path, "wb");
    (void)gzputs(file, "1,7\n0,5\n0,4\n");
    (void)gzclose(file);
    data = read_good(path, CN_SPLIT_TRAIN);
    cr_assert_eq(data->count, 3);
    cn_dataset_free(data);
    folder_remove(folder);
}

/* Fractions make 1 white, until a larger pixel shows that 255 is. */
Test(data_formats, csv_pixels_may_be_fractions) {
    static const struct {
        const char *text;
        uint8_t pixels[4];
    } cases[] = {
        {"0,1\n1,0\n0,1\n0,0\n", {1, 0, 1, 0}},
        {"0,1\n1,0.4\n0,1.0\n0,0\n", {255, 102, 255, 0}},
        {"0,1\n1,0.4\n0,0.7\n0,200\n", {1, 0, 1, 200}},
        {"0,200\n1,0.4\n0,0.7\n0,2.6\n", {200, 0, 1, 3}},
    };
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(path, folder, "x.csv", cases[i].text);
        struct cn_dataset *data = read_good(path, CN_SPLIT_TRAIN);
        cr_assert_eq(data->count, 4);
        for (size_t k = 0; k < 4; k++)
            cr_expect_eq(data->images[k], cases[i].pixels[k], "%zu, %zu: %d", i, k,
                         data->images[k]);
        cn_dataset_free(data);
    }
    folder_remove(folder);
}

Test(data_formats, bad_csv_is_named_by_line) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "is empty"},
        {"label,a\n", "a head but no row"},
        {"label,a,b,c\n1,2,3,4\n", "not a square picture"},
        {"label,a\n1,2\n1\n", "line 3 has fewer columns"},
        {"label,a\n1,2\n1,2,3\n", "line 3 has more columns"},
        {"label,a\n1,256\n", "line 2, column 2: '256'"},
        {"label,a\n-1,25\n", "line 2, column 1: '-1'"},
        {"label,a\n1.5,25\n", "'1.5'"},
        {"label,a\nnan,25\n", "'nan'"},
        {"a,b\n1,25\n", "no column called label"},
        {"1,25\n65535,2\n", "65535"},
    };
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(path, folder, "x.csv", cases[i].text);
        expect_error(path, CN_SPLIT_TRAIN, cases[i].word);
    }
    folder_remove(folder);
}

/* ---- NumPy ---- */

/* Writes an array file to `bytes`; returns its length. */
static size_t make_npy(unsigned char *bytes, const char *type, const char *shape, const void *data,
                       size_t length) {
    char head[119];
    (void)snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                   type, shape);
    memset(bytes + 10, ' ', 118);
    memcpy(bytes, "\x93NUMPY\1\0\x76\0", 10);
    memcpy(bytes + 10, head, strlen(head));
    bytes[127] = '\n';
    memcpy(bytes + 128, data, length);
    return 128 + length;
}

struct zip {
    unsigned char bytes[8192], directory[1024];
    size_t length, directory_length, count;
};

static void put(unsigned char *to, size_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static void add_member(struct zip *zip, const char *name, const unsigned char *data, size_t length,
                       bool packed) {
    unsigned char *local = zip->bytes + zip->length,
                  *entry = zip->directory + zip->directory_length;
    const size_t name_length = strlen(name), begin = zip->length;
    unsigned char *to = local + 30 + name_length;
    size_t size = length;
    if (packed) {
        z_stream stream = {.next_in = (unsigned char *)(uintptr_t)data,
                           .avail_in = (uInt)length,
                           .next_out = to,
                           .avail_out = 4096};
        cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
        cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
        size = stream.total_out;
        (void)deflateEnd(&stream);
    } else {
        memcpy(to, data, length);
    }
    memset(local, 0, 30);
    memcpy(local, "PK\3\4", 4);
    put(local + 26, name_length, 2);
    memcpy(local + 30, name, name_length);
    memset(entry, 0, 46);
    memcpy(entry, "PK\1\2", 4);
    put(entry + 10, packed ? 8 : 0, 2);
    put(entry + 16, crc32_z(crc32_z(0, NULL, 0), data, length), 4);
    put(entry + 20, size, 4);
    put(entry + 24, length, 4);
    put(entry + 28, name_length, 2);
    put(entry + 42, begin, 4);
    memcpy(entry + 46, name, name_length);
    zip->length += 30 + name_length + size;
    zip->directory_length += 46 + name_length;
    zip->count++;
}

static void end_zip(struct zip *zip) {
    unsigned char *end = zip->bytes + zip->length + zip->directory_length;
    memcpy(zip->bytes + zip->length, zip->directory, zip->directory_length);
    memset(end, 0, 22);
    memcpy(end, "PK\5\6", 4);
    put(end + 8, zip->count, 2);
    put(end + 10, zip->count, 2);
    put(end + 12, zip->directory_length, 4);
    put(end + 16, zip->length, 4);
    zip->length += zip->directory_length + 22;
}

/* A small version of Keras's mnist.npz: two pictures of 2 x 3 to train, one to test. */
static void make_archive(struct zip *zip, bool packed) {
    const unsigned char pictures[12] = {0, 1, 2, 3, 4, 255, 6, 7, 8, 9, 10, 11};
    const int64_t labels[2] = {3, 1};
    const float floats[6] = {0, 0.5f, 1, 0, 0, 0.2f};
    const float onehot[4] = {0, 0, 0, 1};
    unsigned char bytes[512];
    *zip = (struct zip){0};
    add_member(zip, "x_train.npy", bytes, make_npy(bytes, "|u1", "(2, 2, 3)", pictures, 12),
               packed);
    add_member(zip, "y_train.npy", bytes, make_npy(bytes, "<i8", "(2,)", labels, 16), packed);
    add_member(zip, "x_test.npy", bytes, make_npy(bytes, "<f4", "(1, 2, 3, 1)", floats, 24),
               packed);
    add_member(zip, "y_test.npy", bytes, make_npy(bytes, "<f4", "(1, 4)", onehot, 16), packed);
    end_zip(zip);
}

Test(data_formats, keras_s_npz) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    static struct zip zip;
    folder_create(folder);
    folder_join(path, folder, "mnist.npz");
    for (int packed = 0; packed < 2; packed++) {
        make_archive(&zip, packed == 1);
        folder_write(path, zip.bytes, zip.length);
        struct cn_dataset *data = read_good(path, CN_SPLIT_TRAIN);
        cr_assert(data->count == 2 && data->class_count == 4 && !data->whole);
        cr_assert(data->shape.dims[0] == 2 && data->shape.dims[1] == 3);
        cr_assert(data->labels[0] == 3 && data->labels[1] == 1 && data->images[5] == 255);
        cn_dataset_free(data);
        data = read_good(path, CN_SPLIT_TEST);
        cr_assert(data->count == 1 && data->labels[0] == 3);
        cr_assert_eq(memcmp(data->images, (const uint8_t[6]){0, 128, 255, 0, 0, 51}, 6), 0);
        cn_dataset_free(data);
        cr_assert(cn_dataset_has_split(path, CN_SPLIT_TEST));
        cr_assert(!cn_dataset_has_split(path, CN_SPLIT_VALIDATION));
        expect_error(path, CN_SPLIT_VALIDATION,
                     "for the split validation: no arrays are called x_val");
    }
    folder_remove(folder);
}

/* Reads two pictures with these weights, or expects the failure `word`. */
static void read_weighted(const char *const names[3], const float *weights, size_t count,
                          const char *word) {
    char folder[FOLDER_PATH], path[FOLDER_PATH], member[32], shape[16];
    static struct zip zip;
    unsigned char bytes[512];
    zip = (struct zip){0};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(member, sizeof member, "%s.npy", names[i]);
        (void)snprintf(shape, sizeof shape, "(%zu,)", count);
        const size_t length = i == 0 ? make_npy(bytes, "|u1", "(2, 2, 2)", "\1\2\3\4\5\6\7\10", 8)
                              : i == 1
                                  ? make_npy(bytes, "|u1", "(2,)", "\1\0", 2)
                                  : make_npy(bytes, "<f4", shape, weights, count * sizeof *weights);
        add_member(&zip, member, bytes, length, true);
    }
    end_zip(&zip);
    folder_create(folder);
    folder_join(path, folder, "weighted.npz");
    folder_write(path, zip.bytes, zip.length);
    if (word != NULL) {
        expect_error(path, CN_SPLIT_TRAIN, word);
    } else {
        struct cn_dataset *data = read_good(path, CN_SPLIT_TRAIN);
        cr_assert_not_null(data->weights, "%s is not read", names[2]);
        cr_assert(data->weights[0] == weights[0] && data->weights[1] == weights[1], "%s", names[2]);
        cn_dataset_free(data);
    }
    folder_remove(folder);
}

Test(data_formats, weights_beside_the_pictures) {
    static const char *const names[][3] = {{"x_train", "y_train", "w_train"},
                                           {"train_images", "train_labels", "train_weights"},
                                           {"images", "labels", "weights"},
                                           {"x", "y", "sample_weight"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        read_weighted(names[i], (const float[]){0.25f, 0}, 2, NULL);
    read_weighted(names[0], (const float[]){1, 1, 1}, 3, "has 2 pictures, but 3 weights");
    read_weighted(names[0], (const float[]){1, -1}, 2, "picture 1 has the weight -1; weights are");
}

Test(data_formats, a_folder_of_npy) {
    const unsigned char pictures[4] = {1, 2, 3, 4};
    const int32_t labels[1] = {-1};
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    unsigned char bytes[512];
    folder_create(folder);
    folder_join(path, folder, "images.npy");
    folder_write(path, bytes, make_npy(bytes, "|u1", "(1, 2, 2)", pictures, 4));
    folder_join(path, folder, "labels.npy");
    folder_write(path, bytes, make_npy(bytes, "<i4", "(1, 1)", (const int32_t[1]){1}, 4));
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TEST);
    cr_assert(data->whole && data->count == 1 && data->labels[0] == 1);
    cn_dataset_free(data);
    folder_write(path, bytes, make_npy(bytes, "<i4", "(1,)", labels, 4));
    expect_error(folder, CN_SPLIT_TRAIN, "no whole label");
    folder_write(path, bytes, make_npy(bytes, "<i4", "(1,)", labels, 3));
    expect_error(folder, CN_SPLIT_TRAIN,
                 "has 3 bytes of numbers; its type and shape need 1 times 4");
    folder_write(path, bytes, make_npy(bytes, ">i4", "(1,)", "\0\0\1\2", 4));
    data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert_eq(data->labels[0], 258);
    cn_dataset_free(data);
    folder_write(path, bytes, make_npy(bytes, "|O", "(1,)", labels, 4));
    expect_error(folder, CN_SPLIT_TRAIN, "neither whole numbers nor floats");
    folder_write(path, bytes, make_npy(bytes, "<i4", "(4294967295, 4294967295, 8)", labels, 4));
    expect_error(folder, CN_SPLIT_TRAIN, "shape");
    folder_remove(folder);
}

/* One picture of 1 x 2 with 5 channels, or of 2 x 5 with its one channel first. */
Test(data_formats, channels_are_last_if_the_network_s_are) {
    const unsigned char pixels[10] = {9, 8, 7};
    const struct cn_shape shape = cn_shape_image(1, 2, 5), other = cn_shape_image(2, 5, 1);
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    unsigned char bytes[512];
    struct cn_dataset *data = NULL;
    struct cn_error error = {0}, first = {0};
    folder_create(folder);
    folder_join(path, folder, "images.npy");
    folder_write(path, bytes, make_npy(bytes, "|u1", "(1, 1, 2, 5)", pixels, 10));
    folder_join(path, folder, "labels.npy");
    folder_write(path, bytes, make_npy(bytes, "|u1", "(1,)", "\1", 1));
    cr_assert_eq(cn_dataset_read(folder, CN_SPLIT_TRAIN, &shape, NULL, &data, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(memcmp(data->images, pixels, 10), 0);
    cn_dataset_free(data);
    cr_assert_eq(cn_dataset_read(folder, CN_SPLIT_TRAIN, &other, NULL, &data, &first),
                 CN_UNSUPPORTED);
    cr_assert_not_null(strstr(first.text, "[1, 2, 5], with the channels first"), "%s", first.text);
    expect_error(folder, CN_SPLIT_TRAIN, "with the channels first");
    folder_remove(folder);
}

/* A file of sysfs is shorter than its length says, as one is that another program shortens. */
Test(data_formats, a_file_that_ends_before_its_length) {
    static const char shorter[] = "/sys/kernel/uevent_seqnum";
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    if (access(shorter, R_OK) != 0)
        cr_skip_test("there is no %s", shorter);
    folder_create(folder);
    folder_join(path, folder, "mnist.npz");
    cr_assert_eq(symlink(shorter, path), 0);
    expect_error(path, CN_SPLIT_TRAIN, "bytes: another program has shortened it");
    cr_assert(!cn_dataset_has_split(path, CN_SPLIT_TEST));
    folder_remove(folder);
}

/* Each case writes `value` to a field of the first member's directory entry, or to its last byte.
 */
Test(data_formats, damaged_members_are_named) {
    static const struct {
        bool packed;
        size_t field; /* 0: the last byte */
        size_t value, bytes;
        const char *words;
    } cases[] = {
        {false, 0, 99, 1, "has another checksum"},
        {true, 16, 99, 4, "has another checksum"},
        {false, 24, 139, 4, "claims 139 bytes from 140"},
        {true, 24, 1 << 28, 4, "claims 268435456 bytes"},
        {true, 24, 139, 4, "corrupt zip data"},
        {true, 24, 141, 4, "corrupt zip data"},
        {true, 24, 0, 4, "corrupt zip data"},
        {true, 10, 9, 2, "packed by method 9"},
        {true, 8, 1, 2, "is encrypted"},
    };
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    static struct zip zip;
    folder_create(folder);
    folder_join(path, folder, "mnist.npz");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_archive(&zip, cases[i].packed);
        const size_t directory = zip.length - 22 - zip.directory_length;
        const size_t last = 30 + strlen("x_train.npy") + 139;
        put(zip.bytes + (cases[i].field > 0 ? directory + cases[i].field : last), cases[i].value,
            (int)cases[i].bytes);
        folder_write(path, zip.bytes, zip.length);
        expect_error(path, CN_SPLIT_TRAIN, cases[i].words);
    }
    folder_remove(folder);
}

/* Each byte of an archive is changed, and each length cut: the result must be an error or valid
 * data. */
Test(data_formats, damaged_archives_do_no_harm) {
    static struct zip zip;
    make_archive(&zip, true);
    unsigned char *copy = malloc(zip.length);
    for (size_t i = 0; i < 2 * zip.length; i++) {
        const size_t length = i < zip.length ? zip.length : i - zip.length;
        struct cn_archive_member member;
        bool found = false;
        struct cn_npy array;
        memcpy(copy, zip.bytes, zip.length);
        if (i < zip.length)
            copy[i] ^= 0xff;
        unsigned char *exact = malloc(length + 1);
        memcpy(exact, copy, length);
        if (cn_npz_find(exact, length, "x_train.npy", "x", &found, &member, NULL) == CN_OK &&
            found && member.size <= 1 << 20) {
            unsigned char *bytes = malloc(member.size + 1);
            if (cn_npz_unpack(&member, "x", bytes, NULL) == CN_OK) {
                cr_assert_eq(member.size, 140);
                (void)cn_npy_parse(bytes, member.size, "x", &array, NULL);
            }
            free(bytes);
        }
        free(exact);
    }
    free(copy);
}

/* ---- CIFAR ---- */

Test(data_formats, cifar_10_and_100) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    static unsigned char record[3074];
    folder_create(folder);
    write_text(path, folder, "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
    record[0] = 9;
    record[1] = 10;           /* red of the first pixel */
    record[1 + 1024] = 20;    /* green */
    record[1 + 2048] = 30;    /* blue */
    record[1 + 1024 + 1] = 5; /* green of the second */
    for (int i = 1; i <= 2; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "data_batch_%d.bin", i);
        folder_join(path, folder, name);
        folder_write(path, record, 3073);
    }
    expect_error(folder, CN_SPLIT_TRAIN, "");
    for (int i = 3; i <= 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "data_batch_%d.bin", i);
        folder_join(path, folder, name);
        folder_write(path, record, 3073);
    }
    struct cn_dataset *data = read_good(folder, CN_SPLIT_TRAIN);
    cr_assert(data->count == 5 && data->class_count == 10 && data->labels[4] == 9);
    cr_assert_eq(memcmp(data->images, (const uint8_t[6]){10, 20, 30, 0, 5, 0}, 6), 0);
    cr_assert_str_eq(data->class_names[9], "j");
    cn_dataset_free(data);
    record[0] = 10;
    folder_write(path, record, 3073);
    expect_error(folder, CN_SPLIT_TRAIN, "label 10 of 10 classes");
    folder_write(path, record, 3072);
    expect_error(folder, CN_SPLIT_TRAIN, "not a number of pictures");
    folder_remove(folder);

    char names[1024] = "";
    for (int i = 0; i < 100; i++)
        (void)snprintf(names + strlen(names), sizeof names - strlen(names), "n%d\n", i);
    folder_create(folder);
    write_text(path, folder, "fine_label_names.txt", names);
    record[0] = 7;
    record[1] = 99;
    folder_join(path, folder, "test.bin");
    folder_write(path, record, 3074);
    data = read_good(folder, CN_SPLIT_TEST);
    cr_assert(data->count == 1 && data->labels[0] == 99 && data->class_count == 100);
    cn_dataset_free(data);
    folder_remove(folder);
}
