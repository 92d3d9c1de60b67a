/* export.c: `convnet export`: writes a model in the formats of other programs, and reports what
 * they cannot express. One thread. */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/names.h"
#include "cli/export/export.h"

enum format { FORMAT_ONNX, FORMAT_KERAS, FORMAT_TFJS };
static const char *const format_names[] = {"onnx", "keras", "tfjs", NULL};

struct export_settings {
    const char *output;
    int format;
};

#define SETTING(field) offsetof(struct export_settings, field)

static const struct cli_option options[] = {
    {"format", "NAME", CLI_NAME, SETTING(format), .names = format_names,
     .text = "onnx (default), keras (a .keras file of Keras 3, or an .h5 file if the name of the "
             "output ends with .h5), or tfjs (a TensorFlow.js layers model)"},
    {"output", "FILE", CLI_STRING, SETTING(output), .letter = 'o', .required = true,
     .text = "file to write; for tfjs this is model.json, and the weights are written beside it"},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("MODEL", 1, 1),
    .text =
        "Write a model for other programs. The written network takes the network's own input; the "
        "command prints how a picture becomes that input, which the other program has to do.",
};

const void *cli_export_field(const struct cn_layer *layer, const char *key) {
    size_t count;
    const struct cn_field *fields = cn_layer_type_fields(layer->type, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, key) == 0)
            return layer->config + fields[i].offset;
    return NULL;
}

const float *cli_export_weights(const struct cn_network *network, const struct cn_layer *layer,
                                const char *tensor) {
    const struct cn_layer *owner = layer->shares > 0 ? &network->layers[layer->shares - 1] : layer;
    char name[CN_TENSOR_NAME];
    (void)snprintf(name, sizeof name, "%s/%.20s", owner->name, tensor);
    for (size_t t = 0; t < network->tensor_count; t++)
        if (strcmp(network->tensors[t].name, name) == 0)
            return network->parameters + network->tensors[t].offset;
    return NULL;
}

static enum cn_status write_onnx(const struct cn_model *model, const char *output,
                                 struct cn_error *error) {
    struct cn_text bytes = {0};
    enum cn_status status = cli_export_onnx(model, &bytes, error);
    if (status == CN_OK)
        status = cn_file_write(output, &(struct cn_file_part){bytes.bytes, bytes.length}, 1, error);
    free(bytes.bytes);
    return status;
}

/* "shop/model.json" has its weights in "shop/model.weights.bin". */
static enum cn_status write_tfjs(const struct cn_model *model, const char *output,
                                 struct cn_error *error) {
    char path[PATH_MAX], copy[PATH_MAX];
    struct cn_text weights = {0};
    char *json = NULL;
    const size_t length = strlen(output);
    const bool ends = cn_name_ends(output, ".json");
    if (length + 16 > sizeof path)
        return cn_fail(error, CN_INVALID, "the name of the output is too long");
    (void)snprintf(path, sizeof path, "%.*s.weights.bin", (int)(ends ? length - 5 : length),
                   output);
    memcpy(copy, path, strlen(path) + 1);
    enum cn_status status = cli_export_tfjs(model, basename(copy), &json, &weights, error);
    if (status == CN_OK)
        status =
            cn_file_write(path, &(struct cn_file_part){weights.bytes, weights.length}, 1, error);
    if (status == CN_OK)
        status = cn_file_write(output, &(struct cn_file_part){json, strlen(json)}, 1, error);
    free(json);
    free(weights.bytes);
    return status;
}

static enum cn_status write_keras(const struct cn_model *model, const char *output,
                                  struct cn_error *error) {
    const bool hdf5 = cn_name_ends(output, ".h5") || cn_name_ends(output, ".hdf5");
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cli_export_keras(model, hdf5, &bytes, &length, error);
    if (status == CN_OK)
        status = cn_file_write(output, &(struct cn_file_part){bytes, length}, 1, error);
    free(bytes);
    return status;
}

typedef enum cn_status model_writer(const struct cn_model *model, const char *output,
                                    struct cn_error *error);
static model_writer *const writers[] = {
    [FORMAT_ONNX] = write_onnx, [FORMAT_KERAS] = write_keras, [FORMAT_TFJS] = write_tfjs};

static bool say(const struct cn_model *model, const struct export_settings *settings) {
    char text[CN_PREPROCESSING_TEXT];
    printf("Written to     %s\n", settings->output);
    printf("Input          the network's own: pictures by %s\n",
           cn_preprocessing_format(&model->preprocessing, text));
    return cli_stdout_good();
}

int cli_export(int argc, char **argv) {
    struct export_settings settings = {0};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    char **operands;
    size_t operand_count;
    bool trained; /* for export, models with several inputs are accepted */
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    enum cn_status status = cli_check_writable(settings.output, &error);
    if (status == CN_OK)
        status = cli_model_find(operands[0], false, &model, &trained, &error);
    if (status == CN_OK)
        status = writers[settings.format](model, settings.output, &error);
    const bool good = status == CN_OK && say(model, &settings);
    cn_model_free(model);
    return status != CN_OK ? cli_report(argv[0], &error) : good ? CLI_DONE : CLI_FAILED;
}
