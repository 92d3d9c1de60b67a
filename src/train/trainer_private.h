/* trainer_private.h: a training in progress: what trainer.c runs and checkpoint.c saves. */
#ifndef CONVNET_TRAIN_TRAINER_PRIVATE_H
#define CONVNET_TRAIN_TRAINER_PRIVATE_H

#include "convnet/trainer.h"

/* The history of the monitored number, as early stopping and the plateau use it. */
struct cn_callback_state {
    double best; /* of epoch best_epoch */
    int best_epoch;
    int waited; /* epochs since */
    double plateau_best;
    int plateau_waited, plateau_cooldown; /* cooldown: epochs that do not count yet */
    double plateau_scale;                 /* of the learning rate */
    bool stopped;
};

/* Records a finished epoch; true if it is the best so far. */
bool cn_callbacks_epoch(struct cn_callback_state *watch, const struct cn_training_options *options,
                        const struct cn_epoch_record *record);

/* Clips the gradients [parameter_count] in place, by the options. */
void cn_clip_gradients(const struct cn_training_options *options, const struct cn_network *network,
                       float *gradients);

/* Adds the regularizers' gradients to `gradients` [parameter_count], which may be NULL; returns
 * cn_network_penalty. */
double cn_regularize(const struct cn_network *network, float *gradients);

/* Makes the weights obey their constraints. */
void cn_constrain(struct cn_network *network);

/* The number of images of `input_size` floats that an evaluation takes at a time. */
size_t cn_measure_chunk(size_t input_size);

/* Bytes of the text of all conditions that determine the result. */
enum { CN_CONDITIONS = 2048 + CN_AUGMENTATION_TEXT };

/* Writes "name=value" lines of all conditions that determine the result; floats exactly. */
void cn_trainer_conditions(const struct cn_trainer *trainer, char text[static CN_CONDITIONS]);

struct cn_trainer {
    struct cn_model *model;                         /* borrowed */
    const struct cn_dataset *training, *validation; /* borrowed */
    struct cn_training_options options;
    struct cn_gradient_workspace *workspace;
    const struct cn_ranks *ranks;     /* borrowed; NULL: this process alone */
    bool stop_requested, stop_agreed; /* a callback asked for it: of this rank, of any */
    struct cn_augmenter **augmenters; /* [options.threads] */
    struct cn_teacher *teacher;       /* NULL: the labels alone teach */
    float teacher_share;
    char teacher_sha256[65];
    float *images;    /* [batch_size, input] */
    uint16_t *labels; /* [batch_size] */
    float *targets;   /* [batch_size, outputs]; NULL unless images are mixed */
    float *partners;  /* [threads, input], the other image of a mixture */
    float *gradients; /* [parameter_count] */
    float *state;     /* [2 * parameter_count], the optimizer's */
    float *average;   /* [parameter_count], all tensors'; NULL without ema */
    uint8_t *decay;   /* [parameter_count] */
    float *weights;   /* [batch_size], the samples'; NULL without class weights */
    uint32_t *order;  /* [training->count], the epoch's */
    size_t steps;     /* mini-batches in an epoch */

    /* Where the training stands; with the parameters, `state` and `average`, all that a checkpoint
     * needs. */
    int epoch;        /* finished epochs */
    size_t step;      /* finished mini-batches of the epoch under way */
    double loss_sum;  /* over its samples so far */
    uint64_t correct; /* of its samples so far */
    double seconds;   /* spent in it so far */
    struct cn_callback_state watch;
    float *best; /* [parameter_count], the best epoch's; NULL without keep_best */
    size_t history_count;
    struct cn_epoch_record *history; /* [options.epochs] */
};

#endif
