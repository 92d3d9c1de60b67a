/* import.h: what `convnet import` prints. */
#ifndef CONVNET_CLI_IMPORT_H
#define CONVNET_CLI_IMPORT_H

#include "cli/cli.h"

/* Prints the import program's report, node by node; `model` is what it made, `output` where it was
 * written (NULL: nowhere). False if stdout takes no more. */
bool cli_import_print(const json_t *report, const struct cn_model *model, const char *output);

/* The same as JSON. */
bool cli_import_print_json(const json_t *report, const struct cn_model *model, const char *output);

/* Prints the report's obstacles to stderr, each on its line. */
void cli_import_print_obstacles(const json_t *report);

#endif
