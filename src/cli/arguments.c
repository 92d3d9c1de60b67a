/* arguments.c: converts a command's table of options to GNU argp options, with strict values.
 *
 * It knows no option by name. Wrong usage ends the process: this is the command's outermost layer.
 * Not thread-safe; runs before any thread is started. */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "cli/cli.h"

enum { FIRST_KEY = 256, MAX_OPTIONS = 80 };

const char *argp_program_version = "convnet (convnetd) " PACKAGE_VERSION;

struct parsing {
    const struct cli_syntax *syntax;
    const char *command;
    void *settings;
    char **operands;
    size_t operand_count;
};

void cli_usage_error(const char *command, const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "convnet: %s: ", command + strlen("convnet "));
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nTry `%s --help' for more information.\n", command);
    exit(CLI_USAGE);
}

static bool parse_integer(const char *text, long long *ret_value) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || strchr("-0123456789", text[0]) == NULL)
        return false;
    *ret_value = value;
    return true;
}

static bool parse_real(const char *text, double *ret_value) {
    char *end;
    if (text[strspn(text, "-+.0123456789eE")] != '\0') /* neither hexadecimal nor "nan" */
        return false;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

static void set_number(const struct parsing *parsing, const struct cli_option *option,
                       const char *text, void *field) {
    long long integer = 0;
    double value = 0;
    bool whole = option->kind == CLI_INT;
    if (whole ? !parse_integer(text, &integer) : !parse_real(text, &value)) {
        cli_usage_error(parsing->command, "--%s=%s: must be a %snumber", option->name, text,
                        whole ? "whole " : "");
    }
    value = whole ? (double)integer : value;
    if (value < option->minimum || value > option->maximum) {
        cli_usage_error(parsing->command, "--%s=%s: must be from %.10g to %.10g", option->name,
                        text, option->minimum, option->maximum);
    }
    if (whole)
        *(int *)field = (int)integer;
    else if (option->kind == CLI_FLOAT)
        *(float *)field = (float)value;
    else
        *(double *)field = value;
}

static void set_seed(const struct parsing *parsing, const struct cli_option *option,
                     const char *text, void *field) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        cli_usage_error(parsing->command, "--%s=%s: must be a whole number from 0 to %llu",
                        option->name, text, (unsigned long long)UINT64_MAX);
    }
    *(uint64_t *)field = value;
}

/* True if two names differ only in case and in - and _, as CategoricalCrossentropy and
 * categorical_crossentropy do. */
static bool same_name(const char *a, const char *b) {
    while (*a != '\0' || *b != '\0')
        if (*a == '_' || *a == '-')
            a++;
        else if (*b == '_' || *b == '-')
            b++;
        else if (tolower((unsigned char)*a++) != tolower((unsigned char)*b++))
            return false;
    return true;
}

static int find_name(const char *const *names, const char *text) {
    int index = cn_name_index(names, text);
    for (int i = 0; index < 0 && text[0] != '\0' && names[i] != NULL; i++)
        index = same_name(names[i], text) ? i : -1;
    return index;
}

static void set_name(const struct parsing *parsing, const struct cli_option *option,
                     const char *text, void *field) {
    int index = find_name(option->names, text);
    if (index < 0 && option->short_names != NULL)
        index = find_name(option->short_names, text);
    if (index < 0) {
        char list[400];
        cli_usage_error(parsing->command, "--%s=%s: must be one of %s", option->name, text,
                        cn_name_list(option->names, list, sizeof list));
    }
    *(int *)field = index;
}

static void set_option(const struct parsing *parsing, const struct cli_option *option, char *text) {
    void *field = (char *)parsing->settings + option->offset;
    const char *rule = "";
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)field = true;
        break;
    case CLI_STRING:
        if (text[0] == '\0')
            cli_usage_error(parsing->command, "--%s: must not be empty", option->name);
        *(const char **)field = text;
        break;
    case CLI_INT:
    case CLI_FLOAT:
    case CLI_DOUBLE:
        set_number(parsing, option, text, field);
        break;
    case CLI_SEED:
        set_seed(parsing, option, text, field);
        break;
    case CLI_NAME:
        set_name(parsing, option, text, field);
        break;
    case CLI_CUSTOM:
        if (!option->parse(text, field, &rule))
            cli_usage_error(parsing->command, "--%s=%s: %s", option->name, text, rule);
        break;
    }
}

static void check_complete(const struct parsing *parsing) {
    const struct cli_syntax *syntax = parsing->syntax;
    for (size_t i = 0; i < syntax->option_count; i++) {
        const struct cli_option *option = &syntax->options[i];
        if (option->required &&
            *(const char *const *)((char *)parsing->settings + option->offset) == NULL) {
            cli_usage_error(parsing->command, "--%s=%s is required", option->name,
                            option->argument);
        }
    }
    if (parsing->operand_count < syntax->least_operands)
        cli_usage_error(parsing->command, "%s is missing", syntax->operands);
    if (parsing->operand_count > syntax->most_operands) {
        cli_usage_error(parsing->command, "unexpected argument '%s'",
                        parsing->operands[syntax->most_operands]);
    }
}

/* argp's key of an option: its letter, or a number that is not a character. */
static int key_of(const struct cli_syntax *syntax, size_t index) {
    const char letter = syntax->options[index].letter;
    return letter != '\0' ? letter : FIRST_KEY + (int)index;
}

static error_t parse_one(int key, char *text, struct argp_state *state) {
    struct parsing *parsing = state->input;
    for (size_t i = 0; i < parsing->syntax->option_count; i++) {
        if (key == key_of(parsing->syntax, i)) {
            set_option(parsing, &parsing->syntax->options[i], text);
            return 0;
        }
    }
    if (key == ARGP_KEY_ARGS) {
        parsing->operands = state->argv + state->next;
        parsing->operand_count = (size_t)(state->argc - state->next);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

void cli_parse(const struct cli_syntax *syntax, int argc, char **argv, void *settings,
               char ***ret_operands, size_t *ret_count) {
    struct argp_option rows[MAX_OPTIONS + 1] = {0};
    for (size_t i = 0; i < syntax->option_count && i < MAX_OPTIONS; i++) {
        const struct cli_option *option = &syntax->options[i];
        rows[i] = (struct argp_option){.name = option->name,
                                       .key = key_of(syntax, i),
                                       .arg = option->argument,
                                       .doc = option->text,
                                       .group = 1};
    }
    struct argp argp = {rows, parse_one, syntax->operands, syntax->text, NULL, NULL, NULL};
    struct parsing parsing = {syntax, argv[0], settings, NULL, 0};
    argp_err_exit_status = CLI_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &parsing) != 0)
        cli_usage_error(argv[0], "cannot parse the command line");
    check_complete(&parsing);
    *ret_operands = parsing.operands;
    *ret_count = parsing.operand_count;
}
