/* trainer.h: trains over a dataset in epochs, with Keras's terms and Keras's results.
 *
 * For a given seed the result has the same bits for any number of threads, and for a training that
 * was stopped and resumed. */
#ifndef CONVNET_TRAINER_H
#define CONVNET_TRAINER_H

#include "convnet/dataset.h"
#include "convnet/model.h"
#include "convnet/plan.h"
#include "convnet/ranks.h"

CN_DECLARATIONS_BEGIN

/* Keras's optimizers with Keras's defaults: the rows of THE table in optimizer.c. */
enum cn_optimizer {
    CN_OPTIMIZER_SGD = 0,
    CN_OPTIMIZER_ADAM,
    CN_OPTIMIZER_ADAMW,
    CN_OPTIMIZER_RMSPROP,
    CN_OPTIMIZER_ADAGRAD,
    CN_OPTIMIZER_ADADELTA,
    CN_OPTIMIZER_ADAMAX,
    CN_OPTIMIZER_NADAM,
    CN_OPTIMIZER_LION
};
extern const char *const cn_optimizer_names[]; /* "sgd", "adam", ..., NULL */

enum cn_schedule {
    CN_SCHEDULE_CONSTANT = 0,
    CN_SCHEDULE_COSINE,
    CN_SCHEDULE_ONE_CYCLE,
    CN_SCHEDULE_STEP,        /* multiplied by decay_rate after every decay_epochs */
    CN_SCHEDULE_EXPONENTIAL, /* the same, continuously */
    CN_SCHEDULE_POLYNOMIAL   /* decreasing to end_rate with the exponent `power` */
};
extern const char *const cn_schedule_names[]; /* "constant", "cosine", "one-cycle", ..., NULL */

/* The number that early stopping, the plateau and the choice of the best epoch use. */
enum cn_monitor {
    CN_MONITOR_AUTO = 0, /* the validation's loss, or the training's without validation */
    CN_MONITOR_LOSS,
    CN_MONITOR_ACCURACY,
    CN_MONITOR_VALIDATION_LOSS,
    CN_MONITOR_VALIDATION_ACCURACY,
    CN_MONITOR_VALIDATION_F1, /* these two need epoch_metrics */
    CN_MONITOR_VALIDATION_AUC
};
extern const char *const cn_monitor_names[]; /* "auto", "loss", ..., "val_auc", NULL */

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
    CN_AUGMENT_FLIP,
    CN_AUGMENT_FLIP_VERTICAL,
    CN_AUGMENT_ZOOM,
    CN_AUGMENT_BRIGHTNESS,
    CN_AUGMENT_CROP,
    CN_AUGMENT_CUTOUT,
    CN_AUGMENT_ERASING,
    CN_AUGMENT_MIXUP,
    CN_AUGMENT_CUTMIX,
    CN_AUGMENT_ROW,
    CN_AUGMENT_SIGN,
    CN_AUGMENTATIONS
};

/* THE table of augmentations, CN_AUGMENTATIONS rows. */
struct cn_augmentation_type {
    const char *name;
    double maximum;
    const char *text; /* the meaning of the strength x */
};
extern const struct cn_augmentation_type cn_augmentation_types[];

/* The strength, and the share of the images (0 to 1) that is changed; strength 0: none. All zero:
 * images stay unchanged. */
struct cn_augmentation {
    float strength[CN_AUGMENTATIONS];
    float share[CN_AUGMENTATIONS];
};

/* Parses a list such as "shift=2,elastic=1.5,stroke=0.5@0.3": name=strength, with @ the share of
 * the images (default 1); a later entry replaces an earlier one. Also "none", or one of the presets
 * "handwriting" and "photos", which more entries may follow. CN_INVALID quotes the entry and names
 * the rule. */
enum cn_status cn_augmentation_parse(const char *text, struct cn_augmentation *ret_augmentation,
                                     struct cn_error *error);

/* Writes the list that parses to the same augmentation; "none" without any. */
enum { CN_AUGMENTATION_TEXT = 1024 }; /* the most bytes that it needs, with the NUL */
const char *cn_augmentation_format(const struct cn_augmentation *augmentation,
                                   char text[CN_AUGMENTATION_TEXT]);

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
    float momentum;                /* sgd, rmsprop */
    bool nesterov;                 /* sgd */
    float beta_1, beta_2, epsilon; /* the Adam family; lion without epsilon */
    float rho;                     /* rmsprop, adadelta */
    float weight_decay;            /* any optimizer: decoupled, kernels only */
    float clip_value;              /* each gradient is clipped to -x..x; 0: none of the three */
    float clip_norm;               /* each tensor's gradient to this norm */
    float global_clip_norm;        /* all gradients together */
    float ema;                     /* decay of the weights' moving average; 0: none */
    enum cn_schedule schedule;
    float decay_rate, decay_epochs; /* step, exponential */
    float end_rate, power;          /* polynomial */
    float warmup_epochs;            /* at first the rate rises from 0, before the schedule begins */
    enum cn_monitor monitor;
    float min_delta;    /* the least improvement that counts */
    int early_stopping; /* stops after so many epochs that are not better; 0: never */
    bool has_baseline;  /* an epoch must beat `baseline` to begin the waiting anew */
    float baseline;
    int start_from_epoch; /* epochs up to this one are not looked at */
    int plateau_patience; /* after so many the rate is multiplied by plateau_factor; 0: never */
    float plateau_factor, plateau_min_rate, plateau_min_delta;
    int plateau_cooldown;       /* epochs after a lowered rate that do not count */
    bool epoch_metrics;         /* measure validation_means after each epoch */
    bool keep_best;             /* cn_trainer_finish restores the weights of the best epoch */
    const float *class_weights; /* [class count], borrowed; NULL: all 1 */
    uint64_t seed;
    int threads;
    struct cn_augmentation augmentation;
};

/* Keras's defaults, as in the published experiment: 20 epochs, batch 32, sgd 0.01,
 * mean_squared_error, constant schedule; beta 0.9 and 0.999, epsilon 1e-7, rho 0.9, decay rate 0.1
 * and epochs 10, power 1, plateau factor 0.1. */
struct cn_training_options cn_training_options_default(void);

/* Replaces NaN in learning_rate, momentum, beta_1, beta_2, rho, epsilon and weight_decay by the
 * optimizer's defaults, which are Keras's. CN_INVALID names one that is not NaN although the
 * optimizer has no such option, and lists those it has. */
enum cn_status cn_training_options_complete(struct cn_training_options *options,
                                            struct cn_error *error);

/* CN_INVALID names the option, its value and the rule. */
enum cn_status cn_training_options_check(const struct cn_training_options *options,
                                         struct cn_error *error);

/* The rate of update `step` (from 0) of `total_steps`, with `epoch_steps` per epoch, by
 * options->schedule. cosine: Loshchilov and Hutter 2017, to zero; one-cycle: Smith and Topin 2018,
 * warm-up over 30 % from rate/25, then cosine to rate/1e4; step and exponential: Keras's
 * ExponentialDecay, with and without staircase; polynomial: its PolynomialDecay. */
float cn_schedule_rate(const struct cn_training_options *options, uint64_t step,
                       uint64_t total_steps, uint64_t epoch_steps);

/* One update of `count` parameters in place. state: [2 * count] floats, zero before the first
 * step; step counts from 1. decay: [count] bytes, 1 where weight decay applies. Formulas: Keras's
 * documentation of its optimizers (keras.io/api/optimizers). */
void cn_optimizer_step(const struct cn_training_options *options, float rate, uint64_t step,
                       const uint8_t *decay, const float *gradients, float *state,
                       float *parameters, size_t count);

/* Means over all classes that have samples. NaN: not measured. */
struct cn_class_means {
    double precision, recall, f1; /* macro: every class alike */
    double weighted_f1;           /* by the classes' samples */
    double auc;                   /* macro, each class against the rest; NaN over 200 classes */
    double top_5;                 /* share whose class is among the five largest; NaN up to 5 */
};

/* Means that have not been measured: all NaN. */
struct cn_class_means cn_class_means_none(void);

/* One row of the history. Validation fields are NaN without validation data. */
struct cn_epoch_record {
    int epoch; /* from 1 */
    double loss, accuracy;
    double validation_loss, validation_accuracy;
    double learning_rate; /* at the epoch's end */
    double seconds;
    struct cn_class_means validation_means; /* NaN without options.epoch_metrics */
};

/* Called from the thread that runs cn_trainer_run. on_step: after each mini-batch, with the
 * running means of the epoch; on_epoch: after each epoch. Returning false stops cleanly after that
 * step. Either may be NULL. */
struct cn_training_callbacks {
    void *data;
    bool (*on_step)(void *data, int epoch, size_t step, size_t steps, double loss, double accuracy);
    bool (*on_epoch)(void *data, const struct cn_epoch_record *record);
};

/* Bytes that a training needs besides the images: of the network with its gradients and the
 * optimizer's state, for its mini-batches, to validate, and per sample. */
struct cn_training_memory {
    size_t network, batch, validation, samples, total;
};

/* Predicts the memory of a training of one process; frees what it allocates. CN_UNSUPPORTED: the
 * network cannot be trained. */
enum cn_status cn_training_memory(const struct cn_network *network, size_t samples,
                                  size_t validation_samples,
                                  const struct cn_training_options *options,
                                  struct cn_training_memory *ret_memory, struct cn_error *error);

struct cn_trainer;

/* Trains `model` in place. Borrows model, training data and validation data (may be NULL) until
 * cn_trainer_free. The network's parameters are the starting point, so initialise them first.
 * CN_INVALID when shapes or class counts do not fit. */
enum cn_status cn_trainer_create(struct cn_model *model, const struct cn_dataset *training,
                                 const struct cn_dataset *validation,
                                 const struct cn_training_options *options,
                                 struct cn_trainer **ret_trainer, struct cn_error *error);

/* Adds a teacher (borrowed for this call), which gives `share` of each training image's target; the
 * label gives the rest: knowledge distillation (Hinton, Vinyals and Dean 2015), at temperature 1,
 * on the changed image. At most once, before the first run. CN_INVALID when its input or its
 * classes are not the model's, it does not end with a softmax, or the share is not above 0 and up
 * to 1. */
enum cn_status cn_trainer_set_teacher(struct cn_trainer *trainer, const struct cn_model *teacher,
                                      float share, struct cn_error *error);

/* Makes these ranks (borrowed until cn_trainer_free) train together. Each rank calls this once,
 * before the first run, with the same data, options and weights (CN_INVALID on all ranks names one
 * that differs). From then on all ranks make the same calls, and every rank gets the same bits as
 * one alone would. When a callback stops one rank the others stop after the next step. */
enum cn_status cn_trainer_set_ranks(struct cn_trainer *trainer, const struct cn_ranks *ranks,
                                    struct cn_error *error);

/* Runs to the last epoch, until early stopping or until a callback stops it (CN_CANCELED; the state
 * is complete and may be checkpointed, or run again to continue). CN_INVALID when the loss is no
 * longer finite. */
enum cn_status cn_trainer_run(struct cn_trainer *trainer,
                              const struct cn_training_callbacks *callbacks,
                              struct cn_error *error);

/* True when the training is complete: all epochs are finished, or early stopping has ended it. */
bool cn_trainer_done(const struct cn_trainer *trainer);

/* The best epoch so far by the monitor, from 1; 0: no epoch is finished. */
int cn_trainer_best_epoch(const struct cn_trainer *trainer);

/* Ends the training: with `keep_best` the model gets the parameters of the best epoch; else with
 * `ema` the averaged ones, with which the epochs were validated. Call it once, after the last
 * checkpoint; nothing may run afterwards. */
void cn_trainer_finish(struct cn_trainer *trainer);

/* Borrowed until the next run or free: the records of the finished epochs. */
const struct cn_epoch_record *cn_trainer_history(const struct cn_trainer *trainer,
                                                 size_t *ret_count);

/* Save and restore the whole state of the training (parameters, optimizer state, epoch, step,
 * running sums, history) as a .safetensors file, atomically. Reading refuses (CN_INVALID) a
 * checkpoint of another architecture or dataset, or with other options that change the result, and
 * names the difference; `threads` may differ, `epochs` only under the constant schedule. */
enum cn_status cn_trainer_write_checkpoint(const struct cn_trainer *trainer, const char *path,
                                           struct cn_error *error);
enum cn_status cn_trainer_read_checkpoint(struct cn_trainer *trainer, const char *path,
                                          struct cn_error *error);

void cn_trainer_free(struct cn_trainer *trainer);

/* ---- Evaluation ---- */

struct cn_evaluation {
    size_t samples, correct;
    double accuracy, loss;
    double activity_penalty; /* per sample, of the activity regularizers; the loss lacks it */
    size_t class_count;
    size_t *confusion;    /* [class_count, class_count], rows: true class, columns: predicted */
    float *probabilities; /* [samples, class_count] */
};

/* The sum that the regularizers of the trainable weights add to the loss, as in Keras. The loss of
 * a cn_evaluation does not contain it; those of a cn_epoch_record do. */
double cn_network_penalty(const struct cn_network *network);

/* Computes the network's answers for the dataset, as in inference. Caller clears with
 * cn_evaluation_clear. */
enum cn_status cn_evaluate(const struct cn_network *network, const struct cn_dataset *dataset,
                           enum cn_loss loss, int threads, struct cn_evaluation *ret_evaluation,
                           struct cn_error *error);

/* The same, with calls of on_images from time to time with the number of finished images; it may be
 * NULL. */
enum cn_status cn_evaluate_watched(const struct cn_network *network,
                                   const struct cn_dataset *dataset, enum cn_loss loss, int threads,
                                   void (*on_images)(void *data, size_t done, size_t total),
                                   void *data, struct cn_evaluation *ret_evaluation,
                                   struct cn_error *error);

/* The same, each rank for a part of the images; NULL: this process alone. All get the same bits.
 * The loss is against labels that are smoothed by so much, as in Keras's val_loss. */
enum cn_status cn_evaluate_shared(const struct cn_network *network,
                                  const struct cn_dataset *dataset, enum cn_loss loss,
                                  float label_smoothing, int threads, const struct cn_ranks *ranks,
                                  struct cn_evaluation *ret_evaluation, struct cn_error *error);
void cn_evaluation_clear(struct cn_evaluation *evaluation);

/* The area under the receiver operating characteristic (Hanley and McNeil 1982): how often a number
 * of `inside` is larger than one of `outside`, where ties count half. Sorts both in place. */
double cn_auroc(float *inside, size_t count, float *outside, size_t outside_count);

/* The results for one class: samples of it, answers of it, and both together. */
struct cn_class_result {
    size_t samples, predicted, correct;
};
struct cn_class_result cn_class_result(const struct cn_evaluation *evaluation, size_t class_index);

/* Harmonic mean of precision and recall, 0 where neither is above 0. */
double cn_class_f1(const struct cn_class_result *result);

/* Computes the means over the classes of an evaluation; labels: [samples]. CN_MEMORY. */
enum cn_status cn_class_means(const struct cn_evaluation *evaluation, const uint16_t *labels,
                              struct cn_class_means *ret_means, struct cn_error *error);

/* ---- Calibration ---- */

/* Sets network->temperature to the value between 0.1 and 10 under which the dataset, which must not
 * be the training data, is most likely (Guo, Pleiss, Sun and Weinberger 2017). */
enum cn_status cn_calibrate(struct cn_network *network, const struct cn_dataset *dataset,
                            int threads, struct cn_error *error);

/* Makes the thresholds of model->error_levels by split conformal prediction (Vovk, Gammerman and
 * Shafer 2005) from outputs on data that the model was not trained on: a set misses the right label
 * in at most the level's error of such pictures, with a probability of 95 % over these data (Vovk
 * 2012). labels: [evaluation->samples]. Levels that so few samples cannot promise are left out, and
 * so are those that would leave more answers without a single label than a smaller error does: of
 * under 14 samples all. CN_MEMORY. */
enum cn_status cn_calibrate_sets(struct cn_model *model, const struct cn_evaluation *evaluation,
                                 const uint16_t *labels, struct cn_error *error);

/* The answers whose confidence is in one of the equal intervals from 0 to 1. */
enum { CN_RELIABILITY_BINS = 15 };
struct cn_reliability_bin {
    size_t samples, correct;
    double confidence; /* sum over the samples */
};

/* The expected calibration error (Naeini, Cooper and Hauskrecht 2015): the mean over the samples of
 * the difference between their bin's accuracy and its mean confidence. labels: [samples]. */
double cn_calibration_error(const struct cn_evaluation *evaluation, const uint16_t *labels,
                            struct cn_reliability_bin bins[CN_RELIABILITY_BINS]);

CN_DECLARATIONS_END

#endif
