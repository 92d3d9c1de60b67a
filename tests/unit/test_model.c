/* test_model.c: model files: exact round trips, what the reader refuses, and saves that are
 * stopped. Each test works in a folder of its own under TMPDIR, removed at its end. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "convnet/plan.h"
#include "model/safetensors.h"

#include "convnet/model.h"

static char folder[200], path[256];

static void setup(void) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/convnet-model.XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/m.safetensors", folder);
}

/* Number of entries in the test's folder; removes them too when asked. */
static int entries(bool remove_them) {
    int count = 0;
    DIR *listing = opendir(folder);
    cr_assert_not_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_them)
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
    }
    (void)closedir(listing);
    return count;
}

static void teardown(void) {
    (void)entries(true);
    (void)rmdir(folder);
}

TestSuite(model, .init = setup, .fini = teardown);

#define LAYER(class_name, config) "{\"class_name\":\"" class_name "\",\"config\":{" config "}}"

static const char architecture[] =
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"little\","
    "\"layers\":[" LAYER(
        "InputLayer",
        "\"batch_shape\":[null,8,8,"
        "1]") "," LAYER("Conv2D",
                        "\""
                        "na"
                        "me"
                        "\""
                        ":"
                        "\""
                        "c"
                        "\""
                        ","
                        "\""
                        "fi"
                        "lt"
                        "er"
                        "s"
                        "\""
                        ":2"
                        ","
                        "\""
                        "ke"
                        "rn"
                        "el"
                        "_s"
                        "iz"
                        "e"
                        "\""
                        ":3"
                        ","
                        "\""
                        "ac"
                        "ti"
                        "va"
                        "ti"
                        "on"
                        "\""
                        ":"
                        "\""
                        "re"
                        "lu"
                        "\"") "," LAYER("BatchNormalization",
                                        "\"name\":\"bn\"") "," LAYER("Flatten",
                                                                     "\"name\":\"f\"") "," LAYER("D"
                                                                                                 "e"
                                                                                                 "n"
                                                                                                 "s"
                                                                                                 "e",
                                                                                                 "\""
                                                                                                 "n"
                                                                                                 "a"
                                                                                                 "m"
                                                                                                 "e"
                                                                                                 "\""
                                                                                                 ":"
                                                                                                 "\""
                                                                                                 "d"
                                                                                                 "\""
                                                                                                 ","
                                                                                                 "\""
                                                                                                 "u"
                                                                                                 "n"
                                                                                                 "i"
                                                                                                 "t"
                                                                                                 "s"
                                                                                                 "\""
                                                                                                 ":"
                                                                                                 "3"
                                                                                                 ","
                                                                                                 "\""
                                                                                                 "a"
                                                                                                 "c"
                                                                                                 "t"
                                                                                                 "i"
                                                                                                 "v"
                                                                                                 "a"
                                                                                                 "t"
                                                                                                 "i"
                                                                                                 "o"
                                                                                                 "n"
                                                                                                 "\""
                                                                                                 ":"
                                                                                                 "\""
                                                                                                 "s"
                                                                                                 "o"
                                                                                                 "f"
                                                                                                 "t"
                                                                                                 "m"
                                                                                                 "a"
                                                                                                 "x"
                                                                                                 "\"") "]}}";

static struct cn_network *make_network(const char *json, uint64_t seed) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_architecture_parse(json, strlen(json), "t", &network, &error), CN_OK, "%s",
                 error.text);
    cn_network_initialize(network, seed);
    return network;
}

static struct cn_model *make_model(uint64_t seed) {
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_model_create(make_network(architecture, seed), &model, &error), CN_OK, "%s",
                 error.text);
    return model;
}

static void save(const struct cn_model *model) {
    struct cn_error error = {0};
    cr_assert_eq(cn_model_write(model, path, &error), CN_OK, "%s", error.text);
}

/* The tests of what a file may say change one thing in a good file. */
static struct cn_safetensors *saved_parts(void) {
    struct cn_safetensors *file = NULL;
    struct cn_model *model = make_model(1);
    save(model);
    cn_model_free(model);
    cr_assert_eq(cn_safetensors_read(path, &file, NULL, NULL), CN_OK);
    return file;
}

static struct cn_safetensor *tensor_of(struct cn_safetensors *file, const char *name) {
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

static void write_parts(const struct cn_safetensors *file) {
    struct cn_error error = {0};
    cr_assert_eq(cn_safetensors_write(path, file->tensors, file->tensor_count, file->metadata,
                                      file->metadata_count, &error),
                 CN_OK, "%s", error.text);
}

static void expect_refusal(enum cn_status status, const char *words) {
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_expect_eq(cn_model_read(path, &model, &error), status, "%s", error.text);
    cr_expect_null(model, "should say: %s", words);
    cr_expect_str_eq(error.source, path);
    cr_expect(strstr(error.text, words) != NULL, "\"%s\" lacks \"%s\"", error.text, words);
    cn_model_free(model);
}

/* Writes `parts` with the metadata string `key` replaced, or left out if `value` is NULL. */
static void write_with(struct cn_safetensors *parts, const char *key, const char *value) {
    for (size_t i = 0; i < parts->metadata_count; i++) {
        struct cn_metadata *pair = &parts->metadata[i];
        if (strcmp(pair->key, key) != 0)
            continue;
        const struct cn_metadata kept = *pair, last = parts->metadata[parts->metadata_count - 1];
        if (value == NULL)
            *pair = parts->metadata[--parts->metadata_count];
        else
            pair->value = (char *)(uintptr_t)value;
        write_parts(parts);
        if (value == NULL)
            parts->metadata[parts->metadata_count++] = last;
        parts->metadata[i] = kept;
        return;
    }
    cr_assert_fail("no metadata %s", key);
}

Test(model, round_trip_is_exact) {
    static const char *const labels[] = {"zero", "\xc3\xa9\xc3\xa9", "a \"b\", c"};
    struct cn_model *model = make_model(7), *copy = NULL;
    struct cn_error error = {0};
    unsigned char *first = NULL, *second = NULL;
    size_t first_length = 0, second_length = 0;
    struct cn_network *network = model->network;
    network->parameters[0] = -0.0F;
    network->parameters[1] = 0x1p-149F; /* the smallest denormal */
    network->parameters[2] = 0.1F;
    cr_assert_eq(cn_model_set_labels(model, labels, 3, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_model_set_training(model, "{\"epochs\": 3}", &error), CN_OK);
    model->preprocessing = (struct cn_preprocessing){CN_FIT_SCALE, 7, true};
    save(model);
    cr_assert_eq(cn_model_read(path, &copy, &error), CN_OK, "%s", error.text);
    cr_expect_eq(copy->network->parameter_count, network->parameter_count);
    cr_expect_arr_eq(copy->network->parameters, network->parameters,
                     network->parameter_count * sizeof(float));
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(copy->labels[i], labels[i]);
    cr_expect_str_eq(copy->training, "{\"epochs\": 3}");
    cr_expect_eq(copy->preprocessing.fit, CN_FIT_SCALE);
    cr_expect_eq(copy->preprocessing.box, 7);
    cr_expect(copy->preprocessing.invert);
    cr_expect_str_eq(copy->network->name, "little");
    cr_expect_str_eq(model->sha256, "");
    cr_expect_eq(strlen(copy->sha256), 64);
    cr_expect_eq(entries(false), 1, "no temporary file is left");

    /* Saving the copy gives the same file. */
    cr_assert_eq(cn_file_read(path, 1 << 20, &first, &first_length, NULL), CN_OK);
    save(copy);
    cr_assert_eq(cn_file_read(path, 1 << 20, &second, &second_length, NULL), CN_OK);
    cr_assert_eq(first_length, second_length);
    cr_expect_arr_eq(first, second, first_length);
    free(first);
    free(second);
    cn_model_free(model);
    cn_model_free(copy);
}

Test(model, defaults_of_a_new_model) {
    struct cn_model *model = make_model(1);
    const struct cn_preprocessing expected = cn_preprocessing_default(&model->network->input_shape);
    cr_expect_eq(model->label_count, 3);
    cr_expect_str_eq(model->labels[2], "2");
    cr_expect_str_eq(model->training, "{}");
    cr_expect_eq(model->preprocessing.box, expected.box);
    cr_expect_eq(model->preprocessing.fit, expected.fit);
    cn_model_free(model);
    cn_model_free(NULL);
}

Test(model, refuses_networks_that_are_no_classifiers) {
    static const char *const texts[] = {
        "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
            "Conv2D", "\"filters\":2,\"kernel_size\":3,\"input_shape\":[8,8,1]") "]}",
        "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
            "Dense", "\"units\":1,\"input_shape\":[8]") "]}"};
    for (size_t i = 0; i < 2; i++) {
        struct cn_model *model = NULL;
        struct cn_error error = {0};
        cr_expect_eq(cn_model_create(make_network(texts[i], 1), &model, &error), CN_INVALID);
        cr_expect_null(model);
        cr_expect_not_null(strstr(error.text, "2 to 65535 classes"), "%s", error.text);
    }
}

Test(model, refuses_bad_labels_and_training_records) {
    static const char *const good[] = {"a", "b", "c"}, *const control[] = {"a", "b\n", "c"},
                             *const empty[] = {"a", "b", ""}, *const foreign[] = {"a", "\xff", "c"};
    struct cn_model *model = make_model(1);
    cr_expect_eq(cn_model_set_labels(model, good, 2, NULL), CN_INVALID);
    cr_expect_eq(cn_model_set_labels(model, control, 3, NULL), CN_INVALID);
    cr_expect_eq(cn_model_set_labels(model, empty, 3, NULL), CN_INVALID);
    cr_expect_eq(cn_model_set_labels(model, foreign, 3, NULL), CN_INVALID);
    cr_expect_str_eq(model->labels[1], "1", "the old labels stay");
    cr_expect_eq(cn_model_set_training(model, "[]", NULL), CN_INVALID);
    cr_expect_eq(cn_model_set_training(model, "{", NULL), CN_MALFORMED);
    cr_expect_str_eq(model->training, "{}");
    cn_model_free(model);
}

Test(model, refuses_every_truncation) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_model *model = make_model(1);
    save(model);
    cn_model_free(model);
    cr_assert_eq(cn_file_read(path, 1 << 20, &bytes, &length, NULL), CN_OK);
    for (size_t cut = 0; cut < length; cut++) {
        struct cn_error error = {0};
        unsigned char *exact = malloc(cut > 0 ? cut : 1); /* so that a sanitizer sees over-reads */
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

/* Every byte of the file, changed: refused, or still a model; never anything else. */
Test(model, survives_every_changed_byte) {
    unsigned char *bytes = NULL;
    size_t length = 0, refused = 0;
    struct cn_model *model = make_model(1);
    save(model);
    cn_model_free(model);
    cr_assert_eq(cn_file_read(path, 1 << 20, &bytes, &length, NULL), CN_OK);
    for (size_t i = 0; i < length; i++) {
        struct cn_error error = {0};
        bytes[i] ^= 0x15;
        model = NULL;
        const enum cn_status status = cn_model_parse(bytes, length, "t", &model, &error);
        cr_expect_eq(status == CN_OK, model != NULL);
        cr_expect_eq(status, error.status);
        refused += status != CN_OK;
        cn_model_free(model);
        bytes[i] ^= 0x15;
    }
    cr_expect_gt(refused, length / 4);
    free(bytes);
}

Test(model, refuses_bad_metadata) {
    static const struct {
        const char *key, *value, *words;
        enum cn_status status;
    } cases[] = {
        {"format", NULL, "no format", CN_MALFORMED},
        {"format", "pt", "format is \"pt\"", CN_UNSUPPORTED},
        {"architecture", NULL, "no architecture", CN_MALFORMED},
        {"architecture", "{", "JSON", CN_MALFORMED},
        {"architecture",
         "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
             "GRU", "\"name\":\"g\",\"batch_input_shape\":[null,4]") "]}",
         "layer \"g\" is a GRU; supported are", CN_UNSUPPORTED},
        {"architecture",
         "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
             "Dense", "\"name\":\"d\",\"units\":3,\"batch_input_shape\":[null,71]") "]}",
         "tensor \"d/kernel\" has shape (72, 3); the architecture needs (71, 3)", CN_MALFORMED},
        {"architecture",
         "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
             "Dense", "\"name\":\"d\",\"units\":3,\"batch_input_shape\":[null,72]") "]}",
         "belongs to no layer", CN_MALFORMED},
        {"architecture",
         "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
             "Dense", "\"name\":\"e\",\"units\":3,\"batch_input_shape\":[null,72]") "]}",
         "tensor \"e/kernel\" is missing", CN_MALFORMED},
        {"labels", "[\"a\",\"b\"]", "2 labels for a network of 3", CN_INVALID},
        {"labels", "[\"a\",\"b\",3]", "label 2 is 3", CN_MALFORMED},
        {"labels", "{}", "list", CN_MALFORMED},
        {"labels", "[\"a\",\"b\",\"\"]", "label 2", CN_INVALID},
        {"labels", "[\"a\"", "JSON", CN_MALFORMED},
        {"preprocessing", "[]", "object of fit, box and invert", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":5}", "object of fit", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":5,\"invert\":true,\"x\":1}", "object of fit",
         CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"best\",\"box\":5,\"invert\":true}", "fit is \"best\"",
         CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":0,\"invert\":true}", "box is 0",
         CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":9,\"invert\":true}", "box is 9", CN_INVALID},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":5,\"invert\":1}", "invert is 1",
         CN_MALFORMED},
        {"training", "[]", "training record", CN_INVALID},
        {"training", "x", "training record", CN_MALFORMED},
        {"probe", "{}", "probe's output", CN_MALFORMED},
        {"probe", "{\"output\":[0.1,0.2]}", "3 numbers", CN_MALFORMED},
        {"probe", "{\"output\":[0.1,0.2,\"x\"]}", "the file says", CN_MALFORMED},
        {"probe", "{\"output\":[7.5,0,0]}", "the file says 7.5", CN_MALFORMED},
    };
    struct cn_safetensors *parts = saved_parts();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_with(parts, cases[i].key, cases[i].value);
        expect_refusal(cases[i].status, cases[i].words);
    }
    cn_safetensors_free(parts);
}

Test(model, takes_foreign_files_without_the_optional_keys) {
    static const char *const optional[] = {"labels", "preprocessing", "training", "probe"};
    struct cn_safetensors *parts = saved_parts();
    for (size_t i = 0; i < 4; i++) {
        struct cn_model *model = NULL;
        struct cn_error error = {0};
        write_with(parts, optional[i], NULL);
        cr_expect_eq(cn_model_read(path, &model, &error), CN_OK, "%s", error.text);
        cn_model_free(model);
    }
    cn_safetensors_free(parts);
}

Test(model, refuses_weights_that_are_not_finite) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *kernel = tensor_of(parts, "d/kernel");
    float *weights = malloc(kernel->size * sizeof *weights);
    memcpy(weights, kernel->data, kernel->size * sizeof *weights);
    kernel->data = weights;
    for (size_t i = 0; i < 3; i++) {
        weights[5] = bad[i];
        write_parts(parts);
        expect_refusal(CN_INVALID, "tensor \"d/kernel\": element 5 is ");
    }
    cn_safetensors_free(parts);
    free(weights);

    /* And nothing like that is written. */
    struct cn_model *model = make_model(1);
    struct cn_error error = {0};
    (void)unlink(path);
    model->network->parameters[3] = NAN;
    cr_expect_eq(cn_model_write(model, path, &error), CN_INVALID);
    cr_expect_str_eq(error.source, path);
    cr_expect_eq(entries(false), 0);
    cn_model_free(model);
}

Test(model, refuses_weights_that_overflow) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *variance = tensor_of(parts, "bn/moving_variance");
    const float negative[2] = {-1.0F, -1.0F};
    variance->data = negative;
    write_with(parts, "probe", NULL);
    expect_refusal(CN_INVALID, "for the probe is");
    cn_safetensors_free(parts);
}

Test(model, refuses_changed_weights_by_the_probe) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *bias = tensor_of(parts, "d/bias");
    const float other[3] = {1.0F, 0.0F, 0.0F};
    bias->data = other;
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "output 0 for the probe is 0.");
    cn_safetensors_free(parts);
}

Test(model, refuses_missing_and_extra_tensors) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *bias = tensor_of(parts, "d/bias");
    strcpy(bias->name, "d/other");
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "tensor \"d/bias\" is missing");
    strcpy(bias->name, "d/bias");
    struct cn_safetensor *more = calloc(parts->tensor_count + 1, sizeof *more);
    struct cn_safetensor *const owned = parts->tensors;
    memcpy(more, owned, parts->tensor_count * sizeof *more);
    more[parts->tensor_count] = *bias;
    strcpy(more[parts->tensor_count].name, "extra/bias");
    parts->tensors = more;
    parts->tensor_count++;
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "tensor \"extra/bias\" belongs to no layer");
    parts->tensors = owned;
    parts->tensor_count--;
    cn_safetensors_free(parts);
    free(more);
}

/* A small file must not make a large allocation: a gigabyte of weights that it does not have. */
Test(model, compares_tensors_before_it_allocates) {
    struct cn_safetensors *parts = saved_parts();
    write_with(parts, "architecture",
               "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
                   "Dense", "\"name\":\"d\",\"units\":"
                            "16000,\"batch_input_shape\":["
                            "null,16000]") "," LAYER("Dense", "\"name\":\"d2\",\"units\":3") "]}");
    struct rusage before, after;
    (void)getrusage(RUSAGE_SELF, &before);
    expect_refusal(CN_MALFORMED, "needs (16000, 16000)");
    (void)getrusage(RUSAGE_SELF, &after);
    cr_expect_lt(after.ru_maxrss - before.ru_maxrss, 200000, "kilobytes");
    cn_safetensors_free(parts);
}

Test(model, a_full_disk_leaves_the_old_file) {
    unsigned char *before = NULL, *after = NULL;
    size_t before_length = 0, after_length = 0;
    struct cn_model *model = make_model(1);
    struct cn_error error = {0};
    struct rlimit old;
    save(model);
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
        cr_expect_eq(entries(false), 1, "no temporary file is left");
    }
    cr_assert_eq(cn_file_read(path, 1 << 20, &after, &after_length, NULL), CN_OK);
    cr_assert_eq(after_length, before_length);
    cr_expect_arr_eq(after, before, before_length);
    free(before);
    free(after);
    cn_model_free(model);
}

Test(model, an_unwritable_folder_is_an_error) {
    struct cn_model *model = make_model(1);
    struct cn_error error = {0};
    cr_expect_eq(cn_model_write(model, "/nonexistent/m.safetensors", &error), CN_IO);
    cr_expect_str_eq(error.source, "/nonexistent/m.safetensors");
    save(model);
    cr_assert_eq(chmod(folder, 0555), 0);
    const bool root = geteuid() == 0;
    if (root) /* whom no mode stops */
        cr_assert_eq(seteuid(65534), 0);
    error = (struct cn_error){0};
    cr_expect_eq(cn_model_write(model, path, &error), CN_IO);
    if (root)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(folder, 0755), 0);
    cr_expect_eq(entries(false), 1);
    cn_model_free(model);
}

/* Saves two models in turn for ever, one byte to `pipe_end` after each. */
static _Noreturn void save_for_ever(struct cn_model *const models[2], int pipe_end) {
    for (size_t i = 0;; i++)
        if (cn_model_write(models[i % 2], path, NULL) != CN_OK || write(pipe_end, "", 1) != 1)
            _exit(1);
}

Test(model, a_killed_save_leaves_the_old_or_the_new_file) {
    struct cn_model *const models[2] = {make_model(1), make_model(2)};
    const size_t size = models[0]->network->parameter_count * sizeof(float);
    for (int round = 0; round < 12; round++) {
        struct cn_model *copy = NULL;
        struct cn_error error = {0};
        int ends[2], status = 0;
        cr_assert_eq(pipe(ends), 0);
        const pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            (void)close(ends[0]); /* so that it ends with this test, however that ends */
            save_for_ever(models, ends[1]);
        }
        (void)close(ends[1]);
        for (int saves = 0; saves <= round; saves++) {
            char byte;
            cr_assert_eq(read(ends[0], &byte, 1), 1);
        }
        /* While it saves, a reader sees whole files only. */
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
