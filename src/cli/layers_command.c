/* layers_command.c: `convnet layers`: THE table of layer types, as it is compiled in:
 * docs/layers.md is made of it. One thread. */
#include <stdio.h>

#include "cli/export/export.h"

struct layers_settings {
    bool markdown, json;
};

#define SETTING(field) offsetof(struct layers_settings, field)

static const struct cli_option options[] = {
    {"markdown", NULL, CLI_FLAG, SETTING(markdown), .text = "as the rows of a Markdown table"},
    {"json", NULL, CLI_FLAG, SETTING(json), .text = "as JSON"},
};

static const struct cli_syntax syntax = {
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .text = "List the types of layers: for each type the ONNX operators that import makes it of, "
            "whether it can be trained, and the formats that `convnet export' can write it in.",
};

/* The row of one type. */
struct layer_row {
    const char *name, *onnx, *trains, *to_onnx, *to_keras, *to_hdf5, *to_tfjs;
};

static struct layer_row row_of(const struct cn_layer_type *type) {
    return (struct layer_row){cn_layer_type_name(type),
                              cn_layer_type_onnx(type),
                              cn_layer_type_trains(type) ? "yes" : "no",
                              cli_export_onnx_has(type) ? "yes" : "no",
                              cli_export_extent(type, CLI_KERAS_3),
                              cli_export_extent(type, CLI_KERAS_2),
                              cli_export_extent(type, CLI_TFJS)};
}

static json_t *row_json(const struct layer_row *row) {
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "name", row->name, "onnx",
                     row->onnx, "trains", row->trains, "export", "onnx", row->to_onnx, "keras",
                     row->to_keras, "h5", row->to_hdf5, "tfjs", row->to_tfjs);
}

int cli_layers(int argc, char **argv) {
    struct layers_settings settings = {0};
    const struct cn_layer_type *type;
    json_t *list = json_array();
    char **operands;
    size_t operand_count;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (!settings.markdown && !settings.json)
        printf("%-28s %-7s %-6s %-6s %-6s %-6s %s\n", "Layer", "trains", "onnx", "keras", "h5",
               "tfjs", "ONNX operators");
    for (size_t i = 0; (type = cn_layer_type_at(i)) != NULL; i++) {
        const struct layer_row row = row_of(type);
        if (settings.json)
            (void)json_array_append_new(list, row_json(&row));
        else
            printf(settings.markdown ? "| %s | %s | %s | %s | %s | %s | %s |\n"
                                     : "%-28s %-7s %-6s %-6s %-6s %-6s %s\n",
                   row.name, row.trains, row.to_onnx, row.to_keras, row.to_hdf5, row.to_tfjs,
                   row.onnx);
    }
    if (settings.json)
        return cli_put_json_value(list) ? CLI_DONE : CLI_FAILED;
    json_decref(list);
    return cli_stdout_good() ? CLI_DONE : CLI_FAILED;
}
