/* schedule.c: the learning rate of each update. Pure. */
#include <math.h>

#include "convnet/trainer.h"

static double cosine(double from, double to, double part) {
    return to + (from - to) * 0.5 * (1 + cos(3.141592653589793 * part));
}

float cn_schedule_rate(enum cn_schedule schedule, float learning_rate, uint64_t step,
                       uint64_t total_steps) {
    const double rate = (double)learning_rate;
    const double part = total_steps > 1 ? (double)step / (double)(total_steps - 1) : 0;
    const double warm = 0.3; /* of the steps go up */
    switch (schedule) {
    case CN_SCHEDULE_CONSTANT:
        break;
    case CN_SCHEDULE_COSINE:
        return (float)cosine(rate, 0, part);
    case CN_SCHEDULE_ONE_CYCLE:
        return (float)(part < warm ? cosine(rate / 25, rate, part / warm)
                                   : cosine(rate, rate / 1e4, (part - warm) / (1 - warm)));
    }
    return learning_rate;
}
