/* test_model_file.c: model files as bytes: exact round trips, files that are cut or changed,
 * interrupted saves. Each test uses a folder of its own, which is removed at its end. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "convnet/model.h"
#include "model/safetensors.h"
#include "support/folder.h"
#include "support/model_files.h"
#include "support/networks.h"
#include "support/preprocessing_equal.h"

static char folder[FOLDER_PATH], path[FOLDER_PATH];

static void setup(void) {
    folder_create(folder);
    folder_join(path, folder, "m.safetensors");
}

static void teardown(void) {
    folder_remove(folder);
}

TestSuite(model_file, .init = setup, .fini = teardown);

/* The file of a model. Caller frees with free(). */
static unsigned char *saved_bytes(size_t *ret_length) {
    unsigned char *bytes = NULL;
    struct cn_model *model = model_files_model(1);
    model_files_save(model, path);
    cn_model_free(model);
    cr_assert_eq(cn_file_read(path, 1 << 20, &bytes, ret_length, NULL), CN_OK);
    return bytes;
}

Test(model_file, round_trip_is_exact) {
    static const char *const labels[] = {"zero", "\xc3\xa9\xc3\xa9", "a \"b\", c"};
    struct cn_model *model = model_files_model(7), *copy = NULL;
    struct cn_error error = {0};
    unsigned char *first = NULL, *second = NULL;
    size_t first_length = 0, second_length = 0;
    struct cn_network *network = model->network;
    network->parameters[0] = -0.0F;
    network->parameters[1] = 0x1p-149F; /* the smallest denormal */
    network->parameters[2] = 0.1F;
    cr_assert_eq(cn_model_set_labels(model, labels, 3, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_model_set_training(model, "{\"epochs\": 3}", &error), CN_OK);
    cr_assert_eq(
        cn_preprocessing_parse("fit=crop,interpolation=bicubic,scale=127.5,mean=0.1:0.2:0.3,"
                               "std=3",
                               &network->input_shape, &model->preprocessing, &error),
        CN_OK, "%s", error.text);
    model_files_save(model, path);
    cr_assert_eq(cn_model_read(path, &copy, &error), CN_OK, "%s", error.text);
    cr_expect_eq(copy->network->parameter_count, network->parameter_count);
    cr_expect_arr_eq(copy->network->parameters, network->parameters,
                     network->parameter_count * sizeof(float));
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(copy->labels[i], labels[i]);
    cr_expect_str_eq(copy->training, "{\"epochs\": 3}");
    cr_expect(preprocessing_equal(&copy->preprocessing, &model->preprocessing));
    cr_expect_str_eq(copy->network->name, "little");
    cr_expect_str_eq(model->sha256, "");
    cr_expect_eq(strlen(copy->sha256), 64);
    cr_expect_eq(model_files_entries(folder), 1, "no temporary file is left");

    /* Saving the copy gives the same file. */
    cr_assert_eq(cn_file_read(path, 1 << 20, &first, &first_length, NULL), CN_OK);
    model_files_save(copy, path);
    cr_assert_eq(cn_file_read(path, 1 << 20, &second, &second_length, NULL), CN_OK);
    cr_assert_eq(first_length, second_length);
    cr_expect_arr_eq(first, second, first_length);
    free(first);
    free(second);
    cn_model_free(model);
    cn_model_free(copy);
}

Test(model_file, refuses_every_truncation) {
    size_t length = 0;
    unsigned char *bytes = saved_bytes(&length);
    struct cn_model *model = NULL;
    for (size_t cut = 0; cut < length; cut++) {
        struct cn_error error = {0};
        unsigned char *exact = malloc(cut > 0 ? cut : 1); /* a block of exact size, so that
                                                           * sanitizers detect a read past its
                                                           * end */
        memcpy(exact, bytes, cut);
        model = NULL;
        cr_expect_eq(cn_model_parse(exact, cut, "t", &model, &error), CN_MALFORMED, "at %zu", cut);
        cr_expect_null(model);
        free(exact);
    }
    cr_expect_eq(cn_model_parse(bytes, length, "t", &model, NULL), CN_OK);
    cr_expect_eq(strlen(model->sha256), 64);
    cn_model_free(model);
    free(bytes);
}

static enum cn_status parse_flipped(unsigned char *bytes, size_t length, size_t at, unsigned flip) {
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    bytes[at] ^= (unsigned char)flip;
    const enum cn_status status = cn_model_parse(bytes, length, "t", &model, &error);
    bytes[at] ^= (unsigned char)flip;
    cr_expect_eq(status == CN_OK, model != NULL);
    cr_expect_eq(status, error.status);
    cn_model_free(model);
    return status;
}

/* In each byte of the file, header and weights, one bit is flipped, then several. */
Test(model_file, refuses_every_flipped_bit) {
    size_t length = 0;
    unsigned char *bytes = saved_bytes(&length);
    struct cn_model *model = NULL;
    for (size_t i = 0; i < length; i++) {
        cr_expect_neq(parse_flipped(bytes, length, i, 1u << i % 8), CN_OK, "bit %zu of byte %zu",
                      i % 8, i);
        cr_expect_neq(parse_flipped(bytes, length, i, 0x15), CN_OK, "byte %zu", i);
    }
    cr_expect_eq(cn_model_parse(bytes, length, "t", &model, NULL), CN_OK);
    cr_expect(model->sealed);
    cn_model_free(model);
    free(bytes);
}

/* A thread compares the checksum of a large file. One changed bit is refused; where a weight is not
 * finite, too, the message is still about the checksum. */
Test(model_file, a_large_file_has_its_checksum_compared) {
    static const char json[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": ["
        "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 512]}},"
        "{\"class_name\": \"Dense\", \"config\": {\"units\": 1024}}]}}";
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_model_create(model_files_network(json, 5), &model, &error), CN_OK, "%s",
                 error.text);
    model_files_save(model, path);
    cn_model_free(model);
    cr_assert_eq(cn_file_read(path, 4 << 20, &bytes, &length, NULL), CN_OK);
    for (unsigned change = 0; change < 2; change++) {
        bytes[length - 4] ^= 1; /* the last weight's lowest bits */
        if (change == 1)
            memset(bytes + length - 4, 0xff, 4);
        cr_expect_eq(cn_model_parse(bytes, length, "t", &model, &error), CN_MALFORMED);
        cr_expect(strstr(error.text, "the file's checksum is") != NULL, "%s", error.text);
    }
    free(bytes);
}

/* In a file without a checksum each byte is changed: the result must be refused or be a model. */
Test(model_file, survives_every_changed_byte) {
    unsigned char *bytes = NULL;
    size_t length = 0, refused = 0;
    struct cn_safetensors *parts = NULL;
    struct cn_model *model = model_files_model(1);
    model_files_save(model, path);
    cn_model_free(model);
    cr_assert_eq(cn_safetensors_read(path, &parts, NULL, NULL), CN_OK);
    size_t kept = 0;
    const size_t all = parts->metadata_count;
    struct cn_metadata *metadata = calloc(all, sizeof *metadata);
    for (size_t i = 0; i < all; i++)
        if (strcmp(parts->metadata[i].key, "checksum") != 0 &&
            strcmp(parts->metadata[i].key, "probes") != 0)
            metadata[kept++] = parts->metadata[i];
    cr_assert_eq(kept, all - 2);
    cr_assert_eq(
        cn_safetensors_write(path, parts->tensors, parts->tensor_count, metadata, kept, NULL),
        CN_OK);
    free(metadata);
    cn_safetensors_free(parts);
    cr_assert_eq(cn_file_read(path, 1 << 20, &bytes, &length, NULL), CN_OK);
    for (size_t i = 0; i < length; i++)
        refused += parse_flipped(bytes, length, i, 0x15) != CN_OK;
    cr_expect_gt(refused, length / 4);
    cr_expect_lt(refused, length);
    free(bytes);
}

Test(model_file, a_full_disk_leaves_the_old_file) {
    unsigned char *before = NULL, *after = NULL;
    size_t before_length = 0, after_length = 0;
    struct cn_model *model = model_files_model(1);
    struct cn_error error = {0};
    struct rlimit old;
    model_files_save(model, path);
    cr_assert_eq(cn_file_read(path, 1 << 20, &before, &before_length, NULL), CN_OK);
    model->network->parameters[0] += 1.0F;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (rlim_t size = 0; size < before_length; size += 97) {
        error = (struct cn_error){0};
        const struct rlimit small = {size, old.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        const enum cn_status status = cn_model_write(model, path, &error);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
        cr_expect_eq(status, CN_IO);
        cr_expect_str_eq(error.source, path);
        cr_expect_eq(model_files_entries(folder), 1, "no temporary file is left");
    }
    cr_assert_eq(cn_file_read(path, 1 << 20, &after, &after_length, NULL), CN_OK);
    cr_assert_eq(after_length, before_length);
    cr_expect_arr_eq(after, before, before_length);
    free(before);
    free(after);
    cn_model_free(model);
}

Test(model_file, an_unwritable_folder_is_an_error) {
    struct cn_model *model = model_files_model(1);
    struct cn_error error = {0};
    cr_expect_eq(cn_model_write(model, "/nonexistent/m.safetensors", &error), CN_IO);
    cr_expect_str_eq(error.source, "/nonexistent/m.safetensors");
    model_files_save(model, path);
    cr_assert_eq(chmod(folder, 0555), 0);
    const bool root = geteuid() == 0;
    if (root) /* root, for whom file modes have no effect */
        cr_assert_eq(seteuid(65534), 0);
    error = (struct cn_error){0};
    cr_expect_eq(cn_model_write(model, path, &error), CN_IO);
    if (root)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(folder, 0755), 0);
    cr_expect_eq(model_files_entries(folder), 1);
    cn_model_free(model);
}

/* Saves two models in turn without end, and writes one byte to `pipe_end` after each save. */
static _Noreturn void save_for_ever(struct cn_model *const models[2], int pipe_end) {
    for (size_t i = 0;; i++)
        if (cn_model_write(models[i % 2], path, NULL) != CN_OK || write(pipe_end, "", 1) != 1)
            _exit(1);
}

Test(model_file, a_killed_save_leaves_the_old_or_the_new_file) {
    struct cn_model *const models[2] = {model_files_model(1), model_files_model(2)};
    const size_t size = models[0]->network->parameter_count * sizeof(float);
    for (int round = 0; round < 12; round++) {
        struct cn_model *copy = NULL;
        struct cn_error error = {0};
        int ends[2], status = 0;
        cr_assert_eq(pipe(ends), 0);
        const pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            (void)close(ends[0]); /* so that the child ends with this test, even if it crashes */
            save_for_ever(models, ends[1]);
        }
        (void)close(ends[1]);
        for (int saves = 0; saves <= round; saves++) {
            char byte;
            cr_assert_eq(read(ends[0], &byte, 1), 1);
        }
        /* While another process saves, a reader only sees complete files. */
        cr_assert_eq(cn_model_read(path, &copy, &error), CN_OK, "%s", error.text);
        cn_model_free(copy);
        cr_assert_eq(kill(child, SIGKILL), 0);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_expect(WIFSIGNALED(status));
        (void)close(ends[0]);
        copy = NULL;
        cr_assert_eq(cn_model_read(path, &copy, &error), CN_OK, "%s", error.text);
        cr_expect(memcmp(copy->network->parameters, models[0]->network->parameters, size) == 0 ||
                  memcmp(copy->network->parameters, models[1]->network->parameters, size) == 0);
        cn_model_free(copy);
    }
    cn_model_free(models[0]);
    cn_model_free(models[1]);
}

/* A quantized model: kernels of bytes, and everything else that the plan needs for them. */
Test(model_file, a_quantized_model_is_read_as_it_was_written) {
    struct cn_model *model = model_files_model(7), *copy = NULL;
    struct cn_network *quantized = NULL;
    unsigned char *first = NULL, *second = NULL;
    size_t first_length = 0, second_length = 0;
    struct cn_error error = {0};
    float *images = test_floats(9 * 64, 0, 1, 3);
    cr_assert_eq(cn_quantize(model->network, images, 9, 0, &quantized, &error), CN_OK, "%s",
                 error.text);
    cn_network_free(model->network);
    model->network = quantized;
    model_files_save(model, path);
    cr_assert_eq(cn_file_read(path, 1 << 20, &first, &first_length, NULL), CN_OK);
    cr_assert_eq(cn_model_read(path, &copy, &error), CN_OK, "%s", error.text);
    const struct cn_quantization *a = quantized->quantization, *b = copy->network->quantization;
    const size_t values = quantized->input_count + quantized->layer_count;
    cr_assert_not_null(b);
    cr_assert_eq(memcmp(a->ranges, b->ranges, values * sizeof *a->ranges), 0);
    cr_assert_eq(memcmp(a->scales, b->scales, a->first[quantized->layer_count] * sizeof *a->scales),
                 0);
    for (size_t i = 0; i < quantized->parameter_count; i++)
        cr_assert_eq(quantized->parameters[i], copy->network->parameters[i], "weight %zu", i);
    model_files_save(copy, path);
    cr_assert_eq(cn_file_read(path, 1 << 20, &second, &second_length, NULL), CN_OK);
    cr_assert(first_length == second_length && memcmp(first, second, first_length) == 0);
    free(images);
    free(first);
    free(second);
    cn_model_free(model);
    cn_model_free(copy);
}
