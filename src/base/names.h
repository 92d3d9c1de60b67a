/* names.h: enums as words: a NULL-terminated array of names indexed by the enum's value. */
#ifndef CONVNET_BASE_NAMES_H
#define CONVNET_BASE_NAMES_H

#include <stddef.h>

/* Index of `name` in `names`, or -1. */
int cn_name_index(const char *const *names, const char *name);

/* Writes the names as "a, b, c" into `text` and returns it: for messages. Where not all have room,
 * "..." stands for the last ones. */
const char *cn_name_list(const char *const *names, char *text, size_t size);

#endif
