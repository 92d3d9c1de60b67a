/* output.c: prints messages on stderr, and text and values on stdout.
 *
 * Computes nothing. One thread at a time. */
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "cli/cli.h"

static void put_command(const char *command) {
    fprintf(stderr, "convnet: %s: ", command + strlen("convnet "));
}

int cli_report(const char *command, const struct cn_error *error) {
    put_command(command);
    if (error->source[0] != '\0') {
        fprintf(stderr, "%s: ", error->source);
        if (error->offset >= 0)
            fprintf(stderr, "at %lld: ", error->offset);
    }
    fprintf(stderr, "%s\n", error->text[0] != '\0' ? error->text : cn_status_name(error->status));
    return CLI_FAILED;
}

int cli_fail(const char *command, const char *format, ...) {
    va_list arguments;
    put_command(command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return CLI_FAILED;
}

static bool text_lost; /* because memory ran out */
static char stdout_place[PATH_MAX] = "the standard output";

void cli_stdout_is(const char *path) {
    (void)snprintf(stdout_place, sizeof stdout_place, "%s", path);
}

const char *cli_stdout_place(void) {
    return stdout_place;
}

void cli_put_text(struct cn_text *text) {
    size_t length = 0;
    text_lost |= text->failed;
    char *bytes = cn_text_take(text, &length);
    if (bytes != NULL)
        (void)fwrite(bytes, 1, length, stdout);
    free(bytes);
}

void cli_add_plain(struct cn_text *to, const char *text, int width) {
    int columns = 0;
    for (const char *c = text; *c != '\0'; columns++) {
        const unsigned char first = (unsigned char)*c, second = (unsigned char)c[1];
        size_t length = cn_utf8_length(c, SIZE_MAX);
        if (length == 0 || first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0)) {
            cn_text_add(to, "?");
            c += length > 0 ? length : 1;
        } else {
            cn_text_add_bytes(to, c, length);
            c += length;
        }
    }
    for (; columns < width; columns++)
        cn_text_add(to, " ");
}

void cli_put_plain(const char *text, int width) {
    struct cn_text plain = {0};
    cli_add_plain(&plain, text, width);
    cli_put_text(&plain);
}

bool cli_put_json_value(json_t *value) {
    bool good =
        value != NULL && json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) == 0;
    json_decref(value);
    putchar('\n');
    return good && cli_stdout_good();
}

double cli_decimal(float value) {
    char text[CN_FLOAT_TEXT];
    (void)cn_float_format(text, value);
    return strtod(text, NULL);
}

bool cli_stdout_good(void) {
    return ferror(stdout) == 0 && !text_lost;
}
