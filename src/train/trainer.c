/* trainer.c: epochs of mini-batches. Everything random follows from (seed, epoch, sample) or (seed,
 * step), so that neither threads nor an interruption change a bit. Allocates only in create. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/time.h"
#include "layers/layer_type.h"
#include "network/loss.h"
#include "train/augment.h"
#include "train/teacher.h"
#include "train/trainer_private.h"

enum { STREAM_ORDER = 1, STREAM_AUGMENT = 2, STREAM_DROPOUT = 3 }; /* keys of the random streams */

static enum cn_status check_data(const struct cn_network *network, const struct cn_dataset *data,
                                 const char *what, struct cn_error *error) {
    char expected[CN_SHAPE_TEXT], got[CN_SHAPE_TEXT];
    size_t outputs = cn_shape_size(&network->output_shape);
    if (cn_network_output_kind(network, 0) == CN_OUTPUT_SIGMOID)
        outputs = 2; /* one probability, of the second of two classes */
    if (!cn_shape_equal(&network->input_shape, &data->shape))
        return cn_fail(error, CN_INVALID, "the %s images are %s; the network takes %s", what,
                       cn_shape_format(&data->shape, got),
                       cn_shape_format(&network->input_shape, expected));
    if (network->output_shape.rank != 1 || data->class_count > outputs)
        return cn_fail(error, CN_INVALID,
                       "the %s data have %zu classes; the network tells %zu apart", what,
                       data->class_count, outputs);
    if (data->count == 0)
        return cn_fail(error, CN_INVALID, "the %s data are empty", what);
    return CN_OK;
}

/* The loss must fit what the network gives. */
static enum cn_status check_loss(const struct cn_network *network, enum cn_loss loss,
                                 struct cn_error *error) {
    enum cn_activation missing;
    const enum cn_status status = cn_loss_check(loss, network, &missing, error);
    if (status == CN_OK && missing != CN_ACTIVATION_LINEAR)
        return cn_fail(error, CN_INVALID,
                       "%s needs probabilities; the network ends with logits: a %s must be added",
                       cn_loss_names[loss], cn_activation_names[missing]);
    return status;
}

static bool mixes(const struct cn_augmentation *a) {
    return (a->strength[CN_AUGMENT_MIXUP] > 0 && a->share[CN_AUGMENT_MIXUP] > 0) ||
           (a->strength[CN_AUGMENT_CUTMIX] > 0 && a->share[CN_AUGMENT_CUTMIX] > 0);
}

static void mark_decay(struct cn_trainer *trainer) {
    const struct cn_network *network = trainer->model->network;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const char *slash = strrchr(tensor->name, '/');
        if (slash != NULL && strcmp(slash, "/kernel") == 0 && tensor->trainable)
            memset(trainer->decay + tensor->offset, 1, tensor->size);
    }
}

/* Whether these data and options can be trained with. */
static enum cn_status check_training(const struct cn_network *network,
                                     const struct cn_dataset *training,
                                     const struct cn_dataset *validation,
                                     const struct cn_training_options *options,
                                     struct cn_error *error) {
    enum cn_status status = cn_training_options_check(options, error);
    if (status == CN_OK)
        status = check_data(network, training, "training", error);
    if (status == CN_OK && validation != NULL)
        status = check_data(network, validation, "validation", error);
    if (status == CN_OK)
        status = check_loss(network, options->loss, error);
    if (status == CN_OK && validation == NULL && options->monitor >= CN_MONITOR_VALIDATION_LOSS)
        status = cn_fail(error, CN_INVALID,
                         "%s cannot be monitored: there are no validation data; add "
                         "--validation-split 0.1 or --validation-data DIR",
                         cn_monitor_names[options->monitor]);
    if (status == CN_OK && validation == NULL && options->epoch_metrics)
        status = cn_fail(error, CN_INVALID,
                         "epoch-metrics are measured on validation data, and there are none; add "
                         "--validation-split 0.1 or --validation-data DIR");
    return status;
}

/* The trainer's own arrays, by its options, model and data. */
static enum cn_status allocate_arrays(struct cn_trainer *trainer, struct cn_error *error) {
    const struct cn_training_options *options = &trainer->options;
    const struct cn_network *network = trainer->model->network;
    const struct cn_dataset *training = trainer->training;
    const size_t parameters = network->parameter_count, batch = (size_t)options->batch_size;
    enum cn_status status = CN_OK;
    trainer->images = cn_floats_allocate(batch * cn_shape_size(&network->input_shape));
    trainer->labels = calloc(batch, sizeof *trainer->labels);
    if (mixes(&options->augmentation)) {
        trainer->targets = cn_floats_allocate(batch * cn_shape_size(&network->output_shape));
        trainer->partners =
            cn_floats_allocate((size_t)options->threads * cn_shape_size(&network->input_shape));
        if (trainer->targets == NULL || trainer->partners == NULL)
            status = cn_fail(error, CN_MEMORY, "cannot allocate the mixtures of %zu images", batch);
    }
    trainer->gradients = cn_floats_allocate(parameters);
    trainer->state = cn_floats_allocate(2 * parameters);
    trainer->decay = calloc(parameters + 1, 1);
    trainer->order = calloc(training->count, sizeof *trainer->order);
    trainer->history = calloc((size_t)options->epochs, sizeof *trainer->history);
    trainer->augmenters = calloc((size_t)options->threads, sizeof(struct cn_augmenter *));
    if (trainer->images == NULL || trainer->labels == NULL || trainer->gradients == NULL ||
        trainer->state == NULL || trainer->decay == NULL || trainer->order == NULL ||
        trainer->history == NULL || trainer->augmenters == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for a trainer for batches of %zu", batch);
    const bool weighted = options->class_weights != NULL || training->weights != NULL;
    if (weighted)
        trainer->weights = calloc(batch, sizeof *trainer->weights);
    if (options->keep_best)
        trainer->best = cn_floats_allocate(parameters);
    if ((weighted && trainer->weights == NULL) || (options->keep_best && trainer->best == NULL))
        status = cn_fail(error, CN_MEMORY, "no memory for the best of %zu parameters", parameters);
    if (status == CN_OK && options->ema > 0) {
        trainer->average = cn_floats_allocate(parameters);
        if (trainer->average == NULL)
            status = cn_fail(error, CN_MEMORY, "no memory for the average of %zu parameters",
                             parameters);
        else
            memcpy(trainer->average, network->parameters, parameters * sizeof *trainer->average);
    }
    return status;
}

enum cn_status cn_trainer_create(struct cn_model *model, const struct cn_dataset *training,
                                 const struct cn_dataset *validation,
                                 const struct cn_training_options *options,
                                 struct cn_trainer **ret_trainer, struct cn_error *error) {
    struct cn_network *network = model->network;
    const size_t batch = (size_t)options->batch_size;
    enum cn_status status = check_training(network, training, validation, options, error);
    if (status != CN_OK)
        return status;
    struct cn_trainer *trainer = calloc(1, sizeof *trainer);
    if (trainer == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a trainer");
    trainer->model = model;
    trainer->training = training;
    trainer->validation = validation;
    trainer->options = *options;
    trainer->steps = (training->count + batch - 1) / batch;
    trainer->watch.plateau_scale = 1;
    status = allocate_arrays(trainer, error);
    if (status == CN_OK)
        status = cn_gradient_workspace_create(network, batch, options->threads, &trainer->workspace,
                                              error);
    for (int i = 0; i < options->threads && status == CN_OK; i++) {
        status = cn_augmenter_create(&trainer->options.augmentation, &model->preprocessing,
                                     &network->input_shape, &trainer->augmenters[i], error);
        if (status == CN_OK)
            cn_augmenter_set_neighbours(trainer->augmenters[i], training->images, training->count);
    }
    if (status != CN_OK) {
        cn_trainer_free(trainer);
        return status;
    }
    mark_decay(trainer);
    *ret_trainer = trainer;
    return CN_OK;
}

enum cn_status cn_trainer_set_teacher(struct cn_trainer *trainer, const struct cn_model *teacher,
                                      float share, struct cn_error *error) {
    const struct cn_model *pupil = trainer->model;
    char expected[CN_SHAPE_TEXT], got[CN_SHAPE_TEXT];
    if (!(share > 0 && share <= 1))
        return cn_fail(error, CN_INVALID, "the teacher's share is %g; it must be above 0, up to 1",
                       (double)share);
    if (!cn_shape_equal(&teacher->network->input_shape, &pupil->network->input_shape))
        return cn_fail(error, CN_INVALID, "the teacher takes %s; the network takes %s",
                       cn_shape_format(&teacher->network->input_shape, got),
                       cn_shape_format(&pupil->network->input_shape, expected));
    if (teacher->label_count != pupil->label_count)
        return cn_fail(error, CN_INVALID, "the teacher has %zu classes; the network has %zu",
                       teacher->label_count, pupil->label_count);
    for (size_t i = 0; i < pupil->label_count; i++)
        if (strcmp(teacher->labels[i], pupil->labels[i]) != 0)
            return cn_fail(error, CN_INVALID,
                           "class %zu of the teacher is \"%s\", and of the network \"%s\"; they "
                           "must be the same",
                           i, teacher->labels[i], pupil->labels[i]);
    if (cn_network_output_kind(teacher->network, 0) != CN_OUTPUT_SOFTMAX)
        return cn_fail(
            error, CN_INVALID,
            "the last layer of the teacher is a %s; a teacher must end with a softmax",
            teacher->network->layers[teacher->network->layer_count - 1].type->class_name);
    if (trainer->targets != NULL)
        return cn_fail(error, CN_UNSUPPORTED,
                       "mixup and cutmix cannot be used with a teacher: both give the targets");
    trainer->teacher_share = share;
    memcpy(trainer->teacher_sha256, teacher->sha256, sizeof trainer->teacher_sha256);
    return cn_teacher_create(teacher, share, (size_t)trainer->options.batch_size,
                             trainer->options.threads, &trainer->teacher, error);
}

/* All that must be the same on every rank, in one number. */
static enum cn_status fingerprint(const struct cn_trainer *trainer,
                                  char ret_text[static CN_SHA256_TEXT], struct cn_error *error) {
    const struct cn_network *network = trainer->model->network;
    char conditions[CN_CONDITIONS], *architecture = NULL;
    const enum cn_status status = cn_architecture_format(network, &architecture, error);
    if (status != CN_OK)
        return status;
    cn_trainer_conditions(trainer, conditions);
    const char *kernels = cn_instruction_set();
    const struct cn_file_part parts[] = {
        {conditions, strlen(conditions)},
        {architecture, strlen(architecture)},
        {kernels, strlen(kernels)},
        {network->parameters, network->parameter_count * sizeof(float)}};
    cn_sha256(parts, sizeof parts / sizeof *parts, ret_text);
    free(architecture);
    return CN_OK;
}

enum cn_status cn_trainer_set_ranks(struct cn_trainer *trainer, const struct cn_ranks *ranks,
                                    struct cn_error *error) {
    char prints[CN_RANKS_MAX][CN_SHA256_TEXT];
    size_t bounds[CN_RANKS_MAX + 1];
    enum cn_status status =
        cn_gradient_workspace_share(trainer->workspace, trainer->model->network, ranks, error);
    if (status == CN_OK)
        status = fingerprint(trainer, prints[ranks->rank], error);
    if (status != CN_OK)
        return status;
    for (int r = 0; r <= ranks->count; r++)
        bounds[r] = (size_t)r * CN_SHA256_TEXT;
    cn_ranks_gather(ranks, prints, bounds);
    for (int r = 1; r < ranks->count; r++)
        if (strcmp(prints[r], prints[0]) != 0)
            return cn_fail(error, CN_INVALID,
                           "rank %d has not the data, the options, the weights or the instruction "
                           "set (here %s) of rank 0: all must have the same",
                           r, cn_instruction_set());
    trainer->ranks = ranks;
    return CN_OK;
}

void cn_trainer_free(struct cn_trainer *trainer) {
    if (trainer == NULL)
        return;
    cn_teacher_free(trainer->teacher);
    cn_gradient_workspace_free(trainer->workspace);
    for (int i = 0; trainer->augmenters != NULL && i < trainer->options.threads; i++)
        cn_augmenter_free(trainer->augmenters[i]);
    free(trainer->augmenters);
    free(trainer->images);
    free(trainer->labels);
    free(trainer->targets);
    free(trainer->partners);
    free(trainer->gradients);
    free(trainer->state);
    free(trainer->average);
    free(trainer->weights);
    free(trainer->best);
    free(trainer->decay);
    free(trainer->order);
    free(trainer->history);
    free(trainer);
}

const struct cn_epoch_record *cn_trainer_history(const struct cn_trainer *trainer,
                                                 size_t *ret_count) {
    *ret_count = trainer->history_count;
    return trainer->history;
}

static void shuffle(struct cn_trainer *trainer) {
    struct cn_random random =
        cn_random_stream(trainer->options.seed, STREAM_ORDER, (uint64_t)trainer->epoch, 0);
    for (size_t i = 0; i < trainer->training->count; i++)
        trainer->order[i] = (uint32_t)i;
    cn_random_shuffle(&random, trainer->order, trainer->training->count);
}

/* A sample's image as it is changed; its label, or CN_LABEL_NONE. */
static uint16_t change_image(struct cn_trainer *trainer, int thread, struct cn_random *random,
                             size_t sample, float *image) {
    const struct cn_dataset *data = trainer->training;
    const uint8_t *from = data->images + sample * cn_shape_size(&data->shape);
    return cn_augment(trainer->augmenters[thread], random, from, image) ? data->labels[sample]
                                                                        : CN_LABEL_NONE;
}

/* Mixes the image of `slot` with another sample's, by mixup or cutmix, and writes its target. */
static void mix_image(struct cn_trainer *trainer, int thread, struct cn_random *random,
                      float *image, size_t slot) {
    const struct cn_training_options *o = &trainer->options;
    const struct cn_dataset *data = trainer->training;
    const size_t size = cn_shape_size(&data->shape);
    const size_t classes = cn_shape_size(&trainer->model->network->output_shape);
    float *partner = trainer->partners + (size_t)thread * size;
    float *target = trainer->targets + slot * classes, share = 1;
    const enum cn_mix how = cn_mix_draw(&o->augmentation, random);
    uint16_t other = CN_LABEL_NONE;
    if (how != CN_MIX_NONE && trainer->labels[slot] != CN_LABEL_NONE) {
        const uint32_t sample = cn_random_below(random, (uint32_t)data->count);
        other = change_image(trainer, thread, random, sample, partner);
    }
    if (other != CN_LABEL_NONE)
        share = cn_mix(how, &o->augmentation, random, partner, &data->shape, image);
    cn_loss_mixed_target(target, o->loss, classes, trainer->labels[slot],
                         other != CN_LABEL_NONE ? other : trainer->labels[slot], share,
                         o->label_smoothing);
    if (share < 0.5f)
        trainer->labels[slot] = other;
}

/* The sample's own weight times its class's. */
static float sample_weight(const struct cn_trainer *trainer, size_t sample) {
    const struct cn_dataset *data = trainer->training;
    const float *by_class = trainer->options.class_weights;
    return (data->weights != NULL ? data->weights[sample] : 1) *
           (by_class != NULL ? by_class[data->labels[sample]] : 1);
}

/* Starts to read the images of the next step if they are in a file. */
static void expect_batch(const struct cn_trainer *trainer) {
    const size_t next = (trainer->step + 1) * (size_t)trainer->options.batch_size;
    const size_t left = trainer->training->count > next ? trainer->training->count - next : 0;
    const size_t full = (size_t)trainer->options.batch_size;
    cn_dataset_expect(trainer->training, trainer->order + next, left < full ? left : full);
}

static void prepare_image(struct cn_trainer *trainer, int thread, size_t position, size_t slot) {
    const struct cn_dataset *data = trainer->training;
    const size_t size = cn_shape_size(&data->shape), sample = trainer->order[position];
    struct cn_random random =
        cn_random_stream(trainer->options.seed, STREAM_AUGMENT, (uint64_t)trainer->epoch, sample);
    float *image = trainer->images + slot * size;
    trainer->labels[slot] = change_image(trainer, thread, &random, sample, image);
    if (trainer->targets != NULL)
        mix_image(trainer, thread, &random, image, slot);
    cn_preprocessing_normalize(&trainer->model->preprocessing, &data->shape, 1, image);
    if (trainer->weights != NULL)
        trainer->weights[slot] = sample_weight(trainer, sample);
}

/* Fills this rank's part of the mini-batch of the next step, the samples [*ret_first, *ret_end);
 * returns the size of the whole. */
static size_t prepare_batch(struct cn_trainer *trainer, size_t *ret_first, size_t *ret_end) {
    const size_t first = trainer->step * (size_t)trainer->options.batch_size;
    const size_t left = trainer->training->count - first;
    const size_t full = (size_t)trainer->options.batch_size;
    const size_t count = left < full ? left : full;
    const int threads = trainer->options.threads;
    size_t begin, end;
    cn_gradient_workspace_samples(trainer->workspace, count, &begin, &end);
    *ret_first = begin;
    *ret_end = end;
    expect_batch(trainer);
    if (threads == 1) {
        for (size_t i = begin; i < end; i++)
            prepare_image(trainer, 0, first + i, i);
        return count;
    }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int thread = 0; thread < threads; thread++)
        for (size_t i = begin + (size_t)thread; i < end; i += (size_t)threads)
            prepare_image(trainer, thread, first + i, i);
    return count;
}

/* The average follows closely at first, as TensorFlow's ExponentialMovingAverage with num_updates
 * does: the decay is at most (1 + t) / (10 + t) after update t. */
static void follow(struct cn_trainer *trainer, uint64_t update) {
    const struct cn_network *network = trainer->model->network;
    const float t = (float)update, early = (1 + t) / (10 + t);
    const float share = 1 - (early < trainer->options.ema ? early : trainer->options.ema);
    for (size_t i = 0; trainer->average != NULL && i < network->parameter_count; i++)
        trainer->average[i] += (network->parameters[i] - trainer->average[i]) * share;
}

/* Exchanges the model's parameters for the average, or back. */
static void exchange_average(struct cn_trainer *trainer) {
    float *parameters = trainer->model->network->parameters;
    if (trainer->average == NULL)
        return;
    trainer->model->network->parameters = trainer->average;
    trainer->average = parameters;
}

/* The parameters that are validated, and written at the end. */
static const float *shown_parameters(const struct cn_trainer *trainer) {
    return trainer->average != NULL ? trainer->average : trainer->model->network->parameters;
}

void cn_trainer_finish(struct cn_trainer *trainer) {
    struct cn_network *network = trainer->model->network;
    if (trainer->best != NULL && trainer->watch.best_epoch > 0)
        memcpy(network->parameters, trainer->best,
               network->parameter_count * sizeof *network->parameters);
    else
        exchange_average(trainer);
}

bool cn_trainer_done(const struct cn_trainer *trainer) {
    return trainer->watch.stopped || trainer->epoch >= trainer->options.epochs;
}

int cn_trainer_best_epoch(const struct cn_trainer *trainer) {
    return trainer->watch.best_epoch;
}

/* The rate of update `update`. */
static float rate_of(const struct cn_trainer *trainer, uint64_t update) {
    const struct cn_training_options *o = &trainer->options;
    const float rate =
        cn_schedule_rate(o, update, (uint64_t)o->epochs * trainer->steps, trainer->steps);
    return trainer->watch.plateau_scale < 1 ? (float)((double)rate * trainer->watch.plateau_scale)
                                            : rate;
}

/* Samples seen in the epoch under way. */
static double samples_seen(const struct cn_trainer *trainer) {
    const size_t seen = trainer->step * (size_t)trainer->options.batch_size;
    return (double)(seen < trainer->training->count ? seen : trainer->training->count);
}

static enum cn_status run_step(struct cn_trainer *trainer, struct cn_error *error) {
    const struct cn_training_options *o = &trainer->options;
    struct cn_network *network = trainer->model->network;
    const uint64_t update = (uint64_t)trainer->epoch * trainer->steps + trainer->step;
    size_t first, end;
    struct cn_minibatch batch = {.count = prepare_batch(trainer, &first, &end),
                                 .images = trainer->images,
                                 .labels = trainer->labels,
                                 .seed = o->seed + STREAM_DROPOUT,
                                 .step = update,
                                 .targets = trainer->targets,
                                 .weights = trainer->weights,
                                 .flag = trainer->stop_requested};
    if (trainer->teacher != NULL)
        batch.targets = cn_teacher_targets(trainer->teacher, batch.images, batch.labels, first, end,
                                           o->label_smoothing);
    struct cn_minibatch_result result;
    cn_network_gradient(network, trainer->workspace, &batch, o->loss, o->label_smoothing,
                        trainer->gradients, &result);
    if (!isfinite(result.loss_sum))
        return cn_fail(
            error, CN_INVALID,
            "the loss is no longer finite in epoch %d, step %zu; lower the learning rate "
            "(%g)",
            trainer->epoch + 1, trainer->step + 1, (double)o->learning_rate);
    result.loss_sum += cn_regularize(network, trainer->gradients) * (double)batch.count;
    cn_clip_gradients(o, network, trainer->gradients);
    cn_optimizer_step(o, rate_of(trainer, update), update + 1, trainer->decay, trainer->gradients,
                      trainer->state, network->parameters, network->parameter_count);
    cn_constrain(network);
    follow(trainer, update);
    trainer->stop_agreed = result.flag;
    trainer->loss_sum += result.loss_sum;
    trainer->correct += result.correct;
    trainer->step++;
    return CN_OK;
}

/* A loss that is finite says nothing of the weights that its step leaves. */
static enum cn_status check_weights(const struct cn_trainer *trainer, struct cn_error *error) {
    const struct cn_network *network = trainer->model->network;
    for (size_t i = 0; i < network->parameter_count; i++)
        if (!isfinite(network->parameters[i]))
            return cn_fail(error, CN_INVALID,
                           "the weights are no longer finite after epoch %d; lower the learning "
                           "rate (%g)",
                           trainer->epoch + 1, (double)trainer->options.learning_rate);
    return CN_OK;
}

static enum cn_status end_epoch(struct cn_trainer *trainer, struct cn_error *error) {
    const struct cn_training_options *o = &trainer->options;
    const double samples = (double)trainer->training->count;
    const uint64_t updates = (uint64_t)(trainer->epoch + 1) * trainer->steps;
    struct cn_epoch_record record = {.epoch = trainer->epoch + 1,
                                     .loss = trainer->loss_sum / samples,
                                     .accuracy = (double)trainer->correct / samples,
                                     .validation_loss = (double)NAN,
                                     .validation_accuracy = (double)NAN,
                                     .learning_rate = (double)rate_of(trainer, updates - 1),
                                     .seconds = trainer->seconds,
                                     .validation_means = cn_class_means_none()};
    const enum cn_status finite = check_weights(trainer, error);
    if (finite != CN_OK)
        return finite;
    if (trainer->validation != NULL) {
        struct cn_evaluation evaluation = {0};
        exchange_average(trainer);
        const double penalty = cn_network_penalty(trainer->model->network);
        enum cn_status status =
            cn_evaluate_shared(trainer->model->network, trainer->validation, o->loss,
                               o->label_smoothing, o->threads, trainer->ranks, &evaluation, error);
        exchange_average(trainer);
        if (status == CN_OK && o->epoch_metrics)
            status = cn_class_means(&evaluation, trainer->validation->labels,
                                    &record.validation_means, error);
        record.validation_loss = evaluation.loss + penalty + evaluation.activity_penalty;
        record.validation_accuracy = evaluation.accuracy;
        cn_evaluation_clear(&evaluation);
        if (status != CN_OK)
            return status;
    }
    trainer->history[trainer->history_count++] = record;
    if (cn_callbacks_epoch(&trainer->watch, o, &record) && trainer->best != NULL)
        memcpy(trainer->best, shown_parameters(trainer),
               trainer->model->network->parameter_count * sizeof *trainer->best);
    trainer->epoch++;
    trainer->step = 0;
    trainer->loss_sum = 0;
    trainer->correct = 0;
    trainer->seconds = 0;
    return CN_OK;
}

/* Runs the rest of the epoch under way; CN_CANCELED when a callback stops it. */
static enum cn_status run_epoch(struct cn_trainer *trainer,
                                const struct cn_training_callbacks *callbacks,
                                struct cn_error *error) {
    enum cn_status status = CN_OK;
    bool go_on = true;
    trainer->stop_requested = trainer->stop_agreed = false;
    uint64_t before = cn_clock_nanoseconds();
    shuffle(trainer);
    while (go_on && status == CN_OK && trainer->step < trainer->steps) {
        status = run_step(trainer, error);
        const uint64_t now = cn_clock_nanoseconds();
        trainer->seconds += cn_seconds(now - before);
        before = now;
        if (status == CN_OK && callbacks != NULL && callbacks->on_step != NULL)
            trainer->stop_requested =
                !callbacks->on_step(callbacks->data, trainer->epoch + 1, trainer->step,
                                    trainer->steps, trainer->loss_sum / samples_seen(trainer),
                                    (double)trainer->correct / samples_seen(trainer));
        go_on = !(trainer->ranks != NULL ? trainer->stop_agreed : trainer->stop_requested);
    }
    if (status == CN_OK && trainer->step == trainer->steps)
        status = end_epoch(trainer, error);
    else if (status == CN_OK)
        return cn_fail(error, CN_CANCELED, "stopped in epoch %d after step %zu of %zu",
                       trainer->epoch + 1, trainer->step, trainer->steps);
    if (status == CN_OK && callbacks != NULL && callbacks->on_epoch != NULL)
        go_on =
            callbacks->on_epoch(callbacks->data, &trainer->history[trainer->history_count - 1]) &&
            go_on;
    if (status == CN_OK && !go_on && !cn_trainer_done(trainer))
        return cn_fail(error, CN_CANCELED, "stopped after epoch %d", trainer->epoch);
    return status;
}

enum cn_status cn_trainer_run(struct cn_trainer *trainer,
                              const struct cn_training_callbacks *callbacks,
                              struct cn_error *error) {
    enum cn_status status = CN_OK;
    while (status == CN_OK && !cn_trainer_done(trainer))
        status = run_epoch(trainer, callbacks, error);
    return status;
}
