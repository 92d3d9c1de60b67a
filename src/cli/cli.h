/* cli.h: shared by the commands of `convnet`: the command type, options, messages, models. */
#ifndef CONVNET_CLI_CLI_H
#define CONVNET_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "convnet/dataset.h"
#include "convnet/model.h"
#include "json/write.h"

enum {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_SIGNAL = 128 /* plus the signal's number */
};

/* One command: a row of THE table in convnet.c. argv[0] is "convnet NAME"; returns the exit status.
 */
struct cli_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

int cli_train(int argc, char **argv);
int cli_augment(int argc, char **argv);
int cli_evaluate(int argc, char **argv);
int cli_draw_report(int argc, char **argv);
int cli_calibrate(int argc, char **argv);
int cli_quantize(int argc, char **argv);
int cli_predict(int argc, char **argv);
int cli_read(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_layers(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_import(int argc, char **argv);
int cli_edit(int argc, char **argv);
int cli_keygen(int argc, char **argv);
int cli_sign(int argc, char **argv);
int cli_verify(int argc, char **argv);
int cli_export(int argc, char **argv);

/* ---- Options: one table row per option ---- */

enum cli_kind {
    CLI_FLAG,   /* bool */
    CLI_STRING, /* const char * */
    CLI_INT,    /* int */
    CLI_SEED,   /* uint64_t */
    CLI_FLOAT,  /* float */
    CLI_DOUBLE, /* double */
    CLI_NAME,   /* int: the index into `names` */
    CLI_CUSTOM  /* `parse` writes the field */
};

struct cli_option {
    const char *name;     /* without the dashes */
    const char *argument; /* NULL for a flag */
    enum cli_kind kind;
    size_t offset; /* into the command's settings */
    const char *text;
    bool required;            /* STRING only: the option must be given */
    double minimum, maximum;  /* INT, FLOAT, DOUBLE: inclusive bounds */
    const char *const *names; /* NAME */
    const char *const
        *short_names; /* NAME: short names by the same index, "" for none; may be NULL */
    bool (*parse)(const char *text, void *field, const char **ret_rule); /* CUSTOM */
    char letter; /* of the short form; NUL: none */
};

/* Members of struct cli_syntax: a table of options, and how many operands there may be. */
#define CLI_OPTIONS(table) .options = (table), .option_count = sizeof(table) / sizeof *(table)
#define CLI_OPERANDS(words, least, most)                                                           \
    .operands = (words), .least_operands = (least), .most_operands = (most)

/* Rows that several commands have; `offset` is the field's. */
#define CLI_THREADS_OPTION(offset)                                                                 \
    {                                                                                              \
        "threads", "N", CLI_INT, offset, .text = "threads (default: the available processors)",    \
                                         .minimum = 1, .maximum = 1024                             \
    }
#define CLI_JSON_OPTION(offset)                                                                    \
    { "json", NULL, CLI_FLAG, offset, .text = "results as JSON" }
#define CLI_DATA_OPTION(offset)                                                                    \
    { "data", "DIR", CLI_STRING, offset, .text = "folder with labelled data", .required = true }
#define CLI_MODEL_OPTION(offset)                                                                   \
    {                                                                                              \
        "model", "MODEL", CLI_STRING, offset, .text = "model file, or the name of a known one",    \
                                              .required = true                                     \
    }
#define CLI_DIGITS_OPTION(offset)                                                                  \
    {                                                                                              \
        "model", "MODEL", CLI_STRING, offset,                                                      \
            .text = "model file, or the name of a known one (default: digits)"                     \
    }

/* The syntax of one command. */
struct cli_syntax {
    const struct cli_option *options;
    size_t option_count;
    const char *operands; /* "FILE..." or NULL */
    const char *text;
    size_t least_operands, most_operands;
};

/* Parses the command line into `settings` (which has the defaults). *ret_operands points to the
 * operands, *ret_count of them, inside argv. After wrong usage prints a message and ends the
 * process with CLI_USAGE; after --help, --usage and --version with CLI_DONE. */
void cli_parse(const struct cli_syntax *syntax, int argc, char **argv, void *settings,
               char ***ret_operands, size_t *ret_count);

/* Prints what is wrong with the command line and ends the process with CLI_USAGE. */
void cli_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* ---- Messages, on stderr ---- */

/* "convnet: train: SOURCE: TEXT"; `command` is argv[0], "convnet train". Returns CLI_FAILED. */
int cli_report(const char *command, const struct cn_error *error);
int cli_fail(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- Signals ---- */

/* From now on the first SIGINT or SIGTERM is only recorded, and the command ends at the next good
 * point. A second one ends it at once. */
void cli_interrupt_catch(void);

/* The signal that was recorded; 0: none. */
int cli_interrupted(void);

/* Opens a file for reading; NULL is standard input. After a recorded signal its reads fail with
 * EINTR, also one that waits for a pipe. Caller closes with fclose, which leaves standard input
 * open. NULL with errno if it cannot be opened. */
FILE *cli_open_input(const char *path);

/* ---- Results, on stdout ---- */

/* Prints the text and empties it; prints nothing if it ran out of memory, which counts as a failure
 * of stdout. */
void cli_put_text(struct cn_text *text);

/* Adds or prints text for a terminal, padded to `width` columns; control bytes become '?'. */
void cli_add_plain(struct cn_text *to, const char *text, int width);
void cli_put_plain(const char *text, int width);

/* Prints a JSON value and a newline and releases the value. False if memory runs out, or on a write
 * error. */
bool cli_put_json_value(json_t *value);

/* The double that prints as the float does: 0.1f gives 0.1. */
double cli_decimal(float value);

/* False once writing to stdout has failed, or a text was lost because memory ran out. */
bool cli_stdout_good(void);

/* Tells where stdout was redirected to, for a message when writing fails. */
void cli_stdout_is(const char *path);
const char *cli_stdout_place(void); /* "the standard output" by default */

/* ---- Data ---- */

/* Reads labelled data for `model`: their classes are matched with its labels by name and
 * renumbered. CN_INVALID for a class that the model lacks. Caller frees with cn_dataset_free. */
enum cn_status cli_data_read(const char *path, enum cn_split split, const struct cn_model *model,
                             struct cn_dataset **ret_data, struct cn_error *error);

/* The same, with the images where `storage` says (NULL: in memory). */
enum cn_status cli_data_read_to(const char *path, enum cn_split split, const struct cn_model *model,
                                const struct cn_dataset_storage *storage,
                                struct cn_dataset **ret_data, struct cn_error *error);

/* Keeps the share of the data that a training whose record is `training` kept for validation, and
 * frees the rest; 0: all. CN_INVALID: the record's checksum says that these are other data. */
enum cn_status cli_data_keep_share(struct cn_dataset **data, const char *training, double share,
                                   struct cn_error *error);

/* The share that the training kept; 0: it kept none, or says nothing. */
double cli_data_recorded_share(const char *training);

/* Writes the first names of `count` classes as "a, b, c, ..." and returns `text`: for messages. */
const char *cli_class_list(const char *const *names, size_t count, char *text, size_t size);

/* The number of the data on which the model is known to have been trained; 0: none, or unknown. */
size_t cli_data_learned(const struct cn_model *model, const struct cn_dataset *data);

/* ---- Files ---- */

/* A Keras architecture by file or by name. NAME is looked up as NAME.json in ./models, in
 * $CONVNET_MODELSDIR, in the build tree's or the installed folder (model/known_models.h).
 * CN_INVALID for an unknown name lists the known. */
enum cn_status cli_architecture_find(const char *argument, struct cn_network **ret_network,
                                     struct cn_error *error);

/* Reads a model by file, or by name (NAME.safetensors in the same folders). With `architectures`, a
 * .json file or an architecture's name is accepted too: its weights are then initialised from seed
 * 0 and *ret_trained is false (ret_trained may be NULL). Caller frees with cn_model_free. */
enum cn_status cli_model_find(const char *argument, bool architectures, struct cn_model **ret_model,
                              bool *ret_trained, struct cn_error *error);

/* CN_IO unless a file could be created at `path`: its folder exists and is writable. */
enum cn_status cli_check_writable(const char *path, struct cn_error *error);

#endif
