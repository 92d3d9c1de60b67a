/* names.h: enums as words: a NULL-terminated array of names indexed by the enum's value; lists of
 * names as text; the ends of names. */
#ifndef CONVNET_BASE_NAMES_H
#define CONVNET_BASE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Index of `name` in `names`, or -1. */
int cn_name_index(const char *const *names, const char *name);

/* Writes the names as "a, b, c" into `text` and returns it: for messages. Where not all have room,
 * "..." stands for the last ones. */
const char *cn_name_list(const char *const *names, char *text, size_t size);

/* The next name of the list *rest, whose names have commas and blanks between them, and its length;
 * NULL after the last. *rest moves behind it. */
const char *cn_name_next(const char **rest, size_t *ret_length);

/* True if `name` ends with `ending`, and is more than that. */
bool cn_name_ends(const char *name, const char *ending);

#endif
