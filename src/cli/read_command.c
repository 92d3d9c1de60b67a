/* read_command.c: `convnet read`: prints the rows of digits in pictures as text, CSV or NDJSON.
 *
 * A picture that cannot be read gets a message on stderr and makes the exit status 1; the others
 * are read. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "reading/reading_json.h"

enum { READ_FILE_LIMIT = 64 << 20 }; /* bytes of one picture */

struct read_settings {
    const char *model, *pattern;
    struct cn_reading_options options;
    double error;
    const struct cn_error_level *level; /* of `error`; NULL: no sets */
    int format;
};

#define SETTING(field) offsetof(struct read_settings, field)

static const char *const format_names[] = {"text", "csv", "ndjson", NULL};
enum { FORMAT_TEXT = 0, FORMAT_CSV, FORMAT_NDJSON };

static const struct cli_option options[] = {
    CLI_DIGITS_OPTION(SETTING(model)),
    {"format", "NAME", CLI_NAME, SETTING(format), .text = "text (default), csv or ndjson",
     .names = format_names},
    {"length", "N", CLI_INT, SETTING(options.length), .text = "read only rows of N digits",
     .minimum = 1, .maximum = 256},
    {"lines", "N", CLI_INT, SETTING(options.lines), .text = "read only the N largest rows",
     .minimum = 1, .maximum = 256},
    {"pattern", "PATTERN", CLI_STRING, SETTING(pattern),
     .text = "form of each row: d is a digit, other characters appear in the text as they are"},
    {"separators", NULL, CLI_FLAG, SETTING(options.separators),
     .text = "include dots, commas and minus signs in the text"},
    {"error", "X", CLI_DOUBLE, SETTING(error),
     .text = "ndjson: also show for each digit a set of labels that misses the right one in at "
             "most the share X of the digits",
     .maximum = 0.999},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .operands = "FILE...",
    .least_operands = 1,
    .most_operands = (size_t)-1,
    .text = "Read the rows of digits in pictures.",
};

static void add_ndjson(struct cn_text *text, const struct cn_model *model,
                       const struct cn_error_level *level, const char *file,
                       const struct cn_reading *reading) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "file", file);
    cn_reading_add_lines(text, model, level, reading);
    cn_text_add(text, "}\n");
}

static void add_csv(struct cn_text *text, const char *file, size_t number,
                    const struct cn_reading_line *line) {
    cn_text_add_csv(text, file);
    cn_text_add(text, ",");
    cn_text_add_size(text, number);
    cn_text_add(text, ",");
    cn_text_add_csv(text, line->text);
    cn_text_add(text, ",");
    cn_text_add_float(text, line->confidence);
    cn_text_add(text, "\n");
}

static void put_reading(const struct read_settings *settings, const struct cn_model *model,
                        const char *file, const struct cn_reading *reading) {
    struct cn_text text = {0};
    if (settings->format == FORMAT_NDJSON)
        add_ndjson(&text, model, settings->level, file, reading);
    for (size_t i = 0; settings->format != FORMAT_NDJSON && i < reading->count; i++) {
        if (settings->format == FORMAT_CSV) {
            add_csv(&text, file, i + 1, &reading->lines[i]);
        } else {
            cn_text_add(&text, reading->lines[i].text);
            cn_text_add(&text, "\n");
        }
    }
    cli_put_text(&text);
}

static enum cn_status read_file(const struct read_settings *settings, const struct cn_model *model,
                                const struct cn_plan *plan, struct cn_workspace *workspace,
                                const char *path, struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_picture picture = {0};
    struct cn_reading *reading = NULL;
    enum cn_status status = cn_file_read(path, READ_FILE_LIMIT, &bytes, &length, error);
    if (status == CN_OK)
        status = cn_picture_decode(bytes, length, &cn_picture_default_limits, &picture, error);
    if (status == CN_OK)
        status = cn_read(model, plan, workspace, &picture, &settings->options, &reading, error);
    if (status == CN_OK)
        put_reading(settings, model, path, reading);
    if (status != CN_OK && error->source[0] == '\0')
        (void)snprintf(error->source, sizeof error->source, "%s", path);
    cn_reading_free(reading);
    cn_picture_clear(&picture);
    free(bytes);
    return status;
}

int cli_read(int argc, char **argv) {
    struct read_settings settings = {.model = "digits"};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    char **operands;
    size_t operand_count;
    int exit_status = CLI_DONE;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    if (settings.pattern != NULL) {
        if (strlen(settings.pattern) >= sizeof settings.options.pattern)
            cli_usage_error(argv[0], "the pattern has %zu characters; at most %zu are allowed",
                            strlen(settings.pattern), sizeof settings.options.pattern - 1);
        (void)strcpy(settings.options.pattern, settings.pattern);
    }
    if (cn_reading_options_check(&settings.options, &error) != CN_OK)
        cli_usage_error(argv[0], "%s", error.text);
    enum cn_status status = cli_model_find(settings.model, false, &model, NULL, &error);
    if (status == CN_OK && settings.error > 0)
        status = cn_model_error_level(model, settings.error, &settings.level, &error);
    if (status == CN_OK)
        status = cn_plan_create(model->network, &plan, &error);
    if (status == CN_OK)
        status = cn_workspace_create(plan, &workspace, &error);
    if (status != CN_OK)
        exit_status = cli_report(argv[0], &error);
    if (status == CN_OK && settings.format == FORMAT_CSV)
        puts("file,line,text,confidence");
    for (size_t i = 0; status == CN_OK && i < operand_count && cli_stdout_good(); i++) {
        struct cn_error one = {0};
        if (read_file(&settings, model, plan, workspace, operands[i], &one) != CN_OK)
            exit_status = cli_report(argv[0], &one);
    }
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_model_free(model);
    return exit_status;
}
