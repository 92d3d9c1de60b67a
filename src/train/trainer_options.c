/* trainer_options.c: training options: Keras's defaults, and the rule that each value must follow.
 */
#include <math.h>
#include <stdio.h>

#include "convnet/trainer.h"

const char *const cn_optimizer_names[] = {"sgd", "adam", "adamw", NULL};
const char *const cn_schedule_names[] = {"constant", "cosine", "one-cycle", NULL};

struct cn_training_options cn_training_options_default(void) {
    return (struct cn_training_options){.epochs = 20,
                                        .batch_size = 32,
                                        .loss = CN_LOSS_MEAN_SQUARED_ERROR,
                                        .optimizer = CN_OPTIMIZER_SGD,
                                        .learning_rate = 0.01f,
                                        .beta_1 = 0.9f,
                                        .beta_2 = 0.999f,
                                        .epsilon = 1e-7f,
                                        .weight_decay = 0.004f,
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
        {"batch_size", o->batch_size, 1, 65536},
        {"learning_rate", (double)o->learning_rate, 1e-12, 1e6},
        {"label_smoothing", (double)o->label_smoothing, 0, 0.999},
        {"momentum", (double)o->momentum, 0, 0.99999},
        {"beta_1", (double)o->beta_1, 0, 0.99999},
        {"beta_2", (double)o->beta_2, 0, 0.999999},
        {"epsilon", (double)o->epsilon, 1e-12, 1},
        {"weight_decay", (double)o->weight_decay, 0, 1},
        {"ema", (double)o->ema, 0, 0.999999},
        {"threads", o->threads, 1, 1024},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!(rules[i].value >= rules[i].minimum && rules[i].value <= rules[i].maximum))
            return cn_fail(error, CN_INVALID, "%s is %g; it must be from %g to %g", rules[i].name,
                           rules[i].value, rules[i].minimum, rules[i].maximum);
    return cn_augmentation_check(&o->augmentation, error);
}
