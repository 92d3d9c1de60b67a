/* predict.h: what the files of `convnet predict` share: inputs -> batch -> printed rows. */
#ifndef CONVNET_CLI_PREDICT_H
#define CONVNET_CLI_PREDICT_H

#include "cli/cli.h"
#include "convnet/plan.h"

/* ---- Output: THE table of formats is in predict_output.c ---- */

struct prediction {
    const char *file;
    const float *probabilities; /* [model->label_count] */
    size_t class;
    float confidence; /* in the class, as cn_plan_answer says */
};

struct predict_format {
    void (*begin)(const struct cn_model *model);
    void (*put)(const struct cn_model *model, const struct prediction *prediction);
};

extern const char *const predict_format_names[]; /* "csv", "ndjson", "table", NULL */
extern const struct predict_format predict_formats[];

/* ---- The batch: pictures and images in input order ---- */

struct batch;

/* Borrows model and format until batch_free. `command` is for messages. */
enum cn_status batch_create(const char *command, const struct cn_model *model,
                            const struct predict_format *format, int threads,
                            struct batch **ret_batch, struct cn_error *error);

/* Each adds one input named `name` (copied; "-" is printed for standard input) and runs a full
 * batch. False when stdout can no longer be written or memory is out: stop. */
bool batch_add_file(struct batch *batch, const char *path);
bool batch_add_png(struct batch *batch, const char *name, unsigned char *bytes, size_t length);
bool batch_add_image(struct batch *batch, const char *name, const unsigned char *samples);

/* Says what is wrong with one input, after the results of those before it. */
bool batch_add_failure(struct batch *batch, const struct cn_error *error);

/* Runs and prints what is left. */
bool batch_flush(struct batch *batch);

/* Was any input not scored? */
bool batch_failed(const struct batch *batch);
void batch_free(struct batch *batch); /* accepts NULL */

/* ---- Inputs ---- */

enum { PREDICT_FILE_LIMIT = 64 << 20 }; /* bytes of one PNG */

/* Adds what the operand names: a PNG, an IDX file, a folder's PNGs, or standard input ("-"). */
bool input_add(struct batch *batch, const struct cn_model *model, const char *operand);

/* Adds each line of the list at `path` ("-": standard input) as an operand. */
bool input_add_list(struct batch *batch, const struct cn_model *model, const char *path);

#endif
