/* trainer_private.h: a training in progress: what trainer.c runs and checkpoint.c saves. */
#ifndef CONVNET_TRAIN_TRAINER_PRIVATE_H
#define CONVNET_TRAIN_TRAINER_PRIVATE_H

#include "convnet/trainer.h"

struct cn_trainer {
    struct cn_model *model;                         /* borrowed */
    const struct cn_dataset *training, *validation; /* borrowed */
    struct cn_training_options options;
    struct cn_gradient_workspace *workspace;
    struct cn_augmenter **augmenters; /* [options.threads] */
    struct cn_teacher *teacher;       /* NULL: the labels alone teach */
    float teacher_share;
    char teacher_sha256[65];
    float *images;    /* [batch_size, input] */
    uint16_t *labels; /* [batch_size] */
    float *gradients; /* [parameter_count] */
    float *state;     /* [2 * parameter_count], the optimizer's */
    float *average;   /* [parameter_count], all tensors'; NULL without ema */
    uint8_t *decay;   /* [parameter_count] */
    uint32_t *order;  /* [training->count], the epoch's */
    size_t steps;     /* mini-batches in an epoch */

    /* Where the training stands; with the parameters, `state` and `average`, all that a checkpoint
     * needs. */
    int epoch;        /* finished epochs */
    size_t step;      /* finished mini-batches of the epoch under way */
    double loss_sum;  /* over its samples so far */
    uint64_t correct; /* of its samples so far */
    double seconds;   /* spent in it so far */
    size_t history_count;
    struct cn_epoch_record *history; /* [options.epochs] */
};

#endif
