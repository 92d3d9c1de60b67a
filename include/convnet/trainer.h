/* trainer.h: epochs over a dataset, with Keras's words and Keras's results.
 *
 * For a given seed the result has the same bits for any number of threads, and a training that was
 * stopped and resumed has the same bits as one that was not.
 */
#ifndef CONVNET_TRAINER_H
#define CONVNET_TRAINER_H

#include "convnet/dataset.h"
#include "convnet/model.h"
#include "convnet/plan.h"

enum cn_optimizer { CN_OPTIMIZER_SGD = 0, CN_OPTIMIZER_ADAM, CN_OPTIMIZER_ADAMW };
extern const char *const cn_optimizer_names[]; /* "sgd", "adam", "adamw", NULL */

enum cn_schedule { CN_SCHEDULE_CONSTANT = 0, CN_SCHEDULE_COSINE, CN_SCHEDULE_ONE_CYCLE };
extern const char *const cn_schedule_names[]; /* "constant", "cosine", "one-cycle", NULL */

/* ---- Augmentation: random changes of each training image ---- */

enum cn_augmentation_index {
    CN_AUGMENT_SHIFT = 0,
    CN_AUGMENT_ROTATION,
    CN_AUGMENT_SCALE,
    CN_AUGMENT_STRETCH,
    CN_AUGMENT_SHEAR,
    CN_AUGMENT_ELASTIC,
    CN_AUGMENT_STROKE,
    CN_AUGMENT_BLUR,
    CN_AUGMENT_NOISE,
    CN_AUGMENT_CONTRAST,
    CN_AUGMENT_OCCLUSION,
    CN_AUGMENT_RERENDER,
    CN_AUGMENT_OUTLIER,
    CN_AUGMENTATIONS
};

/* THE table of augmentations, CN_AUGMENTATIONS rows. */
struct cn_augmentation_type {
    const char *name;
    double maximum;
    const char *text; /* what the strength x means */
};
extern const struct cn_augmentation_type cn_augmentation_types[];

/* How strongly, and which share of the images (0 to 1) gets it; strength 0: not at all. All zero:
 * images stay as they are. */
struct cn_augmentation {
    float strength[CN_AUGMENTATIONS];
    float share[CN_AUGMENTATIONS];
};

/* Reads a list such as "shift=2,elastic=1.5,stroke=0.5@0.3": name=strength, @ the share of the
 * images (1 if left out), a later entry in place of an earlier one; "none"; or the preset
 * "handwriting", which more entries may follow. CN_INVALID quotes the entry and names the rule. */
enum cn_status cn_augmentation_parse(const char *text, struct cn_augmentation *ret_augmentation,
                                     struct cn_error *error);

/* The list that reads back as the same augmentation; "none" without any. */
enum { CN_AUGMENTATION_TEXT = 512 }; /* bytes that it needs at most, with the NUL */
const char *cn_augmentation_format(const struct cn_augmentation *augmentation,
                                   char text[static CN_AUGMENTATION_TEXT]);

/* CN_INVALID names the augmentation whose strength or share breaks its rule. */
enum cn_status cn_augmentation_check(const struct cn_augmentation *augmentation,
                                     struct cn_error *error);

/* True if any image would be changed. */
bool cn_augmentation_active(const struct cn_augmentation *augmentation);

/* ---- Options ---- */

struct cn_training_options {
    int epochs;
    int batch_size;
    enum cn_loss loss;
    float label_smoothing;
    enum cn_optimizer optimizer;
    float learning_rate;
    float momentum;                /* sgd */
    bool nesterov;                 /* sgd */
    float beta_1, beta_2, epsilon; /* adam, adamw */
    float weight_decay;            /* adamw: decoupled, kernels only */
    float ema;                     /* decay of the weights' moving average; 0: none */
    enum cn_schedule schedule;
    uint64_t seed;
    int threads;
    struct cn_augmentation augmentation;
};

/* Keras's defaults and the published experiment's: 20 epochs, batch 32, sgd 0.01,
 * mean_squared_error, constant schedule; beta 0.9 and 0.999, epsilon 1e-7. */
struct cn_training_options cn_training_options_default(void);

/* CN_INVALID names the option, its value and the rule. */
enum cn_status cn_training_options_check(const struct cn_training_options *options,
                                         struct cn_error *error);

/* The rate of update `step` (from 0) of `total_steps`. cosine: Loshchilov and Hutter 2017, to zero;
 * one-cycle: Smith and Topin 2018, warm-up over 30 % from rate/25, then cosine to rate/1e4. */
float cn_schedule_rate(enum cn_schedule schedule, float learning_rate, uint64_t step,
                       uint64_t total_steps);

/* One update of `count` parameters in place. state: [2 * count] floats, zero before the first
 * step (sgd velocity; adam first and second moments); step counts from 1. decay: [count] bytes, 1
 * where weight decay applies. Formulas: Keras's documentation of SGD, Adam and AdamW. */
void cn_optimizer_step(const struct cn_training_options *options, float rate, uint64_t step,
                       const uint8_t *decay, const float *gradients, float *state,
                       float *parameters, size_t count);

/* One line of the history. Validation fields are NaN without validation data. */
struct cn_epoch_record {
    int epoch; /* from 1 */
    double loss, accuracy;
    double validation_loss, validation_accuracy;
    double learning_rate; /* at the epoch's end */
    double seconds;
};

/* Called from the thread that runs cn_trainer_run. on_step: after each mini-batch, with the
 * running means of the epoch; on_epoch: after each epoch. Returning false stops cleanly after that
 * step. Either may be NULL. */
struct cn_training_callbacks {
    void *data;
    bool (*on_step)(void *data, int epoch, size_t step, size_t steps, double loss, double accuracy);
    bool (*on_epoch)(void *data, const struct cn_epoch_record *record);
};

struct cn_trainer;

/* Trains `model` in place. Borrows model, training data and validation data (may be NULL) until
 * cn_trainer_free. The network's parameters are taken as they are: initialise first.
 * CN_INVALID when shapes or class counts do not fit. */
enum cn_status cn_trainer_create(struct cn_model *model, const struct cn_dataset *training,
                                 const struct cn_dataset *validation,
                                 const struct cn_training_options *options,
                                 struct cn_trainer **ret_trainer, struct cn_error *error);

/* Lets `teacher` (borrowed for this call) give `share` of each training image's target, the label
 * the rest: knowledge distillation (Hinton, Vinyals and Dean 2015), at temperature 1, on the image
 * as it was changed. At most once, before the first run. CN_INVALID when its input or its classes
 * are not the model's, it does not end with a softmax, or the share is not above 0 and up to 1. */
enum cn_status cn_trainer_set_teacher(struct cn_trainer *trainer, const struct cn_model *teacher,
                                      float share, struct cn_error *error);

/* Runs until the last epoch or until a callback stops it (CN_CANCELED; the state is whole and may
 * be checkpointed, or run again to go on). CN_INVALID when the loss is no longer finite. */
enum cn_status cn_trainer_run(struct cn_trainer *trainer,
                              const struct cn_training_callbacks *callbacks,
                              struct cn_error *error);

/* Ends the training: with `ema` the model gets the averaged parameters, which are what the epochs
 * were validated with. To be called once, after the last checkpoint; nothing may run afterwards. */
void cn_trainer_finish(struct cn_trainer *trainer);

/* Borrowed until the next run or free: the records of the finished epochs. */
const struct cn_epoch_record *cn_trainer_history(const struct cn_trainer *trainer,
                                                 size_t *ret_count);

/* Saves / restores all of the training's state (parameters, optimizer state, epoch, step, running
 * sums, history) as a .safetensors file, atomically. Reading refuses (CN_INVALID) a checkpoint of
 * another architecture, dataset or of options that change the result, naming which; `threads` may
 * differ, `epochs` may differ only under the constant schedule. */
enum cn_status cn_trainer_write_checkpoint(const struct cn_trainer *trainer, const char *path,
                                           struct cn_error *error);
enum cn_status cn_trainer_read_checkpoint(struct cn_trainer *trainer, const char *path,
                                          struct cn_error *error);

void cn_trainer_free(struct cn_trainer *trainer);

/* ---- Evaluation ---- */

struct cn_evaluation {
    size_t samples, correct;
    double accuracy, loss;
    size_t class_count;
    size_t *confusion;    /* [class_count, class_count], rows: true class, columns: predicted */
    float *probabilities; /* [samples, class_count] */
};

/* Runs the network over the dataset in inference form. Caller clears with cn_evaluation_clear. */
enum cn_status cn_evaluate(const struct cn_network *network, const struct cn_dataset *dataset,
                           enum cn_loss loss, int threads, struct cn_evaluation *ret_evaluation,
                           struct cn_error *error);
void cn_evaluation_clear(struct cn_evaluation *evaluation);

/* ---- Calibration ---- */

/* Sets network->temperature to the one under which the dataset, which must not be the training
 * data, is likeliest (Guo, Pleiss, Sun and Weinberger 2017), between 0.1 and 10. */
enum cn_status cn_calibrate(struct cn_network *network, const struct cn_dataset *dataset,
                            int threads, struct cn_error *error);

/* The answers whose confidence lies in one of the equal parts of 0 to 1. */
enum { CN_RELIABILITY_BINS = 15 };
struct cn_reliability_bin {
    size_t samples, correct;
    double confidence; /* sum over the samples */
};

/* The expected calibration error (Naeini, Cooper and Hauskrecht 2015): the mean over the samples of
 * the difference between their bin's accuracy and its mean confidence. labels: [samples]. */
double cn_calibration_error(const struct cn_evaluation *evaluation, const uint16_t *labels,
                            struct cn_reliability_bin bins[CN_RELIABILITY_BINS]);

#endif
