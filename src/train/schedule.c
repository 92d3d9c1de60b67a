/* schedule.c: the learning rate of each update. Pure. */
#include <math.h>

#include "convnet/trainer.h"

const char *const cn_schedule_names[] = {"constant",    "cosine",     "one-cycle", "step",
                                         "exponential", "polynomial", NULL};

static double cosine(double from, double to, double part) {
    return to + (from - to) * 0.5 * (1 + cos(3.141592653589793 * part));
}

float cn_schedule_rate(const struct cn_training_options *o, uint64_t step, uint64_t total_steps,
                       uint64_t epoch_steps) {
    const double rate = (double)o->learning_rate;
    const double warm = 0.3; /* the share of one-cycle's steps in which the rate rises */
    const uint64_t climb = (uint64_t)llround((double)o->warmup_epochs * (double)epoch_steps);
    if (step < climb)
        return (float)(rate * (double)(step + 1) / (double)(climb + 1));
    step -= climb;
    total_steps -= climb < total_steps ? climb : total_steps;
    const double part = total_steps > 1 ? (double)step / (double)(total_steps - 1) : 0;
    const double decays =
        (double)step / ((double)o->decay_epochs * (double)(epoch_steps > 0 ? epoch_steps : 1));
    switch (o->schedule) {
    case CN_SCHEDULE_CONSTANT:
        break;
    case CN_SCHEDULE_COSINE:
        return (float)cosine(rate, 0, part);
    case CN_SCHEDULE_ONE_CYCLE:
        return (float)(part < warm ? cosine(rate / 25, rate, part / warm)
                                   : cosine(rate, rate / 1e4, (part - warm) / (1 - warm)));
    case CN_SCHEDULE_STEP:
        /* At a boundary the rate is the one after it, whatever the division's rounding. */
        return (float)(rate * pow((double)o->decay_rate, floor(decays + 1e-9)));
    case CN_SCHEDULE_EXPONENTIAL:
        return (float)(rate * pow((double)o->decay_rate, decays));
    case CN_SCHEDULE_POLYNOMIAL:
        return (float)((rate - (double)o->end_rate) * pow(1 - part, (double)o->power) +
                       (double)o->end_rate);
    }
    return o->learning_rate;
}
