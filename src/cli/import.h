/* import.h: the import program, and what `convnet import` prints. */
#ifndef CONVNET_CLI_IMPORT_H
#define CONVNET_CLI_IMPORT_H

#include "cli/cli.h"

enum { CLI_IMPORT_DESCRIPTORS = 5 };

/* Starts the import program with an empty environment and waits for it. `descriptors`: in the order
 * of import/protocol.h, -1 for what is not there. *ret_status: as waitpid's. */
enum cn_status cli_import_run(const int descriptors[static CLI_IMPORT_DESCRIPTORS], char *request,
                              int *ret_status, struct cn_error *error);

/* Reads the report in descriptor `fd`, whatever came of it; its error becomes ours, about `file`.
 * Caller releases *ret_report. */
enum cn_status cli_import_report(int fd, const char *file, int child_status, json_t **ret_report,
                                 struct cn_error *error);

/* Prints the import program's report, node by node; `model` is what it made, `output` where it was
 * written (NULL: nowhere). False if stdout takes no more. */
bool cli_import_print(const json_t *report, const struct cn_model *model, const char *output);

/* The same as JSON. */
bool cli_import_print_json(const json_t *report, const struct cn_model *model, const char *output);

/* Prints the report's obstacles to stderr, each on its line. */
void cli_import_print_obstacles(const json_t *report);

#endif
