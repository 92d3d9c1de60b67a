/* checkpoint.c: the state of a training as a .safetensors file. Everything that must be equal for
 * the resumed training to have the same bits is written as one text, which is compared line by line
 * on reading. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"
#include "train/trainer_private.h"
#include "json/load.h"

enum { CONDITION = 96 }; /* bytes of a condition in a message, which shows two */

/* A number that differs for different class weights. */
static double weights_sum(const struct cn_trainer *trainer) {
    double sum = 0;
    const float *weights = trainer->options.class_weights;
    for (size_t c = 0; weights != NULL && c < trainer->training->class_count; c++)
        sum += (double)weights[c] * sqrt((double)c + 1);
    return sum;
}

/* The options of Keras's callbacks that not every training has; "" if none is set. */
static const char *callback_conditions(const struct cn_training_options *o, char *text,
                                       size_t size) {
    text[0] = '\0';
    if (o->plateau_patience > 0 || o->has_baseline || o->start_from_epoch > 0)
        (void)snprintf(text, size, "callbacks=%d %a %d %a %d\n", o->has_baseline,
                       (double)o->baseline, o->start_from_epoch, (double)o->plateau_min_delta,
                       o->plateau_cooldown);
    return text;
}

void cn_trainer_conditions(const struct cn_trainer *trainer, char text[static CN_CONDITIONS]) {
    const struct cn_training_options *o = &trainer->options;
    /* Only these depend on the number of epochs. */
    const int epochs = o->schedule == CN_SCHEDULE_COSINE || o->schedule == CN_SCHEDULE_ONE_CYCLE ||
                               o->schedule == CN_SCHEDULE_POLYNOMIAL
                           ? o->epochs
                           : 0;
    char augmentation[CN_AUGMENTATION_TEXT], callbacks[128];
    (void)snprintf(
        text, CN_CONDITIONS,
        "shards=%d\ndata=%s\nbatch_size=%d\nloss=%s\nlabel_smoothing=%a\noptimizer=%s\nlearning_"
        "rate=%a\n"
        "momentum=%a\nnesterov=%d\nbeta_1=%a\nbeta_2=%a\nepsilon=%a\nweight_decay=%a\nema=%"
        "a\nschedule=%s\n"
        "decay=%a %a %a %a %a\nrho=%a\nclip=%a %a %a\nmonitor=%s %a\nearly_stopping=%d\n"
        "plateau=%d %a %a\nkeep_best=%d\nclass_weights=%a\n"
        "epochs=%d\nseed=%llu\naugmentation=%s\nvalidation=%s\n"
        "teacher=%s %a\n%s",
        CN_GRADIENT_SHARDS, trainer->training->sha256, o->batch_size, cn_loss_names[o->loss],
        (double)o->label_smoothing, cn_optimizer_names[o->optimizer], (double)o->learning_rate,
        (double)o->momentum, o->nesterov, (double)o->beta_1, (double)o->beta_2, (double)o->epsilon,
        (double)o->weight_decay, (double)o->ema, cn_schedule_names[o->schedule],
        (double)o->decay_rate, (double)o->decay_epochs, (double)o->end_rate, (double)o->power,
        (double)o->warmup_epochs, (double)o->rho, (double)o->clip_value, (double)o->clip_norm,
        (double)o->global_clip_norm, cn_monitor_names[o->monitor], (double)o->min_delta,
        o->early_stopping, o->plateau_patience, (double)o->plateau_factor,
        (double)o->plateau_min_rate, o->keep_best, weights_sum(trainer), epochs,
        (unsigned long long)o->seed, cn_augmentation_format(&o->augmentation, augmentation),
        trainer->validation != NULL ? trainer->validation->sha256 : "none",
        trainer->teacher != NULL ? trainer->teacher_sha256 : "none", (double)trainer->teacher_share,
        callback_conditions(o, callbacks, sizeof callbacks));
}

/* %a keeps every bit. */
static char *format_history(const struct cn_trainer *trainer) {
    const size_t size = trainer->history_count * 512 + 1;
    char *text = malloc(size);
    size_t used = 0;
    if (text == NULL)
        return NULL;
    text[0] = '\0';
    for (size_t i = 0; i < trainer->history_count; i++) {
        const struct cn_epoch_record *r = &trainer->history[i];
        const struct cn_class_means *m = &r->validation_means;
        used += (size_t)snprintf(text + used, size - used, "%d %a %a %a %a %a %a", r->epoch,
                                 r->loss, r->accuracy, r->validation_loss, r->validation_accuracy,
                                 r->learning_rate, r->seconds);
        if (trainer->options.epoch_metrics)
            used += (size_t)snprintf(text + used, size - used, " / %a %a %a %a %a %a", m->precision,
                                     m->recall, m->f1, m->weighted_f1, m->auc, m->top_5);
        used += (size_t)snprintf(text + used, size - used, "\n");
    }
    return text;
}

static struct cn_safetensor tensor_of(const char *name, size_t size, const float *data) {
    struct cn_safetensor tensor = {.rank = 1, .dims = {size, 1, 1, 1}, .size = size, .data = data};
    (void)snprintf(tensor.name, sizeof tensor.name, "%s", name);
    return tensor;
}

static void write_watch(const struct cn_callback_state *w, char *text, size_t size) {
    (void)snprintf(text, size, "%a %d %d %a %d %a %d %d", w->best, w->best_epoch, w->waited,
                   w->plateau_best, w->plateau_waited, w->plateau_scale, w->stopped,
                   w->plateau_cooldown);
}

static bool parse_watch(const char *text, struct cn_callback_state *w) {
    int stopped = 0, end = 0, more = 0;
    w->plateau_cooldown = 0; /* older ones do not have it */
    if (sscanf(text, "%la %d %d %la %d %la %d%n %d%n", &w->best, &w->best_epoch, &w->waited,
               &w->plateau_best, &w->plateau_waited, &w->plateau_scale, &stopped, &end,
               &w->plateau_cooldown, &more) < 7)
        return false;
    if (text[more > 0 ? more : end] != '\0' || w->plateau_cooldown < 0 || w->best_epoch < 0 ||
        w->waited < 0 || w->plateau_waited < 0 || !(w->plateau_scale > 0 && w->plateau_scale <= 1))
        return false;
    w->stopped = stopped != 0;
    return true;
}

enum cn_status cn_trainer_write_checkpoint(const struct cn_trainer *trainer, const char *path,
                                           struct cn_error *error) {
    const struct cn_network *network = trainer->model->network;
    char conditions[CN_CONDITIONS], progress[256], watch[256], format[] = "convnet-checkpoint/3";
    char *history = format_history(trainer), *architecture = NULL;
    struct cn_safetensor tensors[4];
    size_t tensor_count = 0;
    const size_t count = network->parameter_count;
    tensors[tensor_count++] = tensor_of("parameters", count, network->parameters);
    tensors[tensor_count++] = tensor_of("optimizer/state", 2 * count, trainer->state);
    if (trainer->average != NULL)
        tensors[tensor_count++] = tensor_of("average", count, trainer->average);
    if (trainer->best != NULL)
        tensors[tensor_count++] = tensor_of("best", count, trainer->best);
    enum cn_status status = history != NULL ? cn_architecture_format(network, &architecture, error)
                                            : cn_fail(error, CN_MEMORY, "no memory for a history");
    if (status == CN_OK) {
        cn_trainer_conditions(trainer, conditions);
        (void)snprintf(progress, sizeof progress, "%d %zu %a %llu %a", trainer->epoch,
                       trainer->step, trainer->loss_sum, (unsigned long long)trainer->correct,
                       trainer->seconds);
        write_watch(&trainer->watch, watch, sizeof watch);
        char names[7][16] = {
            "format", "conditions",           "progress", "history", "architecture",
            "watch",  CN_SAFETENSORS_CHECKSUM};
        const struct cn_metadata metadata[] = {{names[0], format},       {names[1], conditions},
                                               {names[2], progress},     {names[3], history},
                                               {names[4], architecture}, {names[5], watch},
                                               {names[6], format}};
        status = cn_safetensors_write(path, tensors, tensor_count, metadata,
                                      sizeof metadata / sizeof *metadata, error);
    }
    free(history);
    free(architecture);
    return status;
}

/* Writes "name value" for a line "name=value" as a person would: decimal floats, short checksums.
 */
static const char *say_condition(const char *line, size_t length, char text[static CONDITION]) {
    enum { CHECKSUM = 64, SHORT = 12 };
    size_t used = 0;
    text[0] = '\0';
    for (size_t at = 0, token; at < length; at += token + 1) {
        const char *from = line + at, *gap = at > 0 ? " " : "";
        token = strcspn(from, at > 0 ? " \n" : "=\n");
        if (strncmp(from, "0x", 2) == 0 || strncmp(from, "-0x", 3) == 0)
            (void)snprintf(text + used, CONDITION - used, "%s%g", gap,
                           (double)(float)strtod(from, NULL));
        else
            (void)snprintf(text + used, CONDITION - used, "%s%.*s", gap,
                           token == CHECKSUM ? SHORT : (int)token, from);
        used += strlen(text + used);
    }
    return text;
}

/* The options that determine the condition `line`: those listed here, or the one that it names. */
static const char *condition_options(const char *line, int *ret_length) {
    const char *others = strncmp(line, "data=", 5) == 0          ? "data and validation-split"
                         : strncmp(line, "validation=", 11) == 0 ? "validation data"
                         : strncmp(line, "keep_best=", 10) == 0  ? "keep and validation data"
                                                                 : NULL;
    *ret_length = (int)(others != NULL ? strlen(others) : strcspn(line, "="));
    return others != NULL ? others : line;
}

/* Reports the first line in which the two texts differ. */
static enum cn_status compare_conditions(const char *saved, const char *now, const char *path,
                                         struct cn_error *error) {
    while (*saved != '\0' && *now != '\0') {
        const int saved_length = (int)strcspn(saved, "\n"), now_length = (int)strcspn(now, "\n");
        if (saved_length != now_length || strncmp(saved, now, (size_t)now_length) != 0) {
            char before[CONDITION], after[CONDITION];
            int length;
            const char *options = condition_options(now, &length);
            return cn_fail_at(
                error, CN_INVALID, path, -1,
                "the checkpoint was made with %s; this training has %s: give the same "
                "%.*s, or train anew without the checkpoint",
                say_condition(saved, (size_t)saved_length, before),
                say_condition(now, (size_t)now_length, after), length, options);
        }
        saved += saved_length + (saved[saved_length] == '\n');
        now += now_length + (now[now_length] == '\n');
    }
    if (*saved != *now)
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint is damaged: its conditions end too early");
    return CN_OK;
}

static enum cn_status check_same_architecture(const struct cn_trainer *trainer, const char *saved,
                                              const char *path, struct cn_error *error) {
    char *architecture = NULL;
    enum cn_status status = cn_architecture_format(trainer->model->network, &architecture, error);
    if (status == CN_OK && strcmp(architecture, saved) != 0)
        status = cn_fail_at(error, CN_INVALID, path, -1,
                            "the checkpoint was made with another architecture: give the same "
                            "one, or train anew without the checkpoint");
    free(architecture);
    return status;
}

/* Reads the history's lines; false if one is malformed or there are not `count`. */
static bool parse_history(const char *text, struct cn_epoch_record *records, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct cn_epoch_record *r = &records[i];
        struct cn_class_means *m = &r->validation_means;
        int length = 0, more = 0;
        if (sscanf(text, "%d %la %la %la %la %la %la%n", &r->epoch, &r->loss, &r->accuracy,
                   &r->validation_loss, &r->validation_accuracy, &r->learning_rate, &r->seconds,
                   &length) != 7 ||
            r->epoch != (int)i + 1 || length == 0)
            return false;
        text += length;
        *m = cn_class_means_none();
        if (*text == ' ' && (sscanf(text, " / %la %la %la %la %la %la%n", &m->precision, &m->recall,
                                    &m->f1, &m->weighted_f1, &m->auc, &m->top_5, &more) != 6 ||
                             more == 0))
            return false;
        text += more;
        if (*text++ != '\n')
            return false;
    }
    return *text == '\0';
}

static const char *text_of(const struct cn_safetensors *file, const char *key) {
    const char *text = cn_safetensors_metadata(file, key);
    return text != NULL ? text : "";
}

static const struct cn_safetensor *floats_of(const struct cn_safetensors *file, const char *name) {
    const struct cn_safetensor *tensor = cn_safetensors_tensor(file, name);
    return tensor != NULL && tensor->data != NULL ? tensor : NULL;
}

static enum cn_status restore(struct cn_trainer *trainer, const struct cn_safetensors *file,
                              const char *path, struct cn_error *error) {
    const size_t count = trainer->model->network->parameter_count;
    const struct cn_safetensor *parameters = floats_of(file, "parameters");
    const struct cn_safetensor *state = floats_of(file, "optimizer/state");
    const struct cn_safetensor *average = floats_of(file, "average");
    const struct cn_safetensor *best = floats_of(file, "best");
    struct cn_callback_state watch;
    int epoch = -1, end = 0;
    size_t step = 0;
    double loss_sum = 0, seconds = 0;
    unsigned long long correct = 0;
    const char *progress = text_of(file, "progress");
    if (parameters == NULL || state == NULL || parameters->size != count ||
        state->size != 2 * count)
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint lacks the %zu parameters or their optimizer state",
                          count);
    if (trainer->average != NULL && (average == NULL || average->size != count))
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint lacks the average of the %zu parameters", count);
    if (trainer->best != NULL && (best == NULL || best->size != count))
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint lacks the best epoch's %zu parameters", count);
    if (!parse_watch(text_of(file, "watch"), &watch))
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint is damaged: its best epoch is '%.80s'",
                          text_of(file, "watch"));
    if (sscanf(progress, "%d %zu %la %llu %la%n", &epoch, &step, &loss_sum, &correct, &seconds,
               &end) != 5 ||
        progress[end] != '\0' || epoch < 0 || step >= trainer->steps)
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint is damaged, or of other data: its progress is '%.80s', "
                          "of %zu steps per epoch",
                          progress, trainer->steps);
    if (watch.best_epoch > epoch || (watch.stopped && epoch == 0))
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "the checkpoint is damaged: its best epoch is %d, and %d are finished",
                          watch.best_epoch, epoch);
    if (epoch > trainer->options.epochs)
        return cn_fail_at(error, CN_INVALID, path, -1,
                          "the checkpoint has finished epoch %d; this training has %d epochs",
                          epoch, trainer->options.epochs);
    struct cn_epoch_record *history = calloc((size_t)trainer->options.epochs, sizeof *history);
    if (history == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a history");
    if (!parse_history(text_of(file, "history"), history, (size_t)epoch)) {
        free(history);
        return cn_fail_at(
            error, CN_MALFORMED, path, -1,
            "the checkpoint is damaged: its history is not one line for each of %d epochs", epoch);
    }
    free(trainer->history);
    trainer->history = history;
    trainer->history_count = (size_t)epoch;
    trainer->epoch = epoch;
    trainer->step = step;
    trainer->loss_sum = loss_sum;
    trainer->correct = correct;
    trainer->seconds = seconds;
    memcpy(trainer->model->network->parameters, parameters->data, count * sizeof(float));
    memcpy(trainer->state, state->data, 2 * count * sizeof(float));
    trainer->watch = watch;
    if (trainer->best != NULL)
        memcpy(trainer->best, best->data, count * sizeof(float));
    if (trainer->average != NULL)
        memcpy(trainer->average, average->data, count * sizeof(float));
    return CN_OK;
}

enum cn_status cn_trainer_read_checkpoint(struct cn_trainer *trainer, const char *path,
                                          struct cn_error *error) {
    struct cn_safetensors *file = NULL;
    char conditions[CN_CONDITIONS];
    bool sealed = false; /* older ones are not */
    enum cn_status status = cn_safetensors_read(path, &file, NULL, error);
    if (status != CN_OK)
        return status;
    status = cn_safetensors_check_seal(file, &sealed, error);
    if (status != CN_OK)
        cn_error_set_source(error, path);
    else if (strcmp(text_of(file, "format"), "convnet-checkpoint/2") == 0)
        status = cn_fail_at(error, CN_UNSUPPORTED, path, -1,
                            "the checkpoint was made when gradients were summed in 8 parts; now "
                            "they are in %d, so that going on would give other bits: train anew, "
                            "or finish with the version that wrote it",
                            CN_GRADIENT_SHARDS);
    else if (strcmp(text_of(file, "format"), "convnet-checkpoint/3") != 0)
        status = cn_fail_at(error, CN_MALFORMED, path, -1,
                            "is not a checkpoint, which a training writes with --checkpoint; to go "
                            "on from a model, use --weights");
    cn_trainer_conditions(trainer, conditions);
    if (status == CN_OK)
        status = check_same_architecture(trainer, text_of(file, "architecture"), path, error);
    if (status == CN_OK)
        status = compare_conditions(text_of(file, "conditions"), conditions, path, error);
    if (status == CN_OK)
        status = restore(trainer, file, path, error);
    cn_safetensors_free(file);
    return status;
}
