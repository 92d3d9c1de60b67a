/* predict_command.c: `convnet predict`: prints one row on stdout per picture, in input order.
 *
 * An input that cannot be scored has a row with its error and a message on stderr, and makes the
 * exit status 1; the others are scored. SIGINT and SIGTERM end it after the current batch, so that
 * the last row is complete. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/predict_command.h"
#include "cli/ranks.h"

struct predict_settings {
    const char *model, *list, *images, *output;
    int format, mode, threads, top;
    double error;
    bool no_header, resume, quiet;
    struct input_options input;
};

#define SETTING(field) offsetof(struct predict_settings, field)

static const struct cli_option options[] = {
    {"model", "MODEL", CLI_STRING, SETTING(model),
     .text = "model file, or the name of a known one (default: digits)"},
    {"format", "NAME", CLI_NAME, SETTING(format), .text = "csv (default), ndjson or table",
     .names = predict_format_names},
    {"files-from", "FILE", CLI_STRING, SETTING(list),
     .text = "also what FILE (- for standard input) names, one per line"},
    {"null", NULL, CLI_FLAG, SETTING(input.null),
     .text = "the names of --files-from end with NUL (find -print0), not with a line break",
     .letter = '0'},
    {"raw", NULL, CLI_FLAG, SETTING(input.raw),
     .text = "standard input (-) holds raw images of one byte per sample, one after another"},
    {"preprocess", "NAME", CLI_NAME, SETTING(mode),
     .text = "auto (default), or none: a picture must have the model's size and is taken as it is",
     .names = cn_picture_mode_names},
    {"output", "FILE", CLI_STRING, SETTING(output),
     .text = "write to FILE, which appears when all is done; until then the rows are in FILE.part"},
    {"resume", NULL, CLI_FLAG, SETTING(resume),
     .text = "with --output: keep the whole rows of FILE.part and score what comes after them"},
    {"no-header", NULL, CLI_FLAG, SETTING(no_header), .text = "no heading above CSV or a table"},
    {"top", "N", CLI_INT, SETTING(top),
     .text = "the N most probable classes, each with its label and probability, instead of all",
     .minimum = 1, .maximum = 1000000},
    {"error", "X", CLI_DOUBLE, SETTING(error),
     .text = "also the labels that miss the right one in X of the pictures at most: one, several, "
             "or none, which is a picture of no class",
     .maximum = 0.999},
    {"quiet", NULL, CLI_FLAG, SETTING(quiet), .text = "no progress on the terminal, and no summary",
     .letter = 'q'},
    {"images", "DIR", CLI_STRING, SETTING(images),
     .text = "also write what the network saw as DIR/N.png, N counting the scored ones, from 1"},
    {"threads", "N", CLI_INT, SETTING(threads), .text = "threads (default: the processors)",
     .minimum = 1, .maximum = 1024},
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .operands = "[PICTURE|DIR|FILE.idx|FILE.zip|FILE.tar|-]...",
    .most_operands = (size_t)-1,
    .text = "Classify pictures (PNG, JPEG, WebP, GIF, TIFF, BMP, PNM), folders, zips and tars of "
            "them, IDX files, or standard input (-): one picture or archive, or with --raw raw "
            "images of one byte per sample, one "
            "after another.",
};

/* ---- The output ---- */

enum { PART_PATH = PATH_MAX };

/* Redirects standard output to FILE.part, after existing rows if an earlier run is resumed. */
static enum cn_status open_output(const struct predict_settings *settings, bool ndjson,
                                  char part[static PART_PATH], struct predict_done *ret_done,
                                  struct cn_error *error) {
    const int length = snprintf(part, PART_PATH, "%s.part", settings->output);
    if (length < 0 || length >= PART_PATH) {
        return cn_fail_at(error, CN_INVALID, settings->output, -1, "the name is too long");
    }
    enum cn_status status = CN_OK;
    if (settings->resume) {
        status = predict_done_read(part, ndjson, !settings->no_header, ret_done, error);
    }
    if (status == CN_OK && freopen(part, settings->resume ? "a" : "w", stdout) == NULL) {
        status = cn_fail_at(error, CN_IO, part, -1, "cannot be written: %s", strerror(errno));
    }
    return status;
}

/* Syncs the file to the disk before it gets its name. */
static enum cn_status keep_output(const char *part, const char *path, struct cn_error *error) {
    return fflush(stdout) == 0 && !ferror(stdout) && fsync(STDOUT_FILENO) == 0 &&
                   rename(part, path) == 0
               ? CN_OK
               : cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
}

static bool add_all(struct batch *batch, const struct cn_model *model,
                    const struct predict_settings *settings, char **operands, size_t count) {
    bool going = true;
    for (size_t i = 0; going && i < count; i++) {
        going = input_add(batch, model, &settings->input, operands[i]);
    }
    if (going && settings->list != NULL) {
        going = input_add_list(batch, model, &settings->input, settings->list);
    }
    return going && batch_flush(batch);
}

static void check_usage(const char *command, const struct predict_settings *settings,
                        size_t operand_count) {
    if (operand_count == 0 && settings->list == NULL) {
        cli_usage_error(command, "no picture is named");
    }
    if (settings->resume && settings->output == NULL) {
        cli_usage_error(command, "--resume needs --output, whose rows it goes on with");
    }
    if (settings->resume && strcmp(predict_format_names[settings->format], "table") == 0) {
        cli_usage_error(command, "--resume goes on with csv or ndjson, not with a table");
    }
}

int cli_predict(int argc, char **argv) {
    struct predict_settings settings = {.model = "digits", .threads = cn_default_threads()};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    struct batch *batch = NULL;
    struct predict_done done = {0};
    const struct cn_error_level *level = NULL;
    char **operands, part[PART_PATH];
    size_t operand_count;
    bool whole = false;
    cli_parse(&syntax, argc, argv, &settings, &operands, &operand_count);
    check_usage(argv[0], &settings, operand_count);
    enum cn_status status = cli_ranks_refuse("predict", &error);
    if (status == CN_OK)
        status = cli_model_find(settings.model, false, &model, NULL, &error);
    if (status == CN_OK)
        status = cn_model_check_input(model, &error);
    if (status == CN_OK && settings.top > 0)
        status = predict_check_top(model, settings.top, &error);
    if (status == CN_OK && settings.error > 0)
        status = cn_model_error_level(model, settings.error, &level, &error);
    if (status == CN_OK && settings.output != NULL) {
        const bool ndjson = strcmp(predict_format_names[settings.format], "ndjson") == 0;
        status = open_output(&settings, ndjson, part, &done, &error);
    }
    if (status == CN_OK) {
        const struct batch_options batch_options = {.command = argv[0],
                                                    .format = &predict_formats[settings.format],
                                                    .header = !settings.no_header && !done.begun,
                                                    .done = &done,
                                                    .mode = (enum cn_picture_mode)settings.mode,
                                                    .images = settings.images,
                                                    .threads = settings.threads,
                                                    .choice = {settings.top, level},
                                                    .quiet =
                                                        settings.quiet || isatty(STDOUT_FILENO)};
        status = batch_create(&batch_options, model, &batch, &error);
    }
    if (status == CN_OK) {
        cli_interrupt_catch();
        whole = add_all(batch, model, &settings, operands, operand_count);
        batch_summary(batch);
    }
    if (whole && settings.output != NULL) {
        status = keep_output(part, settings.output, &error);
    }
    int exit_status = status != CN_OK                            ? cli_report(argv[0], &error)
                      : cli_interrupted() != 0                   ? CLI_SIGNAL + cli_interrupted()
                      : whole && batch_counts(batch).failed == 0 ? CLI_DONE
                                                                 : CLI_FAILED;
    batch_free(batch);
    predict_done_clear(&done);
    cn_model_free(model);
    return exit_status;
}
