/* predict_command.h: what the files of `convnet predict` share: inputs -> batch -> printed rows. */
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
    /* What was done to a picture; NULL for raw images. */
    const struct cn_preprocessing_report *report;
    const char *image; /* the file with what the network saw; NULL: not asked for */
};

/* `top`: so many classes with their labels and probabilities instead of all; 0: all. */
struct predict_format {
    void (*begin)(const struct cn_model *model, int top);
    void (*put)(const struct cn_model *model, const struct prediction *prediction, int top);
};

/* CN_INVALID: the model's outputs are no classes of which some could be the first. */
enum cn_status predict_check_top(const struct cn_model *model, int top, struct cn_error *error);

extern const char *const predict_format_names[]; /* "csv", "ndjson", "table", NULL */
extern const struct predict_format predict_formats[];

/* ---- The batch: pictures and images in input order ---- */

struct batch;

/* What an earlier run has done: names in the order of the rows. */
struct predict_done {
    char **names;
    size_t count, capacity;
    bool begun; /* its first row is there, and the heading */
};

/* Reads the rows at `path`, in CSV with a heading or without, or NDJSON; takes off a last row that
 * was cut. No file: nothing is done. Caller frees with predict_done_clear. */
enum cn_status predict_done_read(const char *path, bool ndjson, bool header,
                                 struct predict_done *ret_done, struct cn_error *error);
void predict_done_clear(struct predict_done *done);

struct batch_options {
    const char *command; /* for messages */
    const struct predict_format *format;
    bool header;                     /* print a heading, where the format has one */
    const struct predict_done *done; /* inputs that need no row: those of its names, in order */
    enum cn_picture_mode mode;
    const char *images; /* folder for what the network saw, or NULL */
    int threads, top;
    bool quiet; /* no line of progress on the terminal, and no summary */
};

/* Borrows the model and what the options point to until batch_free. */
enum cn_status batch_create(const struct batch_options *options, const struct cn_model *model,
                            struct batch **ret_batch, struct cn_error *error);

/* Each adds one input named `name` (copied; "-" is printed for standard input) and runs a full
 * batch. False when stdout can no longer be written or memory is out: stop. */
bool batch_add_file(struct batch *batch, const char *path);
bool batch_add_png(struct batch *batch, const char *name, unsigned char *bytes, size_t length);
bool batch_add_image(struct batch *batch, const char *name, const unsigned char *samples);

/* A file of an archive, whose bytes stay where they are until batch_flush. */
bool batch_add_member(struct batch *batch, const char *name,
                      const struct cn_archive_member *member);

/* An image of another size, ink 255 on 0, to be prepared; `picture` is borrowed until the call's
 * end. */
bool batch_add_other_size(struct batch *batch, const char *name, const struct cn_picture *picture);

/* Says what is wrong with one input, after the results of those before it. */
bool batch_add_failure(struct batch *batch, const struct cn_error *error);

/* Runs and prints what is left. */
bool batch_flush(struct batch *batch);

/* Ends the progress: what was done, on a terminal. */
void batch_summary(struct batch *batch);

/* Rows that were printed, inputs that could not be scored. */
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

/* How inputs are to be understood. */
struct input_options {
    bool raw;  /* standard input ("-") holds raw images: their length alone never says so */
    bool null; /* the names of a list end with NUL, not with a line break */
};

/* Adds what the operand names: a picture, an IDX file, a folder's or an archive's pictures, or
 * standard input ("-"). */
bool input_add(struct batch *batch, const struct cn_model *model,
               const struct input_options *options, const char *operand);

/* Adds each name of the list at `path` ("-": standard input) as an operand. A list whose names end
 * with NUL although `null` is false is refused whole. */
bool input_add_list(struct batch *batch, const struct cn_model *model,
                    const struct input_options *options, const char *path);

#endif
