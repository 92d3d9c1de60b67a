/* target.h: a request target's path, decoded and safe to compare. */
#ifndef CONVNET_HTTP_TARGET_H
#define CONVNET_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_PATH_SIZE = 1024 };

/* Writes the decoded path of `target` (origin-form, absolute-form with http or https, or "*") with
 * its NUL. Returns 0, or the status to answer, with *ret_fault set to a constant sentence: 400 for
 * invalid bytes or %-codes, NUL, control bytes, an encoded slash and "." or ".." segments; 414 when
 * it is longer than HTTP_PATH_SIZE. */
unsigned http_target_path(const char *target, char ret_path[static HTTP_PATH_SIZE],
                          const char **ret_fault);

/* The authority of an absolute-form target, of *ret_length bytes within it, or NULL if the target
 * has another form. */
const char *http_target_authority(const char *target, size_t *ret_length);

enum { HTTP_MAX_ARGUMENTS_IN_QUERY = 64 };

/* False if the query of `target` has too many arguments: they are then joined into one, in place,
 * by replacing each '&' with '_'. */
bool http_target_check_query(char *target);

#endif
