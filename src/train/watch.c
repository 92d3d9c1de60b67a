/* watch.c: what Keras's EarlyStopping, ReduceLROnPlateau and ModelCheckpoint do after an epoch.
 * Pure.
 */
#include <math.h>

#include "train/trainer_private.h"

/* The monitored number, turned so that less is better. */
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
    case CN_MONITOR_AUTO:
        break;
    }
    return isnan(record->validation_loss) ? record->loss : record->validation_loss;
}

/* The rate that the plateau leaves may not fall below the least. */
static void lower_rate(struct cn_watch *watch, const struct cn_training_options *o, double rate) {
    const double least = (double)o->plateau_min_rate, unscaled = rate / watch->plateau_scale;
    watch->plateau_scale *= (double)o->plateau_factor;
    if (unscaled * watch->plateau_scale < least)
        watch->plateau_scale = least < unscaled ? least / unscaled : 1;
}

bool cn_watch_epoch(struct cn_watch *watch, const struct cn_training_options *o,
                    const struct cn_epoch_record *record) {
    const double now = monitored(o->monitor, record), delta = (double)o->min_delta;
    const bool first = watch->best_epoch == 0, better = first || now < watch->best - delta;
    if (better) {
        watch->best = now;
        watch->best_epoch = record->epoch;
        watch->waited = 0;
    } else {
        watch->waited++;
    }
    if (first || now < watch->plateau_best - delta) {
        watch->plateau_best = now;
        watch->plateau_waited = 0;
    } else if (o->plateau_patience > 0 && ++watch->plateau_waited >= o->plateau_patience) {
        lower_rate(watch, o, record->learning_rate);
        watch->plateau_waited = 0;
    }
    watch->stopped = o->early_stopping > 0 && watch->waited >= o->early_stopping;
    return better;
}
