/* edit.c: `convnet edit`: changes a model's description, never its weights. One thread. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/edit.h"

enum { MAX_LABELS_FILE = 16 << 20 /* bytes */ };

struct edit_settings {
    struct cli_changes changes;
    const char *output;
};

#define SETTING(field) offsetof(struct edit_settings, field)

static const struct cli_option options[] = {
    {"output", "MODEL", CLI_STRING, SETTING(output), .letter = 'o',
     .text = "model file to write, which may be the one that is read", .required = true},
    {"labels", "FILE|A,B,...", CLI_STRING, SETTING(changes.labels),
     .text = "names of the classes: a file with one per line, or a list"},
    {"preprocessing", "KEY=VALUE,...", CLI_STRING, SETTING(changes.preprocessing),
     .text = "how pictures become the network's input: fit, channels, interpolation, scale, mean "
             "and std"},
    {"answer", "OUTPUT", CLI_STRING, SETTING(changes.answer),
     .text = "name of the output that answers a picture, if the network has several"},
    {"temperature", "X", CLI_FLOAT, SETTING(changes.temperature),
     .text = "divide the inputs of the final softmax by X; another temperature than the model's "
             "removes the thresholds of predict --error",
     .minimum = 0.01, .maximum = 100},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("MODEL", 1, 1),
    .text = "Change a model's labels, preprocessing, answering output or temperature. The weights "
            "stay as they are.",
};

/* Splits `text` in place at each `separator` and removes white space and carriage returns at the
 * ends of the parts. *ret_labels points into `text`; the caller frees the array with free(). */
static enum cn_status labels_split(char *text, char separator, const char ***ret_labels,
                                   size_t *ret_count, struct cn_error *error) {
    size_t count = 1, used = 0;
    for (const char *c = text; *c != '\0'; c++)
        count += *c == separator;
    const char **labels = calloc(count, sizeof *labels);
    if (labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
    for (char *part = text; part != NULL;) {
        char *end = strchr(part, separator);
        if (end != NULL)
            *end = '\0';
        size_t length = strlen(part);
        while (length > 0 && strchr(" \t\r", part[length - 1]) != NULL)
            part[--length] = '\0';
        part += strspn(part, " \t");
        if (end != NULL ||
            part[0] != '\0') /* an empty part after the last newline is not a label */
            labels[used++] = part;
        part = end != NULL ? end + 1 : NULL;
    }
    *ret_labels = labels;
    *ret_count = used;
    return CN_OK;
}

static enum cn_status change_labels(struct cn_model *model, const char *argument,
                                    struct cn_error *error) {
    struct cn_error unread = {0};
    unsigned char *bytes = NULL;
    const char **labels = NULL;
    size_t length = 0, count = 0;
    const bool list = strchr(argument, ',') != NULL;
    enum cn_status status =
        cn_file_read(argument, MAX_LABELS_FILE, &bytes, &length, list ? &unread : error);
    if (status != CN_OK && list) {
        bytes = (unsigned char *)strdup(argument);
        status = bytes != NULL ? labels_split((char *)bytes, ',', &labels, &count, error)
                               : cn_fail(error, CN_MEMORY, "no memory for the labels");
    } else if (status == CN_OK) {
        status = labels_split((char *)bytes, '\n', &labels, &count, error);
    }
    if (status == CN_OK)
        status = cn_model_set_labels(model, labels, count, error);
    free(labels);
    free(bytes);
    return status;
}

enum cn_status cli_change_model(struct cn_model *model, const struct cli_changes *changes,
                                struct cn_error *error) {
    enum cn_status status = CN_OK;
    if (changes->answer != NULL)
        status = cn_model_choose_answer(model, changes->answer, error);
    if (status == CN_OK && changes->labels != NULL)
        status = change_labels(model, changes->labels, error);
    if (status == CN_OK && changes->preprocessing != NULL)
        status = cn_preprocessing_parse(changes->preprocessing, &model->network->input_shape,
                                        &model->preprocessing, error);
    if (changes->temperature != 0 && changes->temperature != model->network->temperature) {
        model->network->temperature = changes->temperature;
        model->error_levels.count =
            0; /* thresholds hold for the probabilities of one temperature */
    }
    return status;
}

int cli_edit(int argc, char **argv) {
    struct edit_settings settings = {0};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    char **operands;
    size_t operand_count;
    bool trained; /* unused, but models of several inputs are then accepted */
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status = cli_check_writable(settings.output, &error);
    if (status == CN_OK)
        status = cli_model_find(operands[0], false, &model, &trained, &error);
    if (status == CN_OK)
        status = cli_change_model(model, &settings.changes, &error);
    if (status == CN_OK)
        status = cn_model_write(model, settings.output, &error);
    cn_model_free(model);
    return status == CN_OK ? CLI_DONE : cli_report(argv[0], &error);
}
