/* trainer_options.c: training options: Keras's defaults, and the rule that each value must follow.
 */

#include "convnet/trainer.h"

const char *const cn_monitor_names[] = {"auto",         "loss",   "accuracy", "val_loss",
                                        "val_accuracy", "val_f1", "val_auc",  NULL};

struct cn_training_options cn_training_options_default(void) {
    return (struct cn_training_options){.epochs = 20,
                                        .batch_size = 32,
                                        .loss = CN_LOSS_MEAN_SQUARED_ERROR,
                                        .optimizer = CN_OPTIMIZER_SGD,
                                        .learning_rate = 0.01f,
                                        .beta_1 = 0.9f,
                                        .beta_2 = 0.999f,
                                        .epsilon = 1e-7f,
                                        .rho = 0.9f,
                                        .decay_rate = 0.1f,
                                        .decay_epochs = 10,
                                        .power = 1,
                                        .plateau_factor = 0.1f,
                                        .plateau_min_delta = 1e-4f,
                                        .schedule = CN_SCHEDULE_CONSTANT,
                                        .threads = 1};
}

enum cn_status cn_training_options_check(const struct cn_training_options *o,
                                         struct cn_error *error) {
    const struct {
        const char *name;
        double value, minimum, maximum;
    } rules[] = {
        {"epochs", o->epochs, 1, 1000000},
        {"batch-size", o->batch_size, 1, 65536},
        {"learning-rate", (double)o->learning_rate, 1e-12, 1e6},
        {"label-smoothing", (double)o->label_smoothing, 0, 0.999},
        {"momentum", (double)o->momentum, 0, 0.99999},
        {"beta-1", (double)o->beta_1, 0, 0.99999},
        {"beta-2", (double)o->beta_2, 0, 0.999999},
        {"epsilon", (double)o->epsilon, 1e-12, 1},
        {"rho", (double)o->rho, 0, 0.999999},
        {"clip-value", (double)o->clip_value, 0, 1e6},
        {"clip-norm", (double)o->clip_norm, 0, 1e6},
        {"global-clip-norm", (double)o->global_clip_norm, 0, 1e6},
        {"decay-rate", (double)o->decay_rate, 1e-6, 1},
        {"decay-epochs", (double)o->decay_epochs, 1e-3, 1e6},
        {"end-rate", (double)o->end_rate, 0, 1e6},
        {"power", (double)o->power, 1e-3, 100},
        {"warmup-epochs", (double)o->warmup_epochs, 0, 1e6},
        {"min-delta", (double)o->min_delta, 0, 1e6},
        {"early-stopping", o->early_stopping, 0, 1000000},
        {"baseline", (double)o->baseline, -1e6, 1e6},
        {"start-from-epoch", o->start_from_epoch, 0, 1000000},
        {"reduce-on-plateau", o->plateau_patience, 0, 1000000},
        {"plateau-min-delta", (double)o->plateau_min_delta, 0, 1e6},
        {"plateau-cooldown", o->plateau_cooldown, 0, 1000000},
        {"plateau-factor", (double)o->plateau_factor, 1e-6, 0.999999},
        {"min-rate", (double)o->plateau_min_rate, 0, 1e6},
        {"weight-decay", (double)o->weight_decay, 0, 1},
        {"ema", (double)o->ema, 0, 0.999999},
        {"threads", o->threads, 1, 1024},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!(rules[i].value >= rules[i].minimum && rules[i].value <= rules[i].maximum))
            return cn_fail(error, CN_INVALID, "%s is %g; it must be from %g to %g", rules[i].name,
                           rules[i].value, rules[i].minimum, rules[i].maximum);
    if ((o->clip_value > 0) + (o->clip_norm > 0) + (o->global_clip_norm > 0) > 1)
        return cn_fail(error, CN_INVALID,
                       "clip-value, clip-norm and global-clip-norm exclude each other: give one");
    if (o->warmup_epochs > 0 && o->schedule == CN_SCHEDULE_ONE_CYCLE)
        return cn_fail(
            error, CN_INVALID,
            "the schedule one-cycle warms up by itself: omit warmup-epochs (%g), or choose another "
            "schedule",
            (double)o->warmup_epochs);
    if (o->monitor >= CN_MONITOR_VALIDATION_F1 && !o->epoch_metrics)
        return cn_fail(error, CN_INVALID,
                       "%s is one of the epoch-metrics, which are off: add epoch-metrics",
                       cn_monitor_names[o->monitor]);
    return cn_augmentation_check(&o->augmentation, error);
}
