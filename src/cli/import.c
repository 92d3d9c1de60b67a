/* import.c: `convnet import`: starts the sandboxed import program and takes its model.
 *
 * Reads no foreign format itself: the result is a model file in memory, which is read by the same
 * reader as in the daemon and written anew. One thread. */
#include "cli/import.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/edit.h"
#include "import/protocol.h"
#include "places.h"
#include "json/load.h"

/* ---- The report ---- */

static void put_member(const json_t *object, const char *key, int width) {
    const char *text = json_string_value(json_object_get(object, key));
    cli_put_plain(text != NULL ? text : "", width);
    putchar(' ');
}

static void put_layer(const json_t *layer) {
    char shape[CN_JSON_TEXT];
    put_member(layer, "name", 28);
    put_member(layer, "class", 24);
    cli_put_plain(cn_json_show(json_object_get(layer, "shape"), shape), 18);
    putchar(' ');
    put_member(layer, "source", 0);
    putchar('\n');
}

static bool import_print(const json_t *report, const struct cn_model *model, const char *output) {
    char text[CN_PREPROCESSING_TEXT];
    const json_t *layer, *note;
    size_t i;
    put_member(report, "format", 0);
    printf("\n%-28s %-24s %-18s %s\n", "Layer", "Type", "Output shape", "In the file");
    json_array_foreach(json_object_get(report, "layers"), i, layer) {
        put_layer(layer);
    }
    json_array_foreach(json_object_get(report, "notes"), i, note) {
        fputs("note: ", stdout);
        cli_put_plain(json_string_value(note), 0);
        putchar('\n');
    }
    printf("Parameters     %zu\n", model->network->parameter_count);
    printf("Preprocessing  %s\n", cn_preprocessing_format(&model->preprocessing, text));
    fputs("Labels         ", stdout);
    for (i = 0; i < model->label_count && i < 20; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        cli_put_plain(model->labels[i], 0);
    }
    puts(model->label_count > 20 ? ", ..." : "");
    if (output != NULL)
        printf("Written to     %s\n", output);
    return cli_stdout_good();
}

static bool import_print_json(const json_t *report, const struct cn_model *model,
                              const char *output) {
    char text[CN_PREPROCESSING_TEXT];
    json_t *copy = json_copy((json_t *)(uintptr_t)report);
    (void)json_object_set_new(copy, "parameters",
                              json_integer((json_int_t)model->network->parameter_count));
    (void)json_object_set_new(copy, "labels_count", json_integer((json_int_t)model->label_count));
    (void)json_object_set_new(copy, "preprocessing",
                              json_string(cn_preprocessing_format(&model->preprocessing, text)));
    (void)json_object_set_new(copy, "output", output != NULL ? json_string(output) : json_null());
    return cli_put_json_value(copy);
}

static void import_print_obstacles(const json_t *report) {
    const json_t *obstacle;
    size_t i;
    json_array_foreach(json_object_get(report, "obstacles"), i, obstacle) {
        char shown[4 * CN_JSON_TEXT];
        const char *text = json_string_value(obstacle);
        (void)snprintf(shown, sizeof shown, "%s", text != NULL ? text : "");
        for (char *c = shown; *c != '\0'; c++)
            *c = *c < ' ' || *c > '~' ? '?' : *c;
        fprintf(stderr, "  %s\n", shown);
    }
}

enum { MAX_REPORT = 16 << 20 /* bytes */ };

/* The most --input-shape options. */
enum { MAX_SHAPES = CN_NETWORK_MAX_PORTS };
struct input_shapes {
    size_t count;
    const char *texts[MAX_SHAPES];
};

struct import_settings {
    struct cli_changes changes;
    const char *output, *architecture;
    struct input_shapes shapes;
    bool dry_run, json;
};

static bool add_shape(const char *text, void *field, const char **ret_rule) {
    struct input_shapes *shapes = field;
    *ret_rule = "there are too many of them";
    if (shapes->count == MAX_SHAPES)
        return false;
    shapes->texts[shapes->count++] = text;
    *ret_rule = "must be numbers with commas between, or NAME= and such numbers";
    return text[0] != '\0';
}

#define SETTING(field) offsetof(struct import_settings, field)

static const struct cli_option options[] = {
    {"output", "MODEL", CLI_STRING, SETTING(output), .letter = 'o', .text = "model file to write"},
    {"architecture", "FILE.json", CLI_STRING, SETTING(architecture),
     .text = "Keras JSON of the network, for files that contain only weights"},
    {"labels", "FILE|A,B,...", CLI_STRING, SETTING(changes.labels),
     .text = "names of the classes: a file with one per line, or a list"},
    {"preprocessing", "KEY=VALUE,...", CLI_STRING, SETTING(changes.preprocessing),
     .text = "how pictures become the network's input: fit, channels, interpolation, scale, mean "
             "and std"},
    {"input-shape", "[NAME=]H,W,C", CLI_CUSTOM, SETTING(shapes), .parse = add_shape,
     .text = "shape of an input whose shape the file leaves open, in the file's own order for "
             "ONNX; may be given once per input"},
    {"answer", "OUTPUT", CLI_STRING, SETTING(changes.answer),
     .text = "name of the output that answers a picture, if the network has several"},
    {"dry-run", NULL, CLI_FLAG, SETTING(dry_run),
     .text = "show the model that would be made, and write nothing"},
    {"json", NULL, CLI_FLAG, SETTING(json), .text = "show it as JSON"},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("FILE", 1, 1),
    .text = "Convert a network that another program trained into a model: Keras .h5 and .keras, "
            "TensorFlow.js model.json, ONNX, and with --architecture the weights of PyTorch or "
            "safetensors. A separate program with few rights reads the file.",
};

/* The import program beside this one, as in a build tree, or where it was installed. */
static void find_program(char path[static PATH_MAX]) {
    char self[PATH_MAX] = "";
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    (void)snprintf(path, PATH_MAX, "%.4000s/convnet-import", dirname(self));
    if (access(path, X_OK) != 0)
        (void)snprintf(path, PATH_MAX, "%s/convnet-import", CN_PROGRAMS_FOLDER);
}

/* The numbers of "x=1,224,224,3" without the batch; an empty list for other text. */
static json_t *shape_numbers(const char *text) {
    json_t *shape = json_array();
    const char *equals = strrchr(text, '=');
    text = equals != NULL ? equals + 1 : text;
    for (char *end; *text >= '0' && *text <= '9'; text = *end == ',' ? end + 1 : end)
        (void)json_array_append_new(shape, json_integer(strtol(text, &end, 10) & INT_MAX));
    if (json_array_size(shape) == 4)
        (void)json_array_remove(shape, 0);
    if (*text != '\0' || json_array_size(shape) > 3)
        (void)json_array_clear(shape);
    return shape;
}

/* The request {"name", "input_shape", "input_shapes"} as text; caller frees with free(). */
static char *make_request(const char *file, const struct import_settings *settings) {
    const struct input_shapes *shapes = &settings->shapes;
    json_t *request = json_pack("{s:s, s:[], s:[]}", "name", file, "input_shape", "input_shapes");
    json_t *texts = json_object_get(request, "input_shapes");
    if (shapes->count > 0)
        (void)json_object_set_new(request, "input_shape", shape_numbers(shapes->texts[0]));
    for (size_t i = 0; i < shapes->count; i++)
        (void)json_array_append_new(texts, json_string(shapes->texts[i]));
    char *request_text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    return request_text;
}

/* Opens the program's descriptors in the order of protocol.h; -1 for missing ones. */
static enum cn_status open_descriptors(const char *file, const char *architecture,
                                       int descriptors[static CLI_IMPORT_DESCRIPTORS],
                                       struct cn_error *error) {
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", file);
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    descriptors[0] = open(file, flags);
    if (descriptors[0] < 0)
        return cn_fail_at(error, CN_IO, file, -1, "cannot open the file: %s", strerror(errno));
    descriptors[1] = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
    descriptors[2] = memfd_create("model", MFD_CLOEXEC);
    descriptors[3] = memfd_create("report", MFD_CLOEXEC);
    if (descriptors[2] < 0 || descriptors[3] < 0)
        return cn_fail(error, CN_IO, "cannot make a file in memory: %s", strerror(errno));
    descriptors[4] = architecture != NULL ? open(architecture, flags) : -1;
    if (architecture != NULL && descriptors[4] < 0) {
        return cn_fail_at(error, CN_IO, architecture, -1, "cannot open the file: %s",
                          strerror(errno));
    }
    return CN_OK;
}

enum cn_status cli_import_run(const int descriptors[static CLI_IMPORT_DESCRIPTORS], char *request,
                              int *ret_status, struct cn_error *error) {
    char path[PATH_MAX], threads[] = "OMP_NUM_THREADS=1";
    char *arguments[] = {path, request, NULL}, *environment[] = {threads, NULL};
    int high[CLI_IMPORT_DESCRIPTORS];
    posix_spawn_file_actions_t actions;
    pid_t child;
    find_program(path);
    (void)posix_spawn_file_actions_init(&actions);
    /* The descriptors are first moved away from the numbers that they will get. */
    for (int i = 0; i < CLI_IMPORT_DESCRIPTORS; i++) {
        high[i] = descriptors[i] >= 0 ? fcntl(descriptors[i], F_DUPFD_CLOEXEC, 64) : -1;
        if (high[i] >= 0)
            (void)posix_spawn_file_actions_adddup2(&actions, high[i], IMPORT_FD_INPUT + i);
    }
    int failed = posix_spawn(&child, path, &actions, NULL, arguments, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < CLI_IMPORT_DESCRIPTORS; i++)
        if (high[i] >= 0)
            (void)close(high[i]);
    if (failed != 0) {
        return cn_fail_at(error, CN_IO, path, -1,
                          "cannot start the import program: %s (was convnet built with "
                          "--disable-import?)",
                          strerror(failed));
    }
    while (waitpid(child, ret_status, 0) < 0)
        if (errno != EINTR)
            return cn_fail(error, CN_IO, "cannot wait for the import program: %s", strerror(errno));
    return CN_OK;
}

/* The path by which the library can open a file in memory. */
static void descriptor_path(int fd, char path[static 32]) {
    (void)snprintf(path, 32, "/proc/self/fd/%d", fd);
}

enum cn_status cli_import_report(int fd, const char *file, int child_status, json_t **ret_report,
                                 struct cn_error *error) {
    char path[32];
    unsigned char *bytes = NULL;
    size_t length = 0;
    descriptor_path(fd, path);
    if (WIFSIGNALED(child_status)) {
        return cn_fail_at(error, CN_MALFORMED, file, -1,
                          WTERMSIG(child_status) == SIGXCPU || WTERMSIG(child_status) == SIGKILL
                              ? "took longer to read than the limit of 60 s; the file may be broken"
                              : "the import program ended while it read the file, which must be "
                                "broken (signal %d); nothing was written",
                          WTERMSIG(child_status));
    }
    const enum cn_status status = cn_file_read(path, MAX_REPORT, &bytes, &length, error);
    *ret_report = status == CN_OK ? json_loadb((char *)bytes, length, 0, NULL) : NULL;
    free(bytes);
    const json_t *problem = json_object_get(*ret_report, "error");
    const char *text = json_string_value(json_object_get(problem, "text"));
    if (status == CN_OK && text != NULL)
        return cn_fail_at(error, CN_UNSUPPORTED, file, -1, "%s", text);
    if (status == CN_OK && (*ret_report == NULL || child_status != 0))
        return cn_fail_at(error, CN_IO, file, -1, "the import program failed without a report");
    return status;
}

static enum cn_status import_model(const char *file, const struct import_settings *settings,
                                   json_t **ret_report, struct cn_model **ret_model,
                                   struct cn_error *error) {
    int descriptors[CLI_IMPORT_DESCRIPTORS] = {-1, -1, -1, -1, -1}, child_status = 0;
    char path[32];
    char *request = make_request(file, settings);
    enum cn_status status = request != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory");
    if (status == CN_OK)
        status = open_descriptors(file, settings->architecture, descriptors, error);
    if (status == CN_OK)
        status = cli_import_run(descriptors, request, &child_status, error);
    if (status == CN_OK)
        status = cli_import_report(descriptors[3], file, child_status, ret_report, error);
    if (status == CN_OK) {
        descriptor_path(descriptors[2], path);
        status = cn_model_read(path, ret_model, error);
    }
    for (int i = 0; i < CLI_IMPORT_DESCRIPTORS; i++)
        if (descriptors[i] >= 0)
            (void)close(descriptors[i]);
    free(request);
    return status;
}

int cli_import(int argc, char **argv) {
    struct import_settings settings = {0};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    json_t *report = NULL;
    char **operands;
    size_t operand_count;
    bool good = true;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (settings.output == NULL && !settings.dry_run)
        cli_usage_error(argv[0], "--output=MODEL is required, or --dry-run");
    const char *output = settings.dry_run ? NULL : settings.output;
    enum cn_status status = output != NULL ? cli_check_writable(output, &error) : CN_OK;
    if (status == CN_OK)
        status = import_model(operands[0], &settings, &report, &model, &error);
    if (status == CN_OK)
        status = cli_change_model(model, &settings.changes, &error);
    if (status == CN_OK && output != NULL)
        status = cn_model_write(model, output, &error);
    if (status == CN_OK)
        good = settings.json ? import_print_json(report, model, output)
                             : import_print(report, model, output);
    int exit_status = good ? CLI_DONE : CLI_FAILED;
    if (status != CN_OK) {
        exit_status = cli_report(argv[0], &error);
        import_print_obstacles(report);
    }
    json_decref(report);
    cn_model_free(model);
    return exit_status;
}
