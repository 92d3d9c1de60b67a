/* test_signature.c: signed models: keys are made, models are signed, and every change is detected.
 * Each test uses a folder of its own, which is removed at its end. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "convnet/plan.h"
#include "model/signature.h"
#include "support/folder.h"
#include "support/model_files.h"

static char folder[FOLDER_PATH], path[FOLDER_PATH], secret[FOLDER_PATH], public[FOLDER_PATH];

static void setup(void) {
    folder_create(folder);
    folder_join(path, folder, "m.safetensors");
    folder_join(secret, folder, "me.key");
    folder_join(public, folder, "me.pub");
    struct cn_error error = {0};
    cr_assert_eq(cn_signature_generate(secret, public, "me", &error), CN_OK, "%s", error.text);
}

static void teardown(void) {
    folder_remove(folder);
}

TestSuite(signature, .init = setup, .fini = teardown);

static void save(uint64_t seed) {
    struct cn_model *model = model_files_model(seed);
    model_files_save(model, path);
    cn_model_free(model);
}

static void sign(long long time) {
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_model_read(path, &model, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_signature_write(secret, path, model->sha256, time, &error), CN_OK, "%s",
                 error.text);
    cn_model_free(model);
}

static struct cn_trusted_keys *trusted(const char *file) {
    struct cn_trusted_keys *keys = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trusted_keys_read(file, &keys, &error), CN_OK, "%s", error.text);
    return keys;
}

static void expect_refusal(const struct cn_trusted_keys *keys, const char *words) {
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_expect_neq(cn_model_read_trusted(path, keys, &model, NULL, &error), CN_OK);
    cr_expect_null(model);
    cr_expect(strstr(error.text, words) != NULL, "\"%s\" lacks \"%s\"", error.text, words);
}

Test(signature, a_signed_model_is_taken) {
    struct cn_trusted_keys *keys = trusted(public);
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    struct stat info;
    save(1);
    expect_refusal(keys, "is not signed");
    sign(1234567);
    cr_assert_eq(cn_model_read_trusted(path, keys, &model, NULL, &error), CN_OK, "%s", error.text);
    cr_expect_eq(model->signed_at, 1234567);
    cn_model_free(model);
    save(2);
    expect_refusal(keys, "of another file");
    cr_assert_eq(stat(secret, &info), 0);
    cr_expect_eq(info.st_mode & 0777, 0600);
    cr_expect_eq(cn_signature_generate(secret, public, "me", &error), CN_IO, "keys are kept");
    cn_trusted_keys_free(keys);
}

Test(signature, keys_of_others_and_of_other_times_are_refused) {
    char other[FOLDER_PATH], theirs[FOLDER_PATH], text[400], day[420];
    struct cn_trusted_keys *keys = NULL, *later = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;
    folder_join(other, folder, "other.key");
    folder_join(theirs, folder, "other.pub");
    cr_assert_eq(cn_signature_generate(other, theirs, NULL, NULL), CN_OK);
    save(1);
    sign(1767225600); /* 2026-01-01 */
    keys = trusted(theirs);
    expect_refusal(keys, "which is not trusted");
    cn_trusted_keys_free(keys);

    cr_assert_eq(cn_file_read(public, sizeof text - 1, &bytes, &length, NULL), CN_OK);
    (void)snprintf(text, sizeof text, "# who\n\n%.*s", (int)length - 1, (const char *)bytes);
    free(bytes);
    (void)snprintf(day, sizeof day, "%s since=2026-01-02\n", text);
    cr_assert_eq(cn_trusted_keys_parse(day, strlen(day), "t", &later, NULL), CN_OK);
    expect_refusal(later, "before the day");
    cr_expect_not(cn_trusted_keys_equal(later, keys = trusted(public)));
    cr_expect(cn_trusted_keys_equal(later, later));
    cn_trusted_keys_free(keys);
    cn_trusted_keys_free(later);
    (void)snprintf(day, sizeof day, "%s since=2026-01-01\n", text);
    cr_assert_eq(cn_trusted_keys_parse(day, strlen(day), "t", &later, NULL), CN_OK);
    struct cn_model *model = NULL;
    cr_expect_eq(cn_model_read_trusted(path, later, &model, NULL, NULL), CN_OK);
    cn_model_free(model);
    cn_trusted_keys_free(later);
}

/* In each byte of the signature one bit is flipped, and the file is cut at each length. */
Test(signature, every_changed_signature_is_refused) {
    struct cn_trusted_keys *keys = trusted(public);
    struct cn_model *model = NULL;
    char file[FOLDER_PATH + 8];
    unsigned char *bytes = NULL;
    size_t length = 0;
    long long time = 0;
    save(1);
    sign(77);
    cr_assert_eq(cn_model_read(path, &model, NULL), CN_OK);
    (void)snprintf(file, sizeof file, "%s.sig", path);
    cr_assert_eq(cn_file_read(file, 4096, &bytes, &length, NULL), CN_OK);
    char *text = (char *)bytes;
    cr_expect_eq(cn_signature_check_text(keys, text, length, model->sha256, &time, NULL), CN_OK);
    cr_expect_eq(time, 77);
    for (size_t i = 0; i < length; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] ^= (char)(1u << bit);
            /* Bit 5 makes a hexadecimal digit a capital letter of the same value. */
            const bool same = bit == 5 && text[i] >= 'A' && text[i] <= 'F';
            if (!same)
                cr_expect_eq(
                    cn_signature_check_text(keys, text, length, model->sha256, &time, NULL),
                    CN_INVALID, "bit %u of byte %zu", bit, i);
            text[i] ^= (char)(1u << bit);
        }
    for (size_t cut = 0; cut < length; cut++) {
        char *exact = malloc(cut + 1);
        memcpy(exact, text, cut);
        exact[cut] = '\0';
        cr_expect_eq(cn_signature_check_text(keys, exact, cut, model->sha256, &time, NULL),
                     CN_INVALID, "cut at %zu", cut);
        free(exact);
    }
    free(bytes);
    cn_model_free(model);
    cn_trusted_keys_free(keys);
}

Test(signature, bad_lines_of_trusted_keys_are_named) {
    static const struct {
        const char *text, *words;
        long long line;
    } cases[] = {
        {"", "no key", -1},
        {"# none\n\n", "no key", -1},
        {"\nrsa 00", "must be 'ed25519'", 2},
        {"ed25519", "must be 'ed25519'", 1},
        {"ed25519 0011", "64 hexadecimal digits", 1},
        {"ed25519 zz00000000000000000000000000000000000000000000000000000000000000", "64", 1},
        {"ed25519 0000000000000000000000000000000000000000000000000000000000000000 a since=1",
         "since=YYYY-MM-DD", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_trusted_keys *keys = NULL;
        struct cn_error error = {0};
        cr_expect_neq(
            cn_trusted_keys_parse(cases[i].text, strlen(cases[i].text), "t", &keys, &error), CN_OK);
        cr_expect_null(keys);
        cr_expect(strstr(error.text, cases[i].words) != NULL, "\"%s\" lacks \"%s\"", error.text,
                  cases[i].words);
        cr_expect_eq(error.offset, cases[i].line);
    }
}

/* A large network that has a plan gives its parameters back. They are read again from the file even
 * if it has no name any more, and not if it was changed. */
Test(signature, large_weights_are_read_again) {
    struct cn_model *model = NULL, *with_plan = NULL, *changed = NULL;
    struct cn_plan *plan = NULL;
    struct cn_network *again = NULL;
    struct cn_error error = {0};
    static const char json[] =
        "{\"class_name\": \"Sequential\", \"config\": {\"layers\": ["
        "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 1024]}},"
        "{\"class_name\": \"Dense\", \"config\": {\"units\": 1024}},"
        "{\"class_name\": \"Dense\", \"config\": {\"units\": 3, \"activation\": \"softmax\"}}]}}";
    cr_assert_eq(cn_model_create(model_files_network(json, 5), &model, &error), CN_OK, "%s",
                 error.text);
    model_files_save(model, path);
    cr_assert_eq(cn_model_read_trusted(path, NULL, &with_plan, &plan, &error), CN_OK, "%s",
                 error.text);
    cr_assert_null(with_plan->network->parameters);
    cr_expect_eq(cn_model_read_again_bytes(model), 0);
    cr_expect_gt(cn_model_read_again_bytes(with_plan), 8 << 20);
    cn_plan_free(plan);
    cr_assert_eq(cn_model_read_trusted(path, NULL, &changed, &plan, &error), CN_OK, "%s",
                 error.text);
    const int fd = open(path, O_WRONLY);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(cn_model_read_again(with_plan, &again, &error), CN_OK, "%s", error.text);
    cr_assert_arr_eq(again->parameters, model->network->parameters,
                     model->network->parameter_count * sizeof(float));
    cn_network_free(again);
    cr_assert_eq(pwrite(fd, "x", 1, 2 << 20), 1);
    cr_expect_eq(cn_model_read_again(changed, &again, &error), CN_IO);
    cr_expect(strstr(error.text, "was changed") != NULL, "%s", error.text);
    /* A header of an odd length: the data behind it would be copied once more. */
    cr_assert_eq(pwrite(fd, "\1", 1, 0), 1);
    cr_expect_gt(cn_model_read_again_bytes(changed), 12 << 20);
    (void)close(fd);
    cn_plan_free(plan);
    cn_model_free(model);
    cn_model_free(with_plan);
    cn_model_free(changed);
}
