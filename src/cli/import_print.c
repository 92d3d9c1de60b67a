/* import_print.c: see import.h. The report comes from a program that has read hostile bytes, so
 * every text is printed by cli_put_plain or as JSON. */
#include <stdio.h>
#include <string.h>

#include "cli/import.h"
#include "json/load.h"

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

bool cli_import_print(const json_t *report, const struct cn_model *model, const char *output) {
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
    if (output != NULL) {
        printf("Written to     %s\n", output);
    }
    return cli_stdout_good();
}

bool cli_import_print_json(const json_t *report, const struct cn_model *model, const char *output) {
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

void cli_import_print_obstacles(const json_t *report) {
    const json_t *obstacle;
    size_t i;
    json_array_foreach(json_object_get(report, "obstacles"), i, obstacle) {
        char shown[4 * CN_JSON_TEXT];
        const char *text = json_string_value(obstacle);
        (void)snprintf(shown, sizeof shown, "%s", text != NULL ? text : "");
        for (char *c = shown; *c != '\0'; c++) {
            *c = *c < ' ' || *c > '~' ? '?' : *c;
        }
        fprintf(stderr, "  %s\n", shown);
    }
}
