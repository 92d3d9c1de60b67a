/* info.c: `convnet info`: the layers of a model or an architecture, and their cost.
 *
 * It knows no layer by name: it prints the layer's description. One thread. */
#include "cli/info.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "convnet/plan.h"
#include "json/load.h"

/* ---- The description of a model ----
 * Its inputs and outputs and the meaning of their numbers, its preprocessing, labels, source, and
 * signature. */

enum { MAX_SIGNATURE = 4096 /* bytes */, SHOWN_LABELS = 20 };

static const char *const kind_texts[] = {
    [CN_OUTPUT_SOFTMAX] = "softmax: a probability for each class, 1 in all",
    [CN_OUTPUT_SIGMOID] = "sigmoid: the probability of the second of two classes",
    [CN_OUTPUT_SIGMOIDS] = "sigmoids: an independent probability for each label",
    [CN_OUTPUT_LOGITS] = "logits: numbers of any size, larger for a likelier class",
    [CN_OUTPUT_NUMBER] = "number: a regression",
    [CN_OUTPUT_MAP] = "map: numbers for each place",
};

static json_t *form_json(const struct cn_tensor_form *form) {
    return json_pack("{s:s, s:o}", "name", form->name, "shape",
                     cn_json_ints(form->dims, form->rank));
}

static void print_form(const char *title, const struct cn_tensor_form *form, const char *kind) {
    printf("%-21s ", title);
    cli_put_plain(form->name, 0);
    fputs(" (", stdout);
    for (int i = 0; i < form->rank; i++)
        printf("%s%d", i > 0 ? ", " : "", form->dims[i]);
    printf(")%s%s\n", kind[0] != '\0' ? "; " : "", kind);
}

/* ---- The contents of the signature beside the file, unchecked ---- */

struct signature {
    char key[65], sha256[65];
    long long time;
};

static bool signature_read(const char *path, struct signature *ret) {
    char sig[PATH_MAX];
    unsigned char *bytes = NULL;
    size_t length;
    if (path == NULL || (size_t)snprintf(sig, sizeof sig, "%s.sig", path) >= sizeof sig ||
        cn_file_read(sig, MAX_SIGNATURE, &bytes, &length, NULL) != CN_OK)
        return false;
    const bool good = sscanf((const char *)bytes,
                             "convnet-signature/1 key %64[0-9a-f] time %lld sha256 %64[0-9a-f]",
                             ret->key, &ret->time, ret->sha256) == 3;
    free(bytes);
    return good;
}

static void format_time(long long seconds, char when[static 40]) {
    const time_t at = (time_t)seconds;
    struct tm utc;
    when[0] = '\0';
    if (gmtime_r(&at, &utc) != NULL)
        (void)strftime(when, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void print_signature(const struct cn_model *model, const char *path) {
    struct signature signature;
    char when[40];
    if (!signature_read(path, &signature)) {
        puts("Signature             none beside the file");
        return;
    }
    format_time(signature.time, when);
    printf("Signature             %s, at %s by key %s; `convnet verify' checks it\n",
           strcmp(signature.sha256, model->sha256) == 0 ? "of this file" : "OF ANOTHER FILE", when,
           signature.key);
}

static void add_signature(const struct cn_model *model, const char *path, json_t *object) {
    struct signature signature;
    char when[40];
    if (!signature_read(path, &signature)) {
        (void)json_object_set_new(object, "signature", json_null());
        return;
    }
    format_time(signature.time, when);
    (void)json_object_set_new(object, "signature",
                              json_pack("{s:s, s:s, s:b}", "key", signature.key, "time", when,
                                        "of_this_file",
                                        strcmp(signature.sha256, model->sha256) == 0));
}

static void print_labels(const struct cn_model *model) {
    printf("Labels                ");
    for (size_t i = 0; i < model->label_count && i < SHOWN_LABELS; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        cli_put_plain(model->labels[i], 0);
    }
    if (model->label_count > SHOWN_LABELS)
        printf(", ... (%zu; --json has all)", model->label_count);
    puts(model->label_count == 0 ? "none" : "");
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "?";
}

static void print_source(const json_t *imported) {
    if (imported == NULL)
        return;
    printf("Source                ");
    cli_put_plain(text_of(imported, "format"), 0);
    putchar(' ');
    cli_put_plain(text_of(imported, "file"), 0);
    printf("\n                      SHA-256 ");
    cli_put_plain(text_of(imported, "sha256"), 0);
    putchar('\n');
}

static void print_about(const struct cn_model *model, const json_t *training, const char *path) {
    char text[CN_PREPROCESSING_TEXT];
    for (size_t i = 0; i < model->input_forms; i++)
        print_form(i == 0 ? "Inputs" : "", &model->inputs[i], "");
    for (size_t k = 0; k < model->output_forms; k++)
        print_form(k == 0 ? "Outputs" : "", &model->outputs[k],
                   kind_texts[cn_network_output_kind(model->network, model->outputs[k].port)]);
    if (model->network->temperature != 1)
        printf("Temperature           %g, which divides the softmax's inputs\n",
               (double)model->network->temperature);
    printf("Preprocessing         %s\n", cn_preprocessing_format(&model->preprocessing, text));
    print_labels(model);
    printf("SHA-256               %s\n", model->sha256);
    printf("Checksum inside       %s\n",
           model->sealed ? "right" : "none (`convnet edit' writes one)");
    print_signature(model, path);
    print_source(json_object_get(training, "imported"));
}

static void add_about(const struct cn_model *model, const json_t *training, const char *path,
                      json_t *object) {
    json_t *inputs = json_array(), *outputs = json_array();
    for (size_t i = 0; i < model->input_forms; i++)
        (void)json_array_append_new(inputs, form_json(&model->inputs[i]));
    for (size_t k = 0; k < model->output_forms; k++) {
        json_t *form = form_json(&model->outputs[k]);
        const size_t port = model->outputs[k].port;
        (void)json_object_set_new(
            form, "kind",
            json_string(cn_output_kind_names[cn_network_output_kind(model->network, port)]));
        (void)json_array_append_new(outputs, form);
    }
    (void)json_object_set_new(object, "inputs", inputs);
    (void)json_object_set_new(object, "outputs", outputs);
    (void)json_object_set_new(object, "temperature",
                              json_real(cli_decimal(model->network->temperature)));
    (void)json_object_set(object, "source", json_object_get(training, "imported"));
    add_signature(model, path, object);
}

/* ---- The command ---- */

struct info_settings {
    bool json, plan;
};

static const struct cli_option options[] = {
    {"plan", NULL, CLI_FLAG, offsetof(struct info_settings, plan),
     .text = "show instead the steps that compute the network: kernel, shape, arithmetic, bytes, "
             "predicted time; and the memory per worker"},
    CLI_JSON_OPTION(offsetof(struct info_settings, json)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    CLI_OPERANDS("MODEL|FILE.json|NAME", 1, 1),
    .text = "Show the layers, shapes, parameters and multiply-accumulates of a model or "
            "architecture; for a model also its inputs, outputs, labels, preprocessing, source, "
            "signature and training record.",
};

/* The model that is shown, trained or not. */
struct subject {
    const struct cn_model *model;
    bool trained;
    json_t *training; /* borrowed from its record; NULL: none */
    const char *path; /* as the user named it */
};

static unsigned long long total_macs(const struct cn_network *network) {
    unsigned long long total = 0;
    for (size_t i = 0; i < network->layer_count; i++)
        total += cn_layer_macs(&network->layers[i]);
    return total;
}

static json_t *layers_json(const struct cn_network *network) {
    json_t *list = json_array();
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct cn_layer *layer = &network->layers[i];
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", layer->name, "type",
                            cn_layer_type_name(layer->type), "output_shape",
                            cn_json_ints(layer->output_shape.dims, layer->output_shape.rank),
                            "parameters", (json_int_t)layer->parameter_count,
                            "multiply_accumulates", (json_int_t)cn_layer_macs(layer)));
    }
    return list;
}

static json_t *labels_json(const struct cn_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->label_count; i++)
        (void)json_array_append_new(list, json_string(model->labels[i]));
    return list;
}

static json_t *preprocessing_json(const struct cn_preprocessing *p) {
    return json_pack("{s:s, s:i, s:b, s:s, s:s, s:f, s:[f, f, f], s:[f, f, f]}", "fit",
                     cn_fit_names[p->fit], "box", p->box, "invert", (int)p->invert, "channels",
                     cn_channels_names[p->channels], "interpolation",
                     cn_interpolation_names[p->interpolation], "scale", (double)p->scale, "mean",
                     (double)p->mean[0], (double)p->mean[1], (double)p->mean[2], "std",
                     (double)p->std[0], (double)p->std[1], (double)p->std[2]);
}

/* Layers whose weights are bytes, and those that have any. */
static void count_quantized(const struct cn_network *network, size_t *ret_quantized,
                            size_t *ret_all) {
    *ret_quantized = *ret_all = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        *ret_quantized += cn_quantization_scales(network, i) != NULL;
        *ret_all += network->layers[i].tensor_count > 0;
    }
}

static bool print_json(const struct subject *subject) {
    const struct cn_model *model = subject->model;
    const struct cn_network *network = model->network;
    json_t *result = json_pack(
        "{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:s}", "name", network->name, "input_shape",
        cn_json_ints(network->input_shape.dims, network->input_shape.rank), "output_shape",
        cn_json_ints(network->output_shape.dims, network->output_shape.rank), "layers",
        layers_json(network), "parameters", (json_int_t)network->parameter_count,
        "trainable_parameters", (json_int_t)cn_network_trainable_count(network),
        "multiply_accumulates", (json_int_t)total_macs(network), "instruction_set",
        cn_instruction_set());
    if (result != NULL && network->quantization != NULL) {
        size_t quantized, all;
        count_quantized(network, &quantized, &all);
        (void)json_object_set_new(result, "quantized_layers", json_integer((json_int_t)quantized));
    }
    if (result != NULL && subject->trained) {
        (void)json_object_set_new(result, "sha256", json_string(model->sha256));
        (void)json_object_set_new(result, "checksum", json_boolean(model->sealed));
        (void)json_object_set_new(result, "labels", labels_json(model));
        (void)json_object_set_new(result, "preprocessing",
                                  preprocessing_json(&model->preprocessing));
        add_about(model, subject->training, subject->path, result);
        (void)json_object_set(result, "training", subject->training);
    }
    return cli_put_json_value(result);
}

static void print_layers(const struct cn_network *network) {
    char shape[CN_SHAPE_TEXT];
    const char *rule =
        "----------------------------------------------------------------------------";
    printf("%-24s %-22s %-16s %10s %14s\n%s\n", "Layer", "Type", "Output shape", "Parameters",
           "Mult-adds", rule);
    printf("%-24s %-22s %-16s %10s %14s\n", "(input)", "",
           cn_shape_format(&network->input_shape, shape), "", "");
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct cn_layer *layer = &network->layers[i];
        printf("%-24s %-22s %-16s %10zu %14llu\n", layer->name, cn_layer_type_name(layer->type),
               cn_shape_format(&layer->output_shape, shape), layer->parameter_count,
               cn_layer_macs(layer));
    }
    printf("%s\n", rule);
    printf("Parameters            %zu (%zu trainable), %.1f KiB\n", network->parameter_count,
           cn_network_trainable_count(network), (double)network->parameter_count * 4 / 1024);
    if (network->quantization != NULL) {
        size_t quantized, all;
        count_quantized(network, &quantized, &all);
        printf("Quantized             the kernels of %zu of %zu layers with weights are bytes\n",
               quantized, all);
    }
    printf("Multiply-accumulates  %llu per image\n", total_macs(network));
    printf("Instruction set       %s\n", cn_instruction_set());
}

static void print_training(const json_t *training, const char *indent) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)training, key, value) {
        if (strcmp(key, "imported") == 0)
            continue; /* printed before */
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        printf("%s", indent);
        cli_put_plain(key, 18);
        printf("  ");
        cli_put_plain(text != NULL ? text : "", 0);
        putchar('\n');
        free(text);
    }
}

static bool print_text(const struct subject *subject) {
    print_layers(subject->model->network);
    if (subject->trained) {
        print_about(subject->model, subject->training, subject->path);
        puts("Training");
        print_training(subject->training, "  ");
    }
    return cli_stdout_good();
}

int cli_info(int argc, char **argv) {
    struct info_settings settings = {0};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    char **operands;
    size_t operand_count;
    bool trained;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (cli_model_find(operands[0], true, &model, &trained, &error) != CN_OK)
        return cli_report(argv[0], &error);
    json_t *training = json_loads(model->training, JSON_REJECT_DUPLICATES, NULL);
    const struct subject subject = {model, trained, training, operands[0]};
    enum cn_status status = CN_OK;
    bool good = true;
    if (settings.plan)
        status = cli_info_plan(model, settings.json, &good, &error);
    else
        good = settings.json ? print_json(&subject) : print_text(&subject);
    json_decref(training);
    cn_model_free(model);
    return status != CN_OK ? cli_report(argv[0], &error) : good ? CLI_DONE : CLI_FAILED;
}
