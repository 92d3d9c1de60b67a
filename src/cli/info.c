/* info.c: `convnet info`: the layers of a model or an architecture, and their cost.
 *
 * It knows no layer by name: it prints the layer's description. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/info.h"
#include "convnet/plan.h"

struct info_settings {
    bool json, plan;
};

static const struct cli_option options[] = {
    {"plan", NULL, CLI_FLAG, offsetof(struct info_settings, plan),
     .text = "show instead the steps that compute the network: kernel, shape, arithmetic, bytes, "
             "predicted time; and the memory per worker"},
    {"json", NULL, CLI_FLAG, offsetof(struct info_settings, json), .text = "results as JSON"},
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
    const char *path; /* as it was asked for */
};

static unsigned long long total_macs(const struct cn_network *network) {
    unsigned long long total = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        total += cn_layer_macs(&network->layers[i]);
    }
    return total;
}

static json_t *shape_json(const struct cn_shape *shape) {
    json_t *dims = json_array();
    for (int i = 0; i < shape->rank; i++) {
        (void)json_array_append_new(dims, json_integer(shape->dims[i]));
    }
    return dims;
}

static json_t *layers_json(const struct cn_network *network) {
    json_t *list = json_array();
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct cn_layer *layer = &network->layers[i];
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", layer->name, "type",
                            cn_layer_type_name(layer->type), "output_shape",
                            shape_json(&layer->output_shape), "parameters",
                            (json_int_t)layer->parameter_count, "multiply_accumulates",
                            (json_int_t)cn_layer_macs(layer)));
    }
    return list;
}

static json_t *labels_json(const struct cn_model *model) {
    json_t *list = json_array();
    for (size_t i = 0; i < model->label_count; i++) {
        (void)json_array_append_new(list, json_string(model->labels[i]));
    }
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
    json_t *result =
        json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:s}", "name", network->name, "input_shape",
                  shape_json(&network->input_shape), "output_shape",
                  shape_json(&network->output_shape), "layers", layers_json(network), "parameters",
                  (json_int_t)network->parameter_count, "trainable_parameters",
                  (json_int_t)cn_network_trainable_count(network), "multiply_accumulates",
                  (json_int_t)total_macs(network), "instruction_set", cn_instruction_set());
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
        cli_info_add_about(model, subject->training, subject->path, result);
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
    printf("Multiply-accumulates  %llu an image\n", total_macs(network));
    printf("Instruction set       %s\n", cn_instruction_set());
}

static void print_training(const json_t *training, const char *indent) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)training, key, value) {
        if (strcmp(key, "imported") == 0) {
            continue; /* said before */
        }
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
        cli_info_print_about(subject->model, subject->training, subject->path);
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
    if (cli_model_find(operands[0], true, &model, &trained, &error) != CN_OK) {
        return cli_report(argv[0], &error);
    }
    json_t *training = json_loads(model->training, JSON_REJECT_DUPLICATES, NULL);
    const struct subject subject = {model, trained, training, operands[0]};
    enum cn_status status = CN_OK;
    bool good = true;
    if (settings.plan) {
        status = cli_info_plan(model, settings.json, &good, &error);
    } else {
        good = settings.json ? print_json(&subject) : print_text(&subject);
    }
    json_decref(training);
    cn_model_free(model);
    return status != CN_OK ? cli_report(argv[0], &error) : good ? CLI_DONE : CLI_FAILED;
}
