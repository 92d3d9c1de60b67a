/* callbacks.c: what Keras's EarlyStopping, ReduceLROnPlateau and ModelCheckpoint do after an epoch.
 * Pure.
 */
#include <math.h>

#include "train/trainer_private.h"

/* The monitored number, negated if necessary, so that less is better. */
static double monitored(enum cn_monitor monitor, const struct cn_epoch_record *record) {
    switch (monitor) {
    case CN_MONITOR_LOSS:
        return record->loss;
    case CN_MONITOR_ACCURACY:
        return -record->accuracy;
    case CN_MONITOR_VALIDATION_LOSS:
        return record->validation_loss;
    case CN_MONITOR_VALIDATION_ACCURACY:
        return -record->validation_accuracy;
    case CN_MONITOR_VALIDATION_F1:
        return -record->validation_means.f1;
    case CN_MONITOR_VALIDATION_AUC:
        return -record->validation_means.auc;
    case CN_MONITOR_AUTO:
        break;
    }
    return isnan(record->validation_loss) ? record->loss : record->validation_loss;
}

/* The plateau does not lower the rate below its minimum. */
static void lower_rate(struct cn_callback_state *watch, const struct cn_training_options *o,
                       double rate) {
    const double least = (double)o->plateau_min_rate, unscaled = rate / watch->plateau_scale;
    watch->plateau_scale *= (double)o->plateau_factor;
    if (unscaled * watch->plateau_scale < least)
        watch->plateau_scale = least < unscaled ? least / unscaled : 1;
}

/* A number that is NaN is never better, and any other one is better than NaN. */
static bool is_better(double now, double best, double delta) {
    return now < best - delta || (isnan(best) && !isnan(now));
}

/* ReduceLROnPlateau. */
static void watch_plateau(struct cn_callback_state *watch, const struct cn_training_options *o,
                          double now, bool first, double rate) {
    if (watch->plateau_cooldown > 0) {
        watch->plateau_cooldown--;
        watch->plateau_waited = 0;
    }
    if (first || is_better(now, watch->plateau_best, (double)o->plateau_min_delta)) {
        watch->plateau_best = now;
        watch->plateau_waited = 0;
    } else if (watch->plateau_cooldown == 0 && ++watch->plateau_waited >= o->plateau_patience) {
        lower_rate(watch, o, rate);
        watch->plateau_cooldown = o->plateau_cooldown;
        watch->plateau_waited = 0;
    }
}

/* EarlyStopping. An epoch that is better than those before never ends the training; only one that
 * beats the baseline, too, begins the waiting anew. */
static bool watch_best(struct cn_callback_state *watch, const struct cn_training_options *o,
                       double now, int epoch) {
    const double delta = (double)o->min_delta, baseline = (double)o->baseline;
    const bool rises = o->monitor != CN_MONITOR_AUTO && o->monitor != CN_MONITOR_LOSS &&
                       o->monitor != CN_MONITOR_VALIDATION_LOSS;
    if (epoch <= o->start_from_epoch)
        return false;
    const bool better = watch->best_epoch == 0 || is_better(now, watch->best, delta);
    const bool beats = !o->has_baseline || now < (rises ? -baseline : baseline) - delta;
    watch->waited++;
    if (better) {
        watch->best = now;
        watch->best_epoch = epoch;
    }
    if (better && beats)
        watch->waited = 0;
    watch->stopped = !better && o->early_stopping > 0 && watch->waited >= o->early_stopping;
    return better;
}

bool cn_callbacks_epoch(struct cn_callback_state *watch, const struct cn_training_options *o,
                        const struct cn_epoch_record *record) {
    const double now = monitored(o->monitor, record);
    if (o->plateau_patience > 0)
        watch_plateau(watch, o, now, record->epoch == 1, record->learning_rate);
    return watch_best(watch, o, now, record->epoch);
}
