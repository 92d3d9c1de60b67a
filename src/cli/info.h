/* info.h: the parts of `convnet info`. */
#ifndef CONVNET_CLI_INFO_H
#define CONVNET_CLI_INFO_H

#include "cli/cli.h"

/* Prints the plan's steps, or with `json` the same as JSON. *ret_good: stdout took it. The errors
 * of cn_plan_create. */
enum cn_status cli_info_plan(const struct cn_model *model, bool json, bool *ret_good,
                             struct cn_error *error);

/* Prints what a model says of itself besides its layers; `path` is its file, `training` its record.
 */
void cli_info_print_about(const struct cn_model *model, const json_t *training, const char *path);

/* Adds the same to a JSON object. */
void cli_info_add_about(const struct cn_model *model, const json_t *training, const char *path,
                        json_t *object);

#endif
