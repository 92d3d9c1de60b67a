/* options.h: the options of an operator. THE option table (options_table.c) serves the
 * configuration file, the command line, the environment, --help, --print-config and
 * etc/convnetd.conf. */
#ifndef CONVNET_DAEMON_OPTIONS_H
#define CONVNET_DAEMON_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "convnet/status.h"

enum { OPTION_TEXT_SIZE = 1024, OPTION_VALUE_SIZE = OPTION_TEXT_SIZE, OPTION_MAX_ROWS = 80 };

/* The values of all options, in the units of the table. */
struct daemon_options {
    char model[OPTION_TEXT_SIZE], model_dir[OPTION_TEXT_SIZE], default_model[OPTION_TEXT_SIZE];
    char model_file[PATH_MAX]; /* no option: where `model` is found */
    char address[OPTION_TEXT_SIZE];
    long long port;
    bool insecure;
    char api_keys_file[OPTION_TEXT_SIZE];
    char admin_socket[OPTION_TEXT_SIZE];
    char trusted_keys[OPTION_TEXT_SIZE];
    char tls_address[OPTION_TEXT_SIZE];
    long long tls_port;
    char tls_certificate[OPTION_TEXT_SIZE], tls_key[OPTION_TEXT_SIZE];
    char tls_client_ca[OPTION_TEXT_SIZE], tls_priorities[OPTION_TEXT_SIZE];
    long long metrics_access; /* an enum metrics_access */
    long long threads, http_threads;
    long long max_connections, max_connections_per_address;
    long long max_body; /* in bytes */
    long long max_header, max_header_fields;
    long long least_rate; /* in bytes per second */
    long long max_images, max_picture, max_pixels;
    long long memory_budget; /* in bytes; 0: a default that depends on the machine */
    long long queue_images, batch_images;
    char cors_origin[OPTION_TEXT_SIZE];
    char allowed_hosts[OPTION_TEXT_SIZE];
    double batch_delay_ms, inline_us;
    double request_timeout, header_timeout, body_timeout, idle_timeout, write_timeout;
    double shutdown_delay, shutdown_timeout; /* in seconds */
    double stall_timeout;
    bool triton_metrics;
    bool no_sandbox;
    bool access_log;
    long long log_format; /* an enum log_format */
    long long log_level;  /* an enum log_level */
};

/* The values of metrics-access, in the order of the table. */
enum metrics_access { METRICS_ADMIN = 0, METRICS_CLIENT, METRICS_PUBLIC };

enum option_kind {
    OPTION_TEXT,    /* char[OPTION_TEXT_SIZE]; empty only if the minimum is 0 */
    OPTION_INTEGER, /* long long */
    OPTION_BYTES,   /* long long; K, M and G are powers of 1024 */
    OPTION_NUMBER,  /* double */
    OPTION_CHOICE,  /* long long: the index into `choices` */
    OPTION_SWITCH   /* bool: yes or no; a flag without a value means yes */
};

/* One option. */
struct option_row {
    const char *name; /* "max-body": the file's key, --max-body, CONVNETD_MAX_BODY */
    enum option_kind kind;
    size_t offset; /* of the value in struct daemon_options */
    const char *initial;
    double minimum,
        maximum;      /* INTEGER, BYTES, NUMBER: inclusive bounds; TEXT: bounds of the length */
    const char *unit; /* of the value, for people: "seconds"; for texts: "FILE" */
    const char *const *choices; /* CHOICE: NULL-terminated */
    const char *help;           /* one sentence */
};
extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* The row with this name, or NULL. */
const struct option_row *option_find(const char *name);

/* Parses `value` and stores it. CN_INVALID names option, value and rule; `source` and `line` say
 * where it was written (line -1: not in a file). */
enum cn_status option_set(struct daemon_options *options, const struct option_row *row,
                          const char *value, const char *source, long long line,
                          struct cn_error *error);

/* Writes the value in the form that option_set reads. */
void option_format(const struct daemon_options *options, const struct option_row *row,
                   char text[static OPTION_VALUE_SIZE]);

/* Sets all options to their defaults. */
void options_init(struct daemon_options *options);

/* Reads `key = value` lines; '#' and ';' begin comments. CN_INVALID for an unknown key, a repeated
 * key or a bad value; CN_IO. error->source is `path`, error->offset the line. */
enum cn_status options_read_file(struct daemon_options *options, const char *path,
                                 struct cn_error *error);

/* Reads the process's CONVNETD_... variables. */
enum cn_status options_read_environment(struct daemon_options *options, struct cn_error *error);

/* Checks the rules between options. CN_INVALID. */
enum cn_status options_check(const struct daemon_options *options, struct cn_error *error);

/* Writes a configuration file that has all options with their meanings and the values in `options`.
 */
void options_print(const struct daemon_options *options, FILE *to);

/* Reads file, environment and command line again, as options_read did. CN_INVALID names the first
 * option whose value has changed, or the fault of the file: a change takes effect only when the
 * daemon starts. Call after options_read. */
enum cn_status options_check_unchanged(const struct daemon_options *options,
                                       struct cn_error *error);

/* Checks, for --check-config --unit, that the unit's service could read the files that the options
 * name, and without --unit, that there is an address to listen at. */
enum cn_status options_check_unit(const struct daemon_options *options, struct cn_error *error);

/* The configuration file that options_read has read; "": none. */
const char *options_configuration(void);

/* The action that the command line asks for. */
enum daemon_action { ACTION_SERVE = 0, ACTION_CHECK_CONFIG, ACTION_PRINT_CONFIG };

/* Reads defaults, file, environment and command line; each overrides the one before. --help,
 * --version and wrong usage end the process as in GNU programs (status 0, 0 and 2). */
enum cn_status options_read(int argc, char **argv, struct daemon_options *ret_options,
                            enum daemon_action *ret_action, struct cn_error *error);

#endif
