/* predict_command.h: shared by the files of `convnet predict`: inputs -> batch -> printed rows. */
#ifndef CONVNET_CLI_PREDICT_COMMAND_H
#define CONVNET_CLI_PREDICT_COMMAND_H

#include "cli/cli.h"
#include "convnet/plan.h"
#include "data/picture_archive.h"

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

struct predict_format {
    void (*begin)(const struct cn_model *model, const struct predict_choice *choice);
    void (*put)(const struct cn_model *model, const struct prediction *prediction,
                const struct predict_choice *choice);
};

/* CN_INVALID: the outputs are not classes, so there is no order of them. */
enum cn_status predict_check_top(const struct cn_model *model, int top, struct cn_error *error);

extern const char *const predict_format_names[]; /* "csv", "ndjson", "table", NULL */
extern const struct predict_format predict_formats[];

/* ---- The batch: pictures and images in input order ---- */

struct batch;

/* The results of an earlier run: names in the order of its rows. */
struct predict_done {
    char **names;
    size_t count, capacity;
    bool begun; /* it has at least the heading */
};

/* Reads the rows at `path`, in CSV with or without a heading, or NDJSON, and removes an incomplete
 * last row. Without a file the result is empty. Caller frees with predict_done_clear. */
enum cn_status predict_done_read(const char *path, bool ndjson, bool header,
                                 struct predict_done *ret_done, struct cn_error *error);
void predict_done_clear(struct predict_done *done);

/* The end of the row that begins at `text`, behind its line break; NULL if it was cut. */
const char *predict_row_end(const char *text, const char *end, bool ndjson);

/* All of what `part` has is on the disk before it is called `path`; stdout is `part`. */
enum cn_status predict_keep_output(const char *part, const char *path, struct cn_error *error);

/* ---- Several ranks: each scores a share of the inputs into a part of its own ---- */

struct cn_ranks;
struct predict_share;

/* Have several ranks begun this output? */
bool predict_share_exists(const char *output);

/* Removes what they left. */
void predict_share_forget(const char *output);

/* Called by all ranks (NULL: this process continues alone what several ranks began). Redirects
 * standard output to this rank's part. With `resume` the inputs in all parts are done already.
 * kind: its first word is the format, the rest whatever else makes rows comparable. */
enum cn_status predict_share_create(const struct cn_ranks *ranks, const char *output, bool resume,
                                    const char *kind, struct predict_share **ret_share,
                                    struct cn_error *error);

/* Numbers the next input. False: it is another rank's. *ret_done: an earlier run has its row. */
bool predict_share_takes(struct predict_share *share, const char *name, size_t *ret_number,
                         bool *ret_done);

/* Called by all ranks: `whole` says whether this one has done all of its share. The first one puts
 * all rows into the output, behind what put_heading prints. CN_CANCELED: a rank was stopped, and
 * the parts stay. */
enum cn_status predict_share_finish(struct predict_share *share, bool whole,
                                    void (*put_heading)(void *data), void *data,
                                    struct cn_error *error);
void predict_share_free(struct predict_share *share); /* accepts NULL */

struct batch_options {
    const char *command; /* for messages */
    const struct predict_format *format;
    bool header;                     /* print a heading if the format has one */
    const struct predict_done *done; /* inputs to skip: those with its names, in order */
    struct predict_share *share;     /* which inputs are this rank's; NULL: all */
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

/* How inputs are interpreted. */
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
