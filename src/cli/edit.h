/* edit.h: what a model says of itself, changed: shared by `convnet import` and `convnet edit`. */
#ifndef CONVNET_CLI_EDIT_H
#define CONVNET_CLI_EDIT_H

#include "cli/cli.h"

/* Each is NULL or 0 where nothing was asked for. */
struct cli_changes {
    const char *labels;        /* a file with a label per line, or "cat,dog" */
    const char *preprocessing; /* cn_preprocessing_parse */
    const char *answer;        /* an output's name */
    float temperature;
};

/* Applies the changes; weights stay as they are. CN_INVALID, CN_IO. */
enum cn_status cli_change_model(struct cn_model *model, const struct cli_changes *changes,
                                struct cn_error *error);

#endif
