/* train.h: shared by the files of `convnet train`. */
#ifndef CONVNET_CLI_TRAIN_H
#define CONVNET_CLI_TRAIN_H

#include "cli/cli.h"
#include "cli/progress.h"
#include "convnet/trainer.h"

struct train_settings {
    const char *architecture, *weights; /* either a new network or a model to continue with */
    const char *data, *output;
    const char *teacher; /* NULL: none */
    float teacher_share;
    const char *extra_data, *history, *checkpoint, *resume, *log_folder; /* NULL: none */
    const char *validation_data;                                         /* NULL: none */
    double validation_split;                                             /* 0: none */
    int validation_order;                                                /* enum cn_split_order */
    uint64_t split_seed;
    size_t memory;            /* bytes that the training may take; 0: what the machine has */
    const char *spill_folder; /* for pictures that are too many for memory; NULL: the usual one */
    bool quiet, new_head;
    const char *freeze, *class_weight; /* NULL: none */
    int keep;                          /* TRAIN_KEEP_... */
    struct cn_training_options options;
};

extern const struct cli_syntax train_syntax;
enum { TRAIN_KEEP_AUTO = 0, TRAIN_KEEP_BEST, TRAIN_KEEP_LAST };

/* The data for training, and for validation if there are any. */
struct train_data {
    struct cn_dataset *training, *validation; /* validation: may be NULL */
    char main_sha256[65];                     /* of the training data without --extra-data */
    float *class_weights;                     /* [class count]; NULL: none were asked for */
    enum cn_activation added;                 /* behind the network's logits; LINEAR: nothing */
    struct cn_dataset_storage storage;        /* where the images go */
};

/* The networks that a training has in memory; teacher: may be NULL. */
struct train_networks {
    const struct cn_network *pupil, *teacher;
};

/* Refuses a training that needs more memory than the settings allow, before any data are read, and
 * shares what is left between the images: data->storage. */
enum cn_status train_check_memory(const struct train_settings *settings,
                                  const struct train_networks *networks, struct train_data *data,
                                  struct cn_error *error);

/* Says on stderr how much the training takes. */
void train_say_memory(const struct train_settings *settings, const struct train_networks *networks,
                      const struct train_data *data);

/* Reads all the data that the settings name and makes the model ready for them: its head, its
 * frozen layers, the activation that the loss needs, the names of the classes. Fills *data, also in
 * part after a failure: train_free_data frees what there is. */
enum cn_status train_read_data(const struct train_settings *settings, struct cn_model *model,
                               struct train_data *data, struct cn_error *error);
void train_free_data(struct train_data *data);

/* Describes the data on stderr. */
void train_say_data(const struct train_settings *settings, const struct train_data *data);

/* Reads a list of augmentations into a struct cn_augmentation: `parse` of an option. */
bool train_parse_augmentation(const char *text, void *field, const char **ret_rule);

/* Makes the training record of the model file; nothing in it depends on the time or the number of
 * threads. weights, teacher: the SHA-256 of the model it continued with and of the teacher, "" for
 * none. malloc'd JSON, NULL if memory runs out; caller frees with free(). */
char *train_record(const struct train_settings *settings, const char *weights, const char *teacher,
                   const struct train_data *data, const struct cn_epoch_record *last);

/* THE table of what --epoch-metrics adds to the history, the bar and TensorBoard's files. */
struct train_mean {
    const char *name; /* "val_precision" */
    size_t offset;    /* in struct cn_class_means */
};
enum { TRAIN_MEANS = 6 };
extern const struct train_mean train_means[TRAIN_MEANS];
double train_mean(const struct cn_epoch_record *record, size_t index);

/* Rewrites the CSV file `path` with all records, atomically; `means`: with those columns. */
enum cn_status train_write_history(const char *path, const struct cn_epoch_record *records,
                                   size_t count, bool means, struct cn_error *error);

/* ---- Progress, on stderr ---- */

struct train_progress {
    struct progress bar;
    int epochs, epoch; /* epoch: the last one whose heading was printed */
    size_t first_step; /* of this run in this epoch */
};

struct train_progress train_progress_create(int epochs, bool quiet);
void train_progress_step(struct train_progress *progress, int epoch, size_t step, size_t steps,
                         double loss, double accuracy);
/* `means`: with F1 and AUC. */
void train_progress_epoch(struct train_progress *progress, const struct cn_epoch_record *record,
                          size_t steps, bool means);

#endif
