/* unit_file.h: what a unit of systemd's gives the daemon that it starts, for --check-config --unit.
 */
#ifndef CONVNET_DAEMON_UNIT_FILE_H
#define CONVNET_DAEMON_UNIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/options.h"

enum { UNIT_MAX_WORDS = 128, UNIT_MAX_CREDENTIALS = 32, UNIT_MAX_VARIABLES = 128 };

struct unit_credential {
    char *name, *path;
};

struct unit_file {
    char *words[UNIT_MAX_WORDS + 1]; /* of ExecStart, NULL-terminated */
    size_t word_count;
    char *variables[UNIT_MAX_VARIABLES]; /* of Environment, "NAME=VALUE" */
    size_t variable_count;
    struct unit_credential credentials[UNIT_MAX_CREDENTIALS]; /* of LoadCredential */
    size_t credential_count;
    bool other_user;              /* DynamicUser or User: it is not root that reads files */
    bool no_homes, own_temporary; /* ProtectHome, PrivateTmp */
};

/* Reads the unit `name` and its drop-ins from where systemd looks for them ($SYSTEMD_UNIT_PATH, or
 * its folders). CN_IO: there is no such unit, or a file cannot be read; CN_INVALID, CN_LIMIT;
 * CN_UNSUPPORTED: its credentials are encrypted, or in the unit itself. What *ret_unit owns is for
 * the rest of the process. */
enum cn_status unit_file_read(const char *name, struct unit_file *ret_unit, struct cn_error *error);

/* CN_IO: the service could not read a file that the options name and that is no credential: it lies
 * where the unit hides it, or (when root asks) another user may not read it. */
enum cn_status unit_file_check(const struct unit_file *unit, const struct daemon_options *options,
                               struct cn_error *error);

#endif
