/* predict_command.c: `convnet predict`: prints one row on stdout per picture, in input order.
 *
 * An input that cannot be classified has a row with its error and a message on stderr, and makes
 * the exit status 1; the others are classified. SIGINT and SIGTERM end it after the current batch,
 * so that the last row is complete. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
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
    CLI_DIGITS_OPTION(SETTING(model)),
    {"format", "NAME", CLI_NAME, SETTING(format), .text = "csv (default), ndjson or table",
     .names = predict_format_names},
    {"files-from", "FILE", CLI_STRING, SETTING(list),
     .text = "also classify the files that FILE (-: standard input) names, one per line"},
    {"null", NULL, CLI_FLAG, SETTING(input.null),
     .text =
         "names in --files-from end with NUL, as find -print0 writes them, not with a line break",
     .letter = '0'},
    {"raw", NULL, CLI_FLAG, SETTING(input.raw),
     .text = "standard input (-) holds raw images of one byte per sample, one after another"},
    {"preprocess", "NAME", CLI_NAME, SETTING(mode),
     .text = "auto (default) prepares each picture for the model; none takes it as it is, if it "
             "has the model's size",
     .names = cn_picture_mode_names},
    {"output", "FILE", CLI_STRING, SETTING(output),
     .text = "write to FILE, which appears when all inputs are done; until then the rows are in "
             "FILE.part"},
    {"resume", NULL, CLI_FLAG, SETTING(resume),
     .text =
         "with --output: keep the complete rows of FILE.part, and classify the remaining inputs"},
    {"no-header", NULL, CLI_FLAG, SETTING(no_header), .text = "no header line above csv or table"},
    {"top", "N", CLI_INT, SETTING(top),
     .text =
         "show the N most probable classes with their probabilities, instead of all probabilities",
     .minimum = 1, .maximum = 1000000},
    {"error", "X", CLI_DOUBLE, SETTING(error),
     .text = "also show a set of labels that misses the right one in at most the share X of the "
             "pictures; an empty set means a picture of no class",
     .maximum = 0.999},
    {"quiet", NULL, CLI_FLAG, SETTING(quiet),
     .text = "show no progress and no summary on the terminal", .letter = 'q'},
    {"images", "DIR", CLI_STRING, SETTING(images),
     .text = "also write each image that the network saw, as DIR/N.png; N counts the classified "
             "pictures from 1"},
    CLI_THREADS_OPTION(SETTING(threads)),
};

static const struct cli_syntax syntax = {
    CLI_OPTIONS(options),
    .operands = "[PICTURE|DIR|FILE.idx|FILE.zip|FILE.tar|-]...",
    .most_operands = (size_t)-1,
    .text = "Classify pictures (PNG, JPEG, WebP, GIF, TIFF, BMP, PNM), folders, zips and tars of "
            "pictures, IDX files, or the standard input (-): one picture or archive, or with --raw "
            "raw images of one byte per sample, one after another.",
};

/* ---- The output ---- */

enum { PART_PATH = PATH_MAX, KIND_TEXT = 160 };

static enum cn_status refuse_second_run(const char *path, struct cn_error *error) {
    return cn_fail_at(error, CN_INVALID, path, -1,
                      "another run is writing it; wait for its end, or give this run another "
                      "--output");
}

enum cn_status predict_check_rows(const char *path, struct cn_error *error) {
    const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    const bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0)
        (void)close(fd);
    return locked ? refuse_second_run(path, error) : CN_OK;
}

enum cn_status predict_open_rows(const char *path, struct cn_error *error) {
    struct stat info = {0}, named = {0};
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &info) != 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: it is not a regular file");
    const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    /* The other run may have renamed its file between the two calls. */
    if (!locked || stat(path, &named) != 0 || named.st_ino != info.st_ino)
        return refuse_second_run(path, error);
    if (dup2(fd, STDOUT_FILENO) < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
    cli_stdout_is(path);
    return CN_OK;
}

/* An attribute of FILE.part says what its rows are, where the file system has attributes. */
static const char *const kind_attribute = "user.convnet.rows";

static enum cn_status check_kind(const char *part, const char *kind, struct cn_error *error) {
    char found[KIND_TEXT];
    const ssize_t length = fgetxattr(STDOUT_FILENO, kind_attribute, found, sizeof found);
    return length < 0 || ((size_t)length == strlen(kind) && memcmp(found, kind, strlen(kind)) == 0)
               ? CN_OK
               : cn_fail_at(error, CN_INVALID, part, -1,
                            "was begun with another model, --format, --top, --error or "
                            "--preprocess; remove the file to start again");
}

/* Redirects standard output to FILE.part, after the rows of an earlier run if it is resumed
 * (ret_done). kind: what makes rows comparable. */
static enum cn_status open_output(const struct predict_settings *settings, const char *kind,
                                  const char *head, char part[static PART_PATH],
                                  struct predict_done **ret_done, struct cn_error *error) {
    const int length = snprintf(part, PART_PATH, "%s.part", settings->output);
    if (length < 0 || length >= PART_PATH)
        return cn_fail_at(error, CN_INVALID, settings->output, -1, "the name is too long");
    enum cn_status status = settings->resume ? CN_OK : predict_share_check(settings->output, error);
    if (status == CN_OK)
        status = predict_open_rows(part, error);
    if (status == CN_OK && settings->resume)
        status = check_kind(part, kind, error);
    if (status == CN_OK && settings->resume)
        status = predict_done_read(part, &predict_formats[settings->format], head, ret_done, error);
    else if (status == CN_OK && ftruncate(STDOUT_FILENO, 0) != 0)
        status = cn_fail_at(error, CN_IO, part, -1, "cannot be written: %s", strerror(errno));
    if (status != CN_OK)
        return status;
    if (!settings->resume)
        predict_share_forget(settings->output);
    if (!settings->resume || !predict_done_begun(*ret_done))
        (void)fsetxattr(STDOUT_FILENO, kind_attribute, kind, strlen(kind), 0);
    return CN_OK;
}

enum cn_status predict_keep_output(const char *part, const char *path, struct cn_error *error) {
    const bool written = fflush(stdout) == 0 && !ferror(stdout) && fsync(STDOUT_FILENO) == 0;
    if (written)
        (void)fremovexattr(STDOUT_FILENO, kind_attribute);
    return written && rename(part, path) == 0
               ? CN_OK
               : cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
}

static bool add_all(struct batch *batch, const struct cn_model *model,
                    const struct predict_settings *settings, char **operands, size_t count) {
    bool going = true;
    for (size_t i = 0; going && i < count; i++)
        going = input_add(batch, model, &settings->input, operands[i]);
    if (going && settings->list != NULL)
        going = input_add_list(batch, model, &settings->input, settings->list);
    return going && batch_flush(batch);
}

static void check_usage(const char *command, const struct predict_settings *settings,
                        size_t operand_count) {
    if (operand_count == 0 && settings->list == NULL)
        cli_usage_error(command, "no picture is named");
    if (settings->resume && settings->output == NULL)
        cli_usage_error(command, "--resume needs --output, whose rows it continues");
    if (settings->resume && strcmp(predict_format_names[settings->format], "table") == 0)
        cli_usage_error(command, "--resume continues csv or ndjson, not a table");
    if (settings->resume && settings->images != NULL) {
        cli_usage_error(command, "--images numbers the pictures of one run, so that --resume would "
                                 "write over those of the run before");
    }
}

/* ---- Several ranks ---- */

static bool reads_standard_input(const struct predict_settings *settings, char **operands,
                                 size_t count) {
    bool reads = settings->list != NULL && strcmp(settings->list, "-") == 0;
    for (size_t i = 0; i < count; i++)
        reads = reads || strcmp(operands[i], "-") == 0;
    return reads;
}

/* Checks that the options can be combined with ranks. */
static enum cn_status check_shared(const struct predict_settings *settings, char **operands,
                                   size_t count, struct cn_error *error) {
    if (settings->output == NULL) {
        return cn_fail(error, CN_INVALID,
                       "several ranks write one file, in a folder that all of them see: say which "
                       "by --output");
    }
    if (reads_standard_input(settings, operands, count)) {
        return cn_fail(error, CN_INVALID,
                       "several ranks cannot share the standard input; name files, folders, "
                       "archives or a list of them");
    }
    if (predict_formats[settings->format].row_end == NULL)
        return cn_fail(error, CN_UNSUPPORTED, "several ranks write csv or ndjson, not a table");
    if (settings->images != NULL) {
        return cn_fail(error, CN_UNSUPPORTED,
                       "--images counts pictures, which ranks share; run it "
                       "without mpirun");
    }
    return CN_OK;
}

/* ---- The command ---- */

/* The state of one run. */
struct prediction_run {
    struct predict_settings settings;
    const struct cn_ranks *ranks; /* NULL: this process alone */
    struct predict_share *share;  /* NULL: all inputs are its own, and the rows go to one file */
    struct cn_model *model;
    const struct cn_error_level *level; /* NULL: no sets of labels */
    struct cn_text head;                /* the lines above the rows */
    struct predict_done *done;          /* NULL: no run is resumed, or one of several ranks */
    struct batch *batch;
    char part[PART_PATH];
};

/* The destination of the rows: standard output, FILE.part, or this rank's part. */
static enum cn_status run_open_output(struct prediction_run *run, char **operands, size_t count,
                                      struct cn_error *error) {
    const struct predict_settings *settings = &run->settings;
    const char *format = predict_format_names[settings->format];
    const bool goes_on =
        settings->resume && settings->output != NULL && predict_share_exists(settings->output);
    char kind[KIND_TEXT];
    if (settings->output == NULL && run->ranks == NULL)
        return CN_OK;
    (void)snprintf(kind, sizeof kind, "%s %s %d %g %s", format,
                   cn_picture_mode_names[settings->mode], settings->top, settings->error,
                   run->model->sha256);
    if (run->ranks == NULL && !goes_on)
        return open_output(settings, kind, cn_text_string(&run->head), run->part, &run->done,
                           error);
    const enum cn_status status = check_shared(settings, operands, count, error);
    return status == CN_OK
               ? predict_share_create(run->ranks, settings->output, settings->resume, kind,
                                      &predict_formats[settings->format], &run->share, error)
               : status;
}

static enum cn_status run_prepare(struct prediction_run *run, char **argv, char **operands,
                                  size_t count, struct cn_error *error) {
    const struct predict_settings *settings = &run->settings;
    enum cn_status status = cli_ranks_begin(&run->ranks, error);
    if (status == CN_OK)
        status = cli_model_find(settings->model, false, &run->model, NULL, error);
    if (status == CN_OK)
        status = cn_model_check_input(run->model, error);
    if (status == CN_OK && settings->top > 0)
        status = predict_check_top(run->model, settings->top, error);
    if (status == CN_OK && settings->error > 0)
        status = cn_model_error_level(run->model, settings->error, &run->level, error);
    const struct predict_format *format = &predict_formats[settings->format];
    const struct predict_choice choice = {settings->top, run->level};
    if (status == CN_OK && !settings->no_header)
        format->add_head(&run->head, run->model, &choice);
    if (status == CN_OK && run->head.failed)
        status = cn_fail(error, CN_MEMORY, "no memory for the header");
    if (status == CN_OK)
        status = run_open_output(run, operands, count, error);
    if (status != CN_OK)
        return status;
    const bool has_head =
        run->share != NULL || (run->done != NULL && predict_done_begun(run->done));
    const struct batch_options batch_options = {.command = argv[0],
                                                .format = format,
                                                .head = has_head ? "" : cn_text_string(&run->head),
                                                .done = run->done,
                                                .share = run->share,
                                                .mode = (enum cn_picture_mode)settings->mode,
                                                .images = settings->images,
                                                .threads = settings->threads,
                                                .choice = choice,
                                                .quiet = settings->quiet || isatty(STDOUT_FILENO) ||
                                                         !cli_ranks_speaks(run->ranks)};
    return batch_create(&batch_options, run->model, &run->batch, error);
}

/* Renames the output once all rows are there. CN_CANCELED: a signal ended the run before. */
static enum cn_status run_finish(struct prediction_run *run, bool whole, struct cn_error *error) {
    if (run->share != NULL)
        return predict_share_finish(run->share, whole, cn_text_string(&run->head), error);
    if (run->settings.output == NULL || (!whole && cli_interrupted() == 0))
        return CN_OK;
    if (!whole) {
        const bool continues =
            predict_formats[run->settings.format].row_end != NULL && run->settings.images == NULL;
        return cn_fail(error, CN_CANCELED, "stopped; the rows so far are in %s%s", run->part,
                       continues ? ", and the same command with --resume goes on" : "");
    }
    const enum cn_status status =
        run->done != NULL ? predict_done_arrange(run->done, run->part, error) : CN_OK;
    return status == CN_OK ? predict_keep_output(run->part, run->settings.output, error) : status;
}

int cli_predict(int argc, char **argv) {
    struct prediction_run run = {.settings = {.model = "digits", .threads = cn_default_threads()}};
    struct cn_error error = {0};
    char **operands;
    size_t operand_count;
    bool whole = false;
    cli_parse(&syntax, argc, argv, &run.settings, &operands, &operand_count);
    check_usage(argv[0], &run.settings, operand_count);
    enum cn_status status = run_prepare(&run, argv, operands, operand_count, &error);
    const bool begun = status == CN_OK;
    if (begun) {
        cli_interrupt_catch();
        whole = add_all(run.batch, run.model, &run.settings, operands, operand_count);
        batch_summary(run.batch);
        status = run_finish(&run, whole, &error);
    }
    if (status != CN_OK && (cli_ranks_speaks(run.ranks) || status != CN_CANCELED))
        (void)cli_report(argv[0], &error);
    size_t failures = begun ? batch_counts(run.batch).failed : 0;
    failures += run.done != NULL ? predict_done_failures(run.done) : 0;
    failures += run.share != NULL ? predict_share_failures(run.share) : 0;
    int exit_status = cli_interrupted() != 0      ? CLI_SIGNAL + cli_interrupted()
                      : status != CN_OK || !whole ? CLI_FAILED
                      : failures == 0             ? CLI_DONE
                                                  : CLI_FAILED;
    /* Ranks that reach the end together also end together, whatever their results are. */
    cli_ranks_end(begun ? CLI_DONE : exit_status);
    batch_free(run.batch);
    predict_share_free(run.share);
    predict_done_free(run.done);
    free(run.head.bytes);
    cn_model_free(run.model);
    return exit_status;
}
