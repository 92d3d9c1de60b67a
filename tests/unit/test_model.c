/* test_model.c: models and what their files may contain: labels, records, metadata, weights. Each
 * test uses a folder of its own, which is removed at its end. Tests of files as bytes are in
 * test_model_file.c. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "convnet/model.h"
#include "model/model_file.h"
#include "model/safetensors.h"
#include "support/folder.h"
#include "support/model_files.h"

static char folder[FOLDER_PATH], path[FOLDER_PATH];

static void setup(void) {
    folder_create(folder);
    folder_join(path, folder, "m.safetensors");
}

static void teardown(void) {
    folder_remove(folder);
}

TestSuite(model, .init = setup, .fini = teardown);

#define LAYER(class_name, config) "{\"class_name\":\"" class_name "\",\"config\":{" config "}}"

/* Tests of what a file may contain change one part of a valid file. */
static struct cn_safetensors *saved_parts(void) {
    struct cn_safetensors *file = NULL;
    struct cn_model *model = model_files_model(1);
    model_files_save(model, path);
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

/* Writes `parts` with the metadata string `key` replaced, or removed if `value` is NULL. */
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

Test(model, defaults_of_a_new_model) {
    struct cn_model *model = model_files_model(1);
    const struct cn_preprocessing expected = cn_preprocessing_default(&model->network->input_shape);
    cr_expect_eq(model->label_count, 3);
    cr_expect_str_eq(model->labels[2], "2");
    cr_expect_str_eq(model->training, "{}");
    cr_expect_eq(model->preprocessing.box, expected.box);
    cr_expect_eq(model->preprocessing.fit, expected.fit);
    cn_model_free(model);
    cn_model_free(NULL);
}

Test(model, maps_and_single_numbers_have_no_labels) {
    static const char *const texts[] = {
        "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
            "Conv2D", "\"filters\":2,\"kernel_size\":3,\"input_shape\":[8,8,1]") "]}",
        "{\"class_name\":\"Sequential\",\"config\":[" LAYER(
            "Dense", "\"units\":1,\"input_shape\":[8]") "]}"};
    static const size_t sizes[] = {72, 1};
    for (size_t i = 0; i < 2; i++) {
        struct cn_model *model = NULL;
        struct cn_error error = {0};
        cr_assert_eq(cn_model_create(model_files_network(texts[i], 1), &model, &error), CN_OK, "%s",
                     error.text);
        cr_expect_eq(model->output_size, sizes[i]);
        cr_expect_eq(model->label_count, 0);
        cn_model_free(model);
    }
}

Test(model, refuses_bad_labels_and_training_records) {
    static const char *const good[] = {"a", "b", "c"}, *const control[] = {"a", "b\n", "c"},
                             *const empty[] = {"a", "b", ""}, *const foreign[] = {"a", "\xff", "c"};
    struct cn_model *model = model_files_model(1);
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
        {"preprocessing", "[]", "an object with a fit", CN_MALFORMED},
        {"preprocessing", "{\"box\":5}", "an object with a fit", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":5,\"invert\":true,\"x\":1}",
         "there is no parameter \"x\"", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"pad\",\"mean\":[1,2]}", "mean is \"1:2\"", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"pad\",\"std\":{}}", "std is {}", CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"pad\",\"channels\":\"rgb\"}", "channels rgb", CN_INVALID},
        {"preprocessing", "{\"fit\":\"best\",\"box\":5,\"invert\":true}", "fit is \"best\"",
         CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":0,\"invert\":true}", "box is \"0\"",
         CN_MALFORMED},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":9,\"invert\":true}", "box is 9", CN_INVALID},
        {"preprocessing", "{\"fit\":\"mnist\",\"box\":5,\"invert\":1}", "invert is \"1\"",
         CN_MALFORMED},
        {"training", "[]", "training record", CN_INVALID},
        {"training", "x", "training record", CN_MALFORMED},
        {"probes", "{}", "the probes are {}", CN_MALFORMED},
        {"probes", "{\"logits\":[]}", "1 to 4 lists", CN_MALFORMED},
        {"probes", "{\"logits\":[1]}", "probe 0's output is 1", CN_MALFORMED},
        {"probes", "{\"logits\":[[0.1,0.2]]}", "3 numbers", CN_MALFORMED},
        {"probes", "{\"logits\":[[-1.1,-1.2,\"x\"]]}", "the file says", CN_MALFORMED},
        {"probes", "{\"logits\":[[7.5,0,0]]}", "the file says 7.5", CN_MALFORMED},
    };
    struct cn_safetensors *parts = saved_parts();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_with(parts, cases[i].key, cases[i].value);
        expect_refusal(cases[i].status, cases[i].words);
    }
    cn_safetensors_free(parts);
}

Test(model, takes_foreign_files_without_the_optional_keys) {
    static const char *const optional[] = {"labels", "preprocessing", "training", "probes"};
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

    /* Such values are not written either. */
    struct cn_model *model = model_files_model(1);
    struct cn_error error = {0};
    (void)unlink(path);
    model->network->parameters[3] = NAN;
    cr_expect_eq(cn_model_write(model, path, &error), CN_INVALID);
    cr_expect_str_eq(error.source, path);
    cr_expect_eq(model_files_entries(folder), 0);
    cn_model_free(model);
}

Test(model, refuses_weights_that_overflow) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *variance = tensor_of(parts, "bn/moving_variance");
    const float negative[2] = {-1.0F, -1.0F};
    variance->data = negative;
    write_with(parts, "probes", NULL);
    expect_refusal(CN_INVALID, "for the probe is");
    cn_safetensors_free(parts);
}

Test(model, refuses_changed_weights_by_the_probe) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_safetensor *bias = tensor_of(parts, "d/bias");
    const float other[3] = {1.0F, 0.0F, 0.0F};
    bias->data = other;
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "output 0 for probe 0 is -0.");
    cn_safetensors_free(parts);
}

/* A file of the first versions: one probe of probabilities, and no checksum. */
Test(model, takes_and_checks_older_files) {
    struct cn_safetensors *parts = saved_parts();
    struct cn_model *model = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_model_read(path, &model, &error), CN_OK, "%s", error.text);
    cr_expect(model->sealed);
    float *outputs = NULL;
    char probe[200];
    cr_assert_eq(cn_model_probe(model->network, 1, &outputs, NULL, &error), CN_OK, "%s",
                 error.text);
    (void)snprintf(probe, sizeof probe, "{\"output\":[%.9g,%.9g,%.9g]}", (double)outputs[0],
                   (double)outputs[1], (double)outputs[2]);
    free(outputs);
    cn_model_free(model);
    struct cn_metadata *kept = parts->metadata;
    struct cn_metadata older[3] = {
        {"format", "convnet/1"}, {"architecture", NULL}, {"probe", probe}};
    older[1].value = (char *)(uintptr_t)cn_safetensors_metadata(parts, "architecture");
    const size_t count = parts->metadata_count;
    parts->metadata = older;
    parts->metadata_count = 3;
    write_parts(parts);
    cr_assert_eq(cn_model_read(path, &model, &error), CN_OK, "%s", error.text);
    cr_expect_not(model->sealed);
    cn_model_free(model);
    older[2].value = "{\"output\":[0.9,0.05,0.05]}";
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "the file says 0.9");
    older[2] = (struct cn_metadata){"probes", "{\"logits\":[[0,0,0]]}"};
    write_parts(parts);
    expect_refusal(CN_MALFORMED, "probes but no checksum");
    parts->metadata = kept;
    parts->metadata_count = count;
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

/* A small file must not cause a large allocation: it claims a gigabyte of weights that it does not
 * contain. */
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
