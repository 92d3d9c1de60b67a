/* predict_command.h: shared by the files of `convnet predict`: inputs -> batch -> printed rows. */
#ifndef CONVNET_CLI_PREDICT_COMMAND_H
#define CONVNET_CLI_PREDICT_COMMAND_H

#include "cli/cli.h"
#include "convnet/plan.h"
#include "data/picture_archive.h"
#include "json/write.h"

/* ---- Output: THE table of formats is in predict_output.c ---- */

struct prediction {
    const char *file;
    const char *failure;  /* why there is no answer; NULL: there is one */
    const float *outputs; /* [model->output_size] */
    /* The preprocessing's report; NULL for raw images. */
    const struct cn_preprocessing_report *report;
    const char *image; /* the file with the image that the network saw; NULL: none */
};

/* `top`: print this many classes with labels and probabilities instead of all; 0: all. `level`:
 * print the set of labels too; NULL: not. */
struct predict_choice {
    int top;
    const struct cn_error_level *level;
};

/* `add_head` and `add_row` add whole lines. The others recognize rows that an earlier run has
 * written; NULL: rows of this format are not read again. `end` is the end of the file's bytes. */
struct predict_format {
    void (*add_head)(struct cn_text *text, const struct cn_model *model,
                     const struct predict_choice *choice);
    void (*add_row)(struct cn_text *text, const struct cn_model *model,
                    const struct prediction *prediction, const struct predict_choice *choice);
    /* Adds the beginning of a row, by which the row of a file is recognized. Names that differ have
     * different ones, except in JSON if they differ in bytes that are not UTF-8. */
    void (*add_name)(struct cn_text *text, const char *file);
    /* The end of this beginning; NULL: no row begins like this. */
    const char *(*name_end)(const char *row, const char *end);
    /* The end of the row, behind its line break; NULL: the row is incomplete. */
    const char *(*row_end)(const char *row, const char *end);
    /* True if the rest of the row, after the name, is an error instead of an answer. */
    bool (*is_failure)(const char *name_end, const char *row_end);
};

/* CN_INVALID: the outputs are not classes, so there is no order of them. */
enum cn_status predict_check_top(const struct cn_model *model, int top, struct cn_error *error);

extern const char *const predict_format_names[]; /* "csv", "ndjson", "table", NULL */
extern const struct predict_format predict_formats[];

/* ---- The batch: pictures and images in input order ---- */

struct batch;

/* ---- The rows of an earlier run ---- */

/* The bytes of a file, mapped, since the rows of a million pictures may have ten gigabytes. NULL:
 * the file does not exist or is empty. */
struct predict_bytes {
    char *bytes;
    size_t length;
};
enum cn_status predict_bytes_map(const char *path, struct predict_bytes *ret_bytes,
                                 struct cn_error *error);
void predict_bytes_unmap(struct predict_bytes *bytes);

struct predict_done;

/* Reads the rows of `part`, which begins with `head`, and removes an incomplete last row. Without
 * the file there are none. CN_INVALID: other options or another program wrote it. Caller frees with
 * predict_done_free. */
enum cn_status predict_done_read(const char *part, const struct predict_format *format,
                                 const char *head, struct predict_done **ret_done,
                                 struct cn_error *error);
void predict_done_free(struct predict_done *done); /* accepts NULL */

/* True if the file has at least its head. */
bool predict_done_begun(const struct predict_done *done);

/* To be called for each input, in order. True: there is a row of this name that no input before has
 * taken. */
bool predict_done_take(struct predict_done *done, const char *name);

/* The number of rows taken so far that have an error in place of an answer. */
size_t predict_done_failures(const struct predict_done *done);

/* Called when each input has a row, the new ones at the end of `part`, which is stdout. Gives
 * `part` the content that a run without interruption would have written: the rows in the order of
 * the inputs, without those of inputs that are gone. */
enum cn_status predict_done_arrange(const struct predict_done *done, const char *part,
                                    struct cn_error *error);

/* Redirects standard output to the end of `path` (FILE.part or a rank's part), which is made if it
 * does not exist. CN_INVALID: another run writes it. The file is locked until this process ends. */
enum cn_status predict_open_rows(const char *path, struct cn_error *error);

/* CN_INVALID: another run writes the rows at `path`, which need not exist. */
enum cn_status predict_check_rows(const char *path, struct cn_error *error);

/* All of what `part` has is on the disk before it is called `path`; stdout is `part`. */
enum cn_status predict_keep_output(const char *part, const char *path, struct cn_error *error);

/* ---- Several ranks: each scores a share of the inputs into a part of its own ---- */

struct cn_ranks;
struct predict_share;

/* True if several ranks have begun this output. */
bool predict_share_exists(const char *output);

/* CN_INVALID: several ranks are writing this output. */
enum cn_status predict_share_check(const char *output, struct cn_error *error);

/* Removes the parts that they left. */
void predict_share_forget(const char *output);

/* Called by all ranks (NULL: this process continues alone what several ranks began). Redirects
 * standard output to this rank's part. With `resume` the inputs in all parts are done already.
 * kind: what makes rows comparable. */
enum cn_status predict_share_create(const struct cn_ranks *ranks, const char *output, bool resume,
                                    const char *kind, const struct predict_format *format,
                                    struct predict_share **ret_share, struct cn_error *error);

/* Numbers the next input. False: it is another rank's. *ret_done: an earlier run has its row. */
bool predict_share_takes(struct predict_share *share, const char *name, size_t *ret_number,
                         bool *ret_done);

/* The number of rows of earlier runs, in all parts, that have an error in place of an answer. */
size_t predict_share_failures(const struct predict_share *share);

/* Called by all ranks: `whole` says whether this one has done all of its share. The first one puts
 * all rows into the output, below `head`. CN_CANCELED: a rank was stopped, and the parts stay. */
enum cn_status predict_share_finish(struct predict_share *share, bool whole, const char *head,
                                    struct cn_error *error);
void predict_share_free(struct predict_share *share); /* accepts NULL */

struct batch_options {
    const char *command; /* for messages */
    const struct predict_format *format;
    const char *head;            /* the lines above the rows */
    struct predict_done *done;   /* inputs to skip: those that have a row there; NULL: none */
    struct predict_share *share; /* which inputs are this rank's; NULL: all */
    enum cn_picture_mode mode;
    const char *images; /* folder for the images that the network saw, or NULL */
    int threads;
    struct predict_choice choice;
    bool quiet; /* print no progress and no summary */
};

/* Borrows the model and what the options point to until batch_free. */
enum cn_status batch_create(const struct batch_options *options, const struct cn_model *model,
                            struct batch **ret_batch, struct cn_error *error);

/* Each adds one input named `name` (copied; "-" is standard input) and runs the batch when it is
 * full. False when stdout cannot be written or memory is exhausted: stop. */
bool batch_add_file(struct batch *batch, const char *path);
bool batch_add_png(struct batch *batch, const char *name, unsigned char *bytes, size_t length);
bool batch_add_image(struct batch *batch, const char *name, const unsigned char *samples);

/* Adds a file of an archive, whose bytes must stay valid until batch_flush. */
bool batch_add_member(struct batch *batch, const char *name,
                      const struct cn_archive_member *member);

/* Adds an image of another size, ink 255 on 0, which is preprocessed; `picture` is borrowed during
 * the call. */
bool batch_add_other_size(struct batch *batch, const char *name, const struct cn_picture *picture);

/* Reports the fault of one input, after the results of the inputs before it. */
bool batch_add_failure(struct batch *batch, const struct cn_error *error);

/* Runs and prints the remaining inputs. */
bool batch_flush(struct batch *batch);

/* Prints a summary in place of the progress, on a terminal. */
void batch_summary(struct batch *batch);

/* Numbers of printed rows and of inputs that could not be scored. */
struct batch_counts {
    size_t scored, failed, skipped;
};
struct batch_counts batch_counts(const struct batch *batch);
void batch_free(struct batch *batch); /* accepts NULL */

/* ---- Inputs ---- */

enum {
    PREDICT_FILE_LIMIT = 64 << 20,  /* bytes of one picture */
    PREDICT_ARCHIVE_LIMIT = 1 << 30 /* of an archive on standard input */
};

/* The interpretation of inputs. */
struct input_options {
    bool raw;  /* standard input ("-") is raw images, which their length alone cannot tell */
    bool null; /* names in a list end with NUL instead of a line break */
};

/* Adds the operand's inputs: a picture, an IDX file, the pictures of a folder or an archive, or
 * standard input ("-"). */
bool input_add(struct batch *batch, const struct cn_model *model,
               const struct input_options *options, const char *operand);

/* Adds each name of the list at `path` ("-": standard input) as an operand. A list with NUL bytes
 * is refused as a whole unless `null` is set. */
bool input_add_list(struct batch *batch, const struct cn_model *model,
                    const struct input_options *options, const char *path);

#endif
