/* info.h: the parts of `convnet info`. */
#ifndef CONVNET_CLI_INFO_H
#define CONVNET_CLI_INFO_H

#include "cli/cli.h"

/* Prints the plan's steps, or with `json` the same as JSON. *ret_good: stdout took it. The errors
 * of cn_plan_create. */
enum cn_status cli_info_plan(const struct cn_model *model, bool json, bool *ret_good,
                             struct cn_error *error);

#endif
