/* edit.h: changes of a model's description: shared by `convnet import` and `convnet edit`. */
#ifndef CONVNET_CLI_EDIT_H
#define CONVNET_CLI_EDIT_H

#include "cli/cli.h"

/* A member that is NULL or 0 means no change. */
struct cli_changes {
    const char *labels;        /* a file with one label per line, or "cat,dog" */
    const char *preprocessing; /* in the form of cn_preprocessing_parse */
    const char *answer;        /* the name of an output */
    float temperature;
};

/* Applies the changes; the weights stay. CN_INVALID, CN_IO. */
enum cn_status cli_change_model(struct cn_model *model, const struct cli_changes *changes,
                                struct cn_error *error);

#endif
