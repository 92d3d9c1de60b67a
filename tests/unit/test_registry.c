#include "serving/registry.h"

#include <criterion/criterion.h>
#include <string.h>

#include "model/signature.h"
#include "support/folder.h"
#include "support/networks.h"

static char folder[FOLDER_PATH];
static char log_text[4096]; /* one letter and a name per event */
static struct cn_error error;
static struct registry_result result;

static void begin(void) {
    folder_create(folder);
    log_text[0] = '\0';
    error = (struct cn_error){0};
}
static void end(void) {
    folder_remove(folder);
}
TestSuite(registry, .init = begin, .fini = end);

static void note(void *data, const struct registry_event *event) {
    static const char letters[] = "+!-x*m";
    const size_t used = strlen(log_text);
    (void)data;
    (void)snprintf(log_text + used, sizeof log_text - used, "%c%s@%u ", letters[event->kind],
                   event->name, event->version);
}

/* Writes a model file whose label 0 is `label`, so that files differ. */
static void put(const char *file, const char *label) {
    char path[FOLDER_PATH], draft[FOLDER_PATH];
    struct cn_model *model = NULL;
    struct cn_network *network =
        test_network(cn_shape_image(4, 4, 1), "Flatten; Dense units=3 activation=softmax", 1);
    const size_t count = cn_shape_size(&network->output_shape);
    const char *labels[64];
    cr_assert_eq(cn_model_create(network, &model, &error), CN_OK, "%s", error.text);
    for (size_t i = 0; i < count; i++)
        labels[i] = i == 0 ? label : "other";
    cr_assert_eq(cn_model_set_labels(model, labels, count, &error), CN_OK);
    folder_join(path, folder, file);
    folder_join(draft, folder, "draft");
    cr_assert_eq(cn_model_write(model, draft, &error), CN_OK, "%s", error.text);
    cr_assert_eq(rename(draft, path), 0);
    cn_model_free(model);
}

static void put_text(const char *file, const char *text) {
    char path[FOLDER_PATH];
    folder_join(path, folder, file);
    folder_write(path, text, strlen(text));
}

static void drop(const char *file) {
    char path[FOLDER_PATH];
    folder_join(path, folder, file);
    cr_assert_eq(remove(path), 0);
}

static struct registry *open_folder(const char *default_model) {
    static struct registry_options options;
    struct registry *registry = NULL;
    options = (struct registry_options){
        .folder = folder, .default_model = default_model, .slots = 2, .report = note};
    error = (struct cn_error){0};
    return registry_create(&options, &registry, &error) == CN_OK ? registry : NULL;
}

static const char *label_of(struct registry *registry, const char *name, unsigned version) {
    static char label[64];
    enum registry_answer answer;
    struct served_model *model = registry_acquire(registry, name, version, &answer);
    static const char *const answers[] = {"found", "no model", "no version", "not ready"};
    (void)snprintf(label, sizeof label, "%s",
                   model != NULL ? model->model->labels[0] : answers[answer]);
    served_model_release(model);
    return label;
}

static enum cn_status reload(struct registry *registry) {
    log_text[0] = '\0';
    error = (struct cn_error){0};
    return registry_reload(registry, &result, &error);
}

Test(registry, names_and_versions) {
    static const struct {
        const char *path, *name;
        unsigned version;
    } rows[] = {{"digits.safetensors", "digits", 1},
                {"/a.b/digits@2.safetensors", "digits", 2},
                {"a-b_c.d@999999999.safetensors", "a-b_c.d", 999999999},
                {"@2.safetensors", NULL, 0},
                {"x@.safetensors", NULL, 0},
                {"x@0.safetensors", NULL, 0},
                {"x@01.safetensors", NULL, 0},
                {"x@1000000000.safetensors", NULL, 0},
                {"x@1@2.safetensors", NULL, 0},
                {"x@-1.safetensors", NULL, 0},
                {".safetensors", NULL, 0},
                {"a b.safetensors", NULL, 0},
                {"", NULL, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[SERVED_MODEL_NAME];
        unsigned version = 0;
        const enum cn_status status = served_model_name(rows[i].path, name, &version, NULL);
        cr_assert_eq(status == CN_OK, rows[i].name != NULL, "%s", rows[i].path);
        if (rows[i].name == NULL)
            continue;
        cr_assert_str_eq(name, rows[i].name);
        cr_assert_eq(version, rows[i].version);
    }
}

Test(registry, a_folder_is_served_by_name_and_version) {
    put("b.safetensors", "b1");
    put("a@2.safetensors", "a2");
    put("a@10.safetensors", "a10");
    put_text("notes.txt", "not a model");
    put_text(".hidden.safetensors", "not looked at");
    struct registry *registry = open_folder(NULL);
    cr_assert_not_null(registry, "%s", error.text);
    cr_assert_str_eq(label_of(registry, NULL, 0), "a10", "the first name, its highest version");
    cr_assert_str_eq(label_of(registry, "a", 2), "a2");
    cr_assert_str_eq(label_of(registry, "b", 0), "b1");
    cr_assert_str_eq(label_of(registry, "b", 1), "b1");
    cr_assert_str_eq(label_of(registry, "b", 2), "no version");
    cr_assert_str_eq(label_of(registry, "c", 0), "no model");
    size_t count = 0;
    struct registry_row *rows = registry_list(registry, &count);
    cr_assert_eq(count, 3);
    cr_assert(rows[0].version == 2 && !rows[0].newest && !rows[0].is_default);
    cr_assert(rows[1].version == 10 && rows[1].newest && rows[1].is_default);
    cr_assert(rows[2].newest && !rows[2].is_default && rows[2].state == REGISTRY_READY);
    registry_list_free(rows, count);
    registry_free(registry);
}

Test(registry, the_default_is_the_operators_choice_and_must_be_there) {
    put("a.safetensors", "a");
    put("b.safetensors", "b");
    struct registry *registry = open_folder("b");
    cr_assert_str_eq(label_of(registry, NULL, 0), "b");
    registry_free(registry);
    cr_assert_null(open_folder("c"));
    cr_assert_str_eq(error.text, "default-model 'c' does not exist; the models are a, b");
}

Test(registry, nothing_to_serve_is_an_error) {
    cr_assert_null(open_folder(NULL));
    cr_assert(strstr(error.text, "no file whose name ends with .safetensors") != NULL);
    put_text("bad.safetensors", "bad");
    cr_assert_null(open_folder(NULL));
    cr_assert(strstr(error.source, "bad.safetensors") != NULL, "%s", error.source);
    put("good.safetensors", "good");
    struct registry *registry = open_folder(NULL);
    cr_assert_not_null(registry, "one good file is enough: %s", error.text);
    cr_assert_eq(error.status, CN_OK);
    cr_assert_str_eq(label_of(registry, "bad", 0), "not ready");
    cr_assert_str_eq(label_of(registry, NULL, 0), "good", "the default is one that works");
    put("a.safetensors", "a");
    cr_assert_neq(reload(registry), CN_OK);
    cr_assert_str_eq(label_of(registry, NULL, 0), "good", "and does not change by itself");
    registry_free(registry);
    folder_remove(folder);
    cr_assert_null(open_folder(NULL));
    cr_assert_eq(error.status, CN_IO);
    cr_assert_eq(mkdir(folder, 0700), 0);
}

Test(registry, reload_reads_only_what_changed) {
    put("a.safetensors", "a1");
    put("b.safetensors", "b1");
    struct registry *registry = open_folder(NULL);
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_eq(result.unchanged, 2);
    cr_assert_str_eq(log_text, "");
    put("b.safetensors", "b2");
    put("c.safetensors", "c1");
    drop("a.safetensors");
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_str_eq(log_text, "+b@1 +c@1 xa@1 *b@0 ");
    cr_assert(result.loaded == 2 && result.gone == 1 && result.unchanged == 0);
    cr_assert_str_eq(label_of(registry, NULL, 0), "b2");
    registry_free(registry);
}

Test(registry, a_file_that_never_loaded_is_not_gone) {
    put("a.safetensors", "a");
    struct registry *registry = open_folder(NULL);
    put_text("b.safetensors", "bad");
    cr_assert_neq(reload(registry), CN_OK);
    drop("b.safetensors");
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_str_eq(log_text, "");
    cr_assert(result.gone == 0 && result.unchanged == 1);
    registry_free(registry);
}

Test(registry, a_bad_file_leaves_the_old_model_serving) {
    put("a.safetensors", "old");
    struct registry *registry = open_folder(NULL);
    put_text("a.safetensors", "bad");
    for (int i = 0; i < 2; i++) { /* a refused file is read again, even if it has not changed */
        cr_assert_neq(reload(registry), CN_OK);
        cr_assert_str_eq(log_text, "!a@1 ");
        cr_assert_str_eq(label_of(registry, "a", 0), "old");
    }
    size_t count = 0;
    struct registry_row *rows = registry_list(registry, &count);
    cr_assert(rows[0].state == REGISTRY_READY && rows[0].reason[0] != '\0');
    registry_list_free(rows, count);
    put("a.safetensors", "new");
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_str_eq(label_of(registry, "a", 0), "new");
    registry_free(registry);
}

Test(registry, what_requests_hold_outlives_its_replacement) {
    enum registry_answer answer;
    put("a.safetensors", "old");
    struct registry *registry = open_folder(NULL);
    struct served_model *held = registry_acquire(registry, "a", 0, &answer);
    put("a.safetensors", "new");
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_str_eq(held->model->labels[0], "old");
    cr_assert_not_null(served_model_workspace(held, 1));
    cr_assert_null(served_model_workspace(held, 2), "there are two slots");
    cr_assert_eq(held->references, 1);
    registry_free(registry);
    cr_assert_str_eq(held->model->labels[0], "old");
    served_model_release(held);
}

Test(registry, bad_names_and_twins_are_refused_and_reported) {
    put("a.safetensors", "a");
    put("a@1.safetensors", "twin");
    put_text("a@x.safetensors", "bad name");
    struct registry *registry = open_folder(NULL);
    cr_assert_str_eq(label_of(registry, "a", 0), "a");
    cr_assert_neq(reload(registry), CN_OK);
    cr_assert_eq(result.refused, 2);
    cr_assert_eq(result.unchanged, 1);
    registry_free(registry);
}

Test(registry, unload_and_load) {
    put("a.safetensors", "a");
    put("b.safetensors", "b1");
    put("b@2.safetensors", "b2");
    struct registry *registry = open_folder(NULL);
    cr_assert_eq(registry_unload(registry, "b", &error), CN_OK);
    cr_assert_str_eq(label_of(registry, "b", 0), "not ready");
    cr_assert_eq(registry_unload(registry, "x", &error), CN_INVALID);
    put("b.safetensors", "b3");
    cr_assert_eq(reload(registry), CN_OK);
    cr_assert_str_eq(label_of(registry, "b", 1), "not ready", "a reload does not undo it");
    cr_assert_eq(registry_load(registry, "b", &result, &error), CN_OK);
    cr_assert_str_eq(label_of(registry, "b", 1), "b3");
    cr_assert_str_eq(label_of(registry, "b", 0), "b2");
    error = (struct cn_error){0};
    cr_assert_eq(registry_load(registry, "x", &result, &error), CN_INVALID);
    cr_assert_str_eq(error.text, "there is no file for a model 'x'");
    put("c.safetensors", "c");
    cr_assert_eq(registry_load(registry, "c", &result, &error), CN_OK);
    cr_assert_str_eq(label_of(registry, "c", 0), "c");
    registry_free(registry);
}

Test(registry, one_file) {
    char path[FOLDER_PATH];
    struct registry *registry = NULL;
    put("a@7.safetensors", "a");
    folder_join(path, folder, "a@7.safetensors");
    const struct registry_options options = {.file = path, .slots = 1, .report = note};
    cr_assert_eq(registry_create(&options, &registry, &error), CN_OK, "%s", error.text);
    cr_assert_str_eq(label_of(registry, "a", 7), "a");
    drop("a@7.safetensors");
    cr_assert_eq(reload(registry), CN_IO);
    cr_assert_str_eq(label_of(registry, NULL, 0), "a", "the file is gone, the model serves");
    registry_free(registry);
}

static void count_events(void *data, const struct registry_event *event) {
    size_t *counts = data;
    counts[event->kind]++;
    if (event->kind == REGISTRY_EVENT_MORE)
        counts[REGISTRY_EVENT_MORE] += event->count - 1;
}

/* The log names refused files up to a limit and counts the others. */
Test(registry, a_folder_of_bad_files_is_told_of_in_few_words) {
    size_t counts[REGISTRY_EVENT_MORE + 1] = {0};
    struct registry *registry = NULL;
    char name[40];
    for (int i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof name,
                       i % 2 == 0 ? "m%d.safetensors" : "no model %d.safetensors", i);
        put_text(name, "no");
    }
    put("good.safetensors", "0");
    const struct registry_options options = {
        .folder = folder, .slots = 1, .report = count_events, .data = counts};
    cr_assert_eq(registry_create(&options, &registry, &error), CN_OK, "%s", error.text);
    cr_expect_eq(counts[REGISTRY_EVENT_LOADED], 1);
    cr_expect_eq(counts[REGISTRY_EVENT_REFUSED], REGISTRY_MAX_REFUSALS);
    cr_expect_eq(counts[REGISTRY_EVENT_MORE], 150 - REGISTRY_MAX_REFUSALS);
    registry_free(registry);
}

/* With trusted keys a file that is unsigned or was signed earlier does not replace a model. */
Test(registry, only_signed_models_are_served) {
    char secret[FOLDER_PATH], public[FOLDER_PATH], path[FOLDER_PATH], other[FOLDER_PATH];
    struct registry *registry = NULL;
    struct cn_model *model = NULL;
    enum registry_answer answer;
    folder_join(secret, folder, "k.key");
    folder_join(public, folder, "k.pub");
    folder_join(path, folder, "a.safetensors");
    folder_join(other, folder, "b.safetensors");
    cr_assert_eq(cn_signature_generate(secret, public, NULL, &error), CN_OK, "%s", error.text);
    put("a.safetensors", "first");
    const struct registry_options options = {
        .file = path, .slots = 1, .trusted_keys = public, .report = note};
    cr_expect_eq(registry_create(&options, &registry, &error), CN_INVALID);
    cr_expect(strstr(error.text, "is not signed") != NULL, "%s", error.text);

    error = (struct cn_error){0};
    cr_assert_eq(cn_model_read(path, &model, &error), CN_OK);
    cr_assert_eq(cn_signature_write(secret, path, model->sha256, 1000, &error), CN_OK);
    cr_assert_eq(registry_create(&options, &registry, &error), CN_OK, "%s", error.text);
    /* First unsigned, then signed earlier, then signed later. */
    static const long long times[] = {0, 999, 1001};
    for (size_t i = 0; i < 3; i++) {
        struct cn_model *next = NULL;
        error = (struct cn_error){0};
        put("b.safetensors", i == 0 ? "x" : i == 1 ? "y" : "z");
        cr_assert_eq(cn_model_read(other, &next, &error), CN_OK);
        cr_assert_eq(rename(other, path), 0);
        if (times[i] > 0)
            cr_assert_eq(cn_signature_write(secret, path, next->sha256, times[i], &error), CN_OK);
        cn_model_free(next);
        const enum cn_status status = registry_reload(registry, &result, &error);
        cr_expect_eq(status, i == 2 ? CN_OK : CN_INVALID, "%zu: %s", i, error.text);
        struct served_model *served = registry_acquire(registry, NULL, 0, &answer);
        cr_assert_not_null(served);
        cr_expect_str_eq(served->model->labels[0], i == 2 ? "z" : "first");
        served_model_release(served);
    }
    /* If a key is no longer trusted, the model is checked again. */
    put_text("k.pub", "ed25519 00000000000000000000000000000000000000000000000000000000000000ff\n");
    error = (struct cn_error){0};
    cr_expect_eq(registry_reload(registry, &result, &error), CN_INVALID);
    cr_expect(strstr(error.text, "not trusted") != NULL, "%s", error.text);
    cn_model_free(model);
    registry_free(registry);
}
