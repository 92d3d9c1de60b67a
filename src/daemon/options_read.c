/* options_read.c: reads options from the file, the environment and the command line. options.c
 * parses values. Runs before threads start. */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/credentials.h"
#include "daemon/options.h"
#include "daemon/unit_file.h"
#include "model/known_models.h"
#include "places.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

/* ---- The file ---- */

enum { LINE_SIZE = OPTION_TEXT_SIZE + 128 };

struct file_reader {
    struct daemon_options *options;
    const char *path;
    long long line;                  /* the line that was read last */
    long long seen[OPTION_MAX_ROWS]; /* the line of each option; 0: not in the file */
    struct cn_error *error;
};

static enum cn_status fail_line(const struct file_reader *reader, const char *text) {
    return cn_fail_at(reader->error, CN_INVALID, reader->path, reader->line, "%s", text);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cuts the blanks around the text, in place. */
static char *trim(char *text) {
    while (is_blank(*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* A semicolon after a blank begins a comment. */
static void cut_comment(char *text) {
    for (char *c = text; *c != '\0'; c++)
        if (*c == ';' && c > text && is_blank(c[-1]))
            *c-- = '\0';
}

static enum cn_status take_pair(struct file_reader *reader, const char *name, const char *value) {
    const struct option_row *row = option_find(name);
    if (row == NULL)
        return cn_fail_at(reader->error, CN_INVALID, reader->path, reader->line,
                          "option '%.60s' is unknown; convnetd --help lists them all", name);
    long long *seen = &reader->seen[row - option_rows];
    if (*seen != 0)
        return cn_fail_at(reader->error, CN_INVALID, reader->path, reader->line,
                          "option '%s' was set in line %lld already", name, *seen);
    *seen = reader->line;
    return option_set(reader->options, row, value, reader->path, reader->line, reader->error);
}

static enum cn_status take_line(struct file_reader *reader, char *text) {
    char *line = trim(text);
    if (*line == '\0' || *line == '#' || *line == ';')
        return CN_OK;
    if (*line == '[')
        return cn_fail_at(reader->error, CN_INVALID, reader->path, reader->line,
                          "section %.60s is unknown; this file has no sections", line);
    char *value = strchr(line, '=');
    if (value == NULL)
        return fail_line(reader, "the line must be 'key = value'");
    *value++ = '\0';
    cut_comment(value);
    return take_pair(reader, trim(line), trim(value));
}

/* Returns false after the last line, or with a fault in *ret_status. */
static bool next_line(struct file_reader *reader, FILE *stream, char text[static LINE_SIZE],
                      enum cn_status *ret_status) {
    size_t length = 0;
    int c = getc(stream);
    if (c == EOF)
        return false;
    reader->line++;
    for (; c != EOF && c != '\n'; c = getc(stream)) {
        if (c == '\0' || length == LINE_SIZE - 1) {
            *ret_status = fail_line(reader, "the line is too long or holds a NUL");
            return false;
        }
        text[length++] = (char)c;
    }
    text[length] = '\0';
    return true;
}

static enum cn_status read_lines(struct file_reader *reader, FILE *stream) {
    char text[LINE_SIZE];
    enum cn_status status = CN_OK;
    while (status == CN_OK && next_line(reader, stream, text, &status))
        status = take_line(reader, text);
    return status;
}

enum cn_status options_read_file(struct daemon_options *options, const char *path,
                                 struct cn_error *error) {
    struct daemon_options changed = *options;
    struct file_reader reader = {.options = &changed, .path = path, .error = error};
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return cn_fail_at(error, CN_IO, path, -1, "cannot be opened: %s", strerror(errno));
    enum cn_status status = read_lines(&reader, stream);
    if (status == CN_OK && ferror(stream) != 0)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot be read: %s", strerror(errno));
    (void)fclose(stream);
    if (status == CN_OK)
        *options = changed;
    return status;
}

/* ---- The environment ---- */

enum cn_status options_read_environment(struct daemon_options *options, struct cn_error *error) {
    for (size_t i = 0; i < option_row_count; i++) {
        char variable[64] = "CONVNETD_";
        size_t used = strlen(variable);
        for (const char *c = option_rows[i].name; *c != '\0' && used + 1 < sizeof variable; c++)
            variable[used++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        variable[used] = '\0';
        const char *value = getenv(variable);
        if (value == NULL)
            continue;
        enum cn_status status = option_set(options, &option_rows[i], value, variable, -1, error);
        if (status != CN_OK)
            return status;
    }
    return CN_OK;
}

/* ---- The command line ---- */

enum { KEY_CONFIG = 'c', KEY_CHECK = 0x1001, KEY_PRINT, KEY_UNIT, KEY_ROWS = 0x2000 };

struct arguments {
    const char *config;
    enum daemon_action action;
    const char *values[OPTION_MAX_ROWS]; /* the last value given */
    const char *unit;                    /* --unit; NULL: not given */
};

static error_t take_argument(int key, char *value, struct argp_state *state) {
    struct arguments *arguments = state->input;
    if (key >= KEY_ROWS && (size_t)(key - KEY_ROWS) < option_row_count) {
        arguments->values[key - KEY_ROWS] = value != NULL ? value : "yes";
        return 0;
    }
    switch (key) {
    case KEY_CONFIG:
        arguments->config = value;
        return 0;
    case KEY_CHECK:
        arguments->action = ACTION_CHECK_CONFIG;
        return 0;
    case KEY_PRINT:
        arguments->action = ACTION_PRINT_CONFIG;
        return 0;
    case KEY_UNIT:
        arguments->unit = value != NULL ? value : "convnetd.service";
        return 0;
    case ARGP_KEY_END:
        if (arguments->unit != NULL && arguments->action != ACTION_CHECK_CONFIG)
            argp_error(state, "--unit goes with --check-config");
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not an option", value);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Makes argp's table from ours. The help texts live until the process ends. */
static void make_table(struct argp_option *table) {
    static char help[OPTION_MAX_ROWS][240];
    size_t count = 0;
    table[count++] = (struct argp_option){
        "config", KEY_CONFIG, "FILE", 0, "Read options from FILE; see convnetd.conf(5)", 0};
    table[count++] = (struct argp_option){
        "check-config", KEY_CHECK, NULL, 0, "Check the configuration and the model, and exit", 0};
    table[count++] = (struct argp_option){
        "unit",
        KEY_UNIT,
        "NAME",
        OPTION_ARG_OPTIONAL,
        "With --check-config: as this unit would start it. Default: convnetd.service",
        0};
    table[count++] = (struct argp_option){
        "print-config", KEY_PRINT, NULL, 0, "Print the configuration as a file, and exit", 0};
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        (void)snprintf(help[i], sizeof help[i], "%s%s%s", row->help,
                       row->initial[0] != '\0' ? " Default: " : "", row->initial);
        table[count++] =
            (struct argp_option){.name = row->name,
                                 .key = KEY_ROWS + (int)i,
                                 .arg = row->kind == OPTION_TEXT     ? row->unit
                                        : row->kind == OPTION_SWITCH ? "yes|no"
                                        : row->kind == OPTION_CHOICE ? "NAME"
                                        : row->kind == OPTION_BYTES  ? "SIZE"
                                                                     : "N",
                                 .flags = row->kind == OPTION_SWITCH ? OPTION_ARG_OPTIONAL : 0,
                                 .doc = help[i],
                                 .group = 1};
    }
    table[count] = (struct argp_option){0};
}

enum { ADMIN_SOCKET_ROOM = 108 }; /* of sun_path in struct sockaddr_un */

/* Without a configured socket, admin calls use a socket in the runtime folder that systemd has made
 * for the daemon. */
static void find_admin_socket(struct daemon_options *options) {
    const char *folder = getenv("RUNTIME_DIRECTORY");
    const size_t length = folder != NULL ? strcspn(folder, ":") : 0;
    char path[OPTION_TEXT_SIZE];
    if (length > 0 && length + sizeof "/admin.sock" <= ADMIN_SOCKET_ROOM &&
        options->admin_socket[0] == '\0') {
        (void)snprintf(path, sizeof path, "%.*s/admin.sock", (int)length, folder);
        memcpy(options->admin_socket, path, strlen(path) + 1);
    }
}

/* A file is taken as it is; a name stands for one of the folders of models, the installed one if it
 * is found nowhere: then its path is in the message. */
static void find_model(struct daemon_options *options) {
    const char *model = options->model;
    if (cn_known_is_path(model))
        (void)snprintf(options->model_file, sizeof options->model_file, "%s", model);
    else if (!cn_known_find(model, ".safetensors", CN_KNOWN_VARIABLE, options->model_file))
        (void)snprintf(options->model_file, sizeof options->model_file, "%s/%s.safetensors",
                       CN_MODELS_FOLDER, model);
}

/* The process's own command line, kept for options_check_unchanged, and the unit of --unit. */
static struct arguments given;
static struct unit_file unit;

static enum cn_status read_all(const struct arguments *arguments, struct daemon_options *options,
                               struct cn_error *error) {
    enum cn_status status = CN_OK;
    options_init(options);
    if (arguments->config != NULL)
        status = options_read_file(options, arguments->config, error);
    if (status == CN_OK)
        status = options_read_environment(options, error);
    for (size_t i = 0; i < option_row_count && status == CN_OK; i++)
        if (arguments->values[i] != NULL)
            status = option_set(options, &option_rows[i], arguments->values[i], "the command line",
                                -1, error);
    find_model(options);
    credentials_find(options);
    for (size_t i = 0; i < unit.credential_count; i++)
        credentials_take(options, unit.credentials[i].name, unit.credentials[i].path);
    find_admin_socket(options);
    return status == CN_OK ? options_check(options, error) : status;
}

/* The unit supplies the options that were not given; only its environment counts. */
static enum cn_status take_unit(const struct argp *parser, struct arguments *arguments,
                                struct cn_error *error) {
    struct arguments from_unit = {0};
    const enum cn_status status = unit_file_read(arguments->unit, &unit, error);
    if (status != CN_OK)
        return status;
    (void)clearenv();
    /* systemd sets it, too, and LLVM's OpenMP crashes where there is no variable at all. */
    (void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", 1);
    for (size_t i = 0; i < unit.variable_count; i++)
        if (strchr(unit.variables[i], '=') != NULL)
            (void)putenv(unit.variables[i]); /* which lives as long as the process */
    argp_parse(parser, (int)unit.word_count, unit.words, 0, NULL, &from_unit);
    if (arguments->config == NULL)
        arguments->config = from_unit.config;
    for (size_t i = 0; i < option_row_count; i++)
        if (arguments->values[i] == NULL)
            arguments->values[i] = from_unit.values[i];
    return CN_OK;
}

enum cn_status options_check_unit(const struct daemon_options *options, struct cn_error *error) {
    if (given.unit != NULL)
        return unit_file_check(&unit, options, error);
    return options->address[0] != '\0' || options->tls_address[0] != '\0' ||
                   options->admin_socket[0] != '\0'
               ? CN_OK
               : cn_fail(error, CN_INVALID,
                         "there is no address to listen at: set address or tls-address; for a unit "
                         "that gets sockets from systemd use --unit=NAME");
}

enum cn_status options_read(int argc, char **argv, struct daemon_options *ret_options,
                            enum daemon_action *ret_action, struct cn_error *error) {
    static char text[1024] = "Serves a trained convolutional network over HTTP.\v"
                             "Calls to a daemon that runs, over its admin socket:\n";
    struct argp_option table[OPTION_MAX_ROWS + 5];
    const struct argp parser = {.options = table, .parser = take_argument, .doc = text};
    struct daemon_options options;
    const size_t used = strlen(text);
    control_describe(text + used, sizeof text - used - 128);
    (void)strcat(text, "\nExit status: 0 stopped as asked, 1 failed, 2 wrong usage or "
                       "configuration.");
    make_table(table);
    argp_program_version = "convnetd " PACKAGE_VERSION;
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &given);
    enum cn_status status = given.unit != NULL ? take_unit(&parser, &given, error) : CN_OK;
    if (status == CN_OK)
        status = read_all(&given, &options, error);
    if (status != CN_OK)
        return status;
    *ret_options = options;
    *ret_action = given.action;
    return CN_OK;
}

const char *options_configuration(void) {
    return given.config != NULL ? given.config : "";
}

enum cn_status options_check_unchanged(const struct daemon_options *options,
                                       struct cn_error *error) {
    struct daemon_options *now = malloc(sizeof *now);
    if (now == NULL)
        return cn_fail(error, CN_MEMORY, "no memory to read the options again");
    enum cn_status status = read_all(&given, now, error);
    for (size_t i = 0; i < option_row_count && status == CN_OK; i++) {
        char before[OPTION_VALUE_SIZE], after[OPTION_VALUE_SIZE];
        option_format(options, &option_rows[i], before);
        option_format(now, &option_rows[i], after);
        if (strcmp(before, after) != 0)
            status = cn_fail(error, CN_INVALID,
                             "%s is \"%.100s\" now and \"%.100s\" in use: options take effect when "
                             "the daemon starts again",
                             option_rows[i].name, after, before);
    }
    free(now);
    return status;
}
