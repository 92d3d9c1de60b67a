/* import.h: runs the import program. */
#ifndef CONVNET_CLI_IMPORT_H
#define CONVNET_CLI_IMPORT_H

#include "cli/cli.h"

enum { CLI_IMPORT_DESCRIPTORS = 5 };

/* Starts the import program with an empty environment and waits for it. `descriptors`: in the order
 * of import/protocol.h, -1 for missing ones. *ret_status: as waitpid's. */
enum cn_status cli_import_run(const int descriptors[static CLI_IMPORT_DESCRIPTORS], char *request,
                              int *ret_status, struct cn_error *error);

/* Reads the report in descriptor `fd`, even after a failure; its error becomes `error`, about
 * `file`. Caller releases *ret_report. */
enum cn_status cli_import_report(int fd, const char *file, int child_status, json_t **ret_report,
                                 struct cn_error *error);

#endif
