/* optimizer.c: THE table of optimizers, and one update of all parameters, as Keras documents them.
 * Serial; parameters are independent of one another. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convnet/trainer.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "train/trainer_private.h"

/* The state of one update. */
struct update {
    const struct cn_training_options *o;
    float rate;
    double t; /* the step, from 1 */
    const float *gradients;
    float *first, *second, *parameters; /* first, second: the state's halves */
    size_t count;
};

static void sgd_step(const struct update *u) {
    cn_kernels()->elementwise->sgd(u->parameters, u->first, u->gradients, u->o->momentum,
                                   u->o->nesterov, u->rate, u->count);
}

/* Kingma and Ba 2015. Keras folds the bias corrections into the rate. */
static void adam_step(const struct update *u) {
    const double b1 = (double)u->o->beta_1, b2 = (double)u->o->beta_2;
    const float corrected =
        (float)((double)u->rate * sqrt(1 - pow(b2, u->t)) / (1 - pow(b1, u->t)));
    cn_kernels()->elementwise->adam(u->parameters, u->first, u->second, u->gradients, u->o->beta_1,
                                    u->o->beta_2, u->o->epsilon, corrected, u->count);
}

/* Tieleman and Hinton 2012; first: the mean square, second: the velocity. */
static void rmsprop_step(const struct update *u) {
    const float rho = u->o->rho, momentum = u->o->momentum, epsilon = u->o->epsilon;
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i];
        u->first[i] = rho * u->first[i] + (1 - rho) * g * g;
        u->second[i] = momentum * u->second[i] + u->rate * g / sqrtf(u->first[i] + epsilon);
        u->parameters[i] -= u->second[i];
    }
}

/* Duchi, Hazan and Singer 2011; Keras's accumulator begins at 0.1, the state at 0. */
static void adagrad_step(const struct update *u) {
    const float begin = 0.1f + u->o->epsilon;
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i];
        u->first[i] += g * g;
        u->parameters[i] -= u->rate * g / sqrtf(u->first[i] + begin);
    }
}

/* Zeiler 2012; first: the gradients' mean square, second: the updates'. */
static void adadelta_step(const struct update *u) {
    const float rho = u->o->rho, epsilon = u->o->epsilon;
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i];
        u->first[i] = rho * u->first[i] + (1 - rho) * g * g;
        const float change = g * sqrtf((u->second[i] + epsilon) / (u->first[i] + epsilon));
        u->second[i] = rho * u->second[i] + (1 - rho) * change * change;
        u->parameters[i] -= u->rate * change;
    }
}

/* Kingma and Ba 2015, section 7.1; second: the infinity norm. */
static void adamax_step(const struct update *u) {
    const float b1 = u->o->beta_1, b2 = u->o->beta_2;
    const float rate = (float)((double)u->rate / (1 - pow((double)b1, u->t)));
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i];
        u->first[i] += (g - u->first[i]) * (1 - b1);
        u->second[i] = fmaxf(b2 * u->second[i], fabsf(g));
        u->parameters[i] -= rate * u->first[i] / (u->second[i] + u->o->epsilon);
    }
}

/* Nadam's momentum of step t, which climbs from beta_1 / 2 to beta_1 (Dozat 2016). */
static double nadam_momentum(double beta_1, double t) {
    return beta_1 * (1 - 0.5 * pow(0.96, t));
}

/* The product of the momenta of steps 1 to t; from step 1000 on each is beta_1 to the last bit. */
static double nadam_product(double beta_1, double t) {
    const double steps = fmin(t, 1000);
    double product = pow(beta_1, t - steps);
    for (double i = 1; i <= steps; i++)
        product *= nadam_momentum(beta_1, i);
    return product;
}

static void nadam_step(const struct update *u) {
    const double b1 = (double)u->o->beta_1, t = u->t, now = nadam_product(b1, t);
    const double next = nadam_momentum(b1, t + 1);
    const float from_mean = (float)(next / (1 - now * next));
    const float from_gradient = (float)((1 - nadam_momentum(b1, t)) / (1 - now));
    const float correction = (float)(1 / (1 - pow((double)u->o->beta_2, t)));
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i];
        u->first[i] += (g - u->first[i]) * (1 - u->o->beta_1);
        u->second[i] += (g * g - u->second[i]) * (1 - u->o->beta_2);
        u->parameters[i] -= u->rate * (from_mean * u->first[i] + from_gradient * g) /
                            (sqrtf(u->second[i] * correction) + u->o->epsilon);
    }
}

/* Chen et al. 2023. */
static void lion_step(const struct update *u) {
    const float b1 = u->o->beta_1, b2 = u->o->beta_2;
    for (size_t i = 0; i < u->count; i++) {
        const float g = u->gradients[i], way = b1 * u->first[i] + (1 - b1) * g;
        u->parameters[i] -= u->rate * (float)((way > 0) - (way < 0));
        u->first[i] = b2 * u->first[i] + (1 - b2) * g;
    }
}

/* Keras's defaults; NAN: the optimizer has no such option. */
struct optimizer_type {
    void (*step)(const struct update *u);
    float learning_rate, momentum, beta_1, beta_2, rho, epsilon, weight_decay;
};

static const struct optimizer_type types[] = {
    [CN_OPTIMIZER_SGD] = {sgd_step, 0.01f, 0, NAN, NAN, NAN, NAN, 0},
    [CN_OPTIMIZER_ADAM] = {adam_step, 0.001f, NAN, 0.9f, 0.999f, NAN, 1e-7f, 0},
    [CN_OPTIMIZER_ADAMW] = {adam_step, 0.001f, NAN, 0.9f, 0.999f, NAN, 1e-7f, 0.004f},
    [CN_OPTIMIZER_RMSPROP] = {rmsprop_step, 0.001f, 0, NAN, NAN, 0.9f, 1e-7f, 0},
    [CN_OPTIMIZER_ADAGRAD] = {adagrad_step, 0.001f, NAN, NAN, NAN, NAN, 1e-7f, 0},
    [CN_OPTIMIZER_ADADELTA] = {adadelta_step, 0.001f, NAN, NAN, NAN, 0.95f, 1e-7f, 0},
    [CN_OPTIMIZER_ADAMAX] = {adamax_step, 0.001f, NAN, 0.9f, 0.999f, NAN, 1e-7f, 0},
    [CN_OPTIMIZER_NADAM] = {nadam_step, 0.001f, NAN, 0.9f, 0.999f, NAN, 1e-7f, 0},
    [CN_OPTIMIZER_LION] = {lion_step, 0.001f, NAN, 0.9f, 0.99f, NAN, NAN, 0},
};
const char *const cn_optimizer_names[] = {"sgd",      "adam",   "adamw", "rmsprop", "adagrad",
                                          "adadelta", "adamax", "nadam", "lion",    NULL};

enum cn_status cn_training_options_complete(struct cn_training_options *o, struct cn_error *error) {
    const struct optimizer_type *type = &types[o->optimizer];
    const struct {
        const char *name;
        float *value, usual;
    } fields[] = {
        {"learning-rate", &o->learning_rate, type->learning_rate},
        {"momentum", &o->momentum, type->momentum},
        {"beta-1", &o->beta_1, type->beta_1},
        {"beta-2", &o->beta_2, type->beta_2},
        {"rho", &o->rho, type->rho},
        {"epsilon", &o->epsilon, type->epsilon},
        {"weight-decay", &o->weight_decay, type->weight_decay},
    };
    enum { FIELDS = sizeof fields / sizeof *fields };
    for (size_t i = 0; i < FIELDS; i++) {
        if (!isnan(*fields[i].value) && isnan(fields[i].usual)) {
            char list[128] = "";
            for (size_t k = 0; k < FIELDS; k++)
                if (!isnan(fields[k].usual)) {
                    const size_t used = strlen(list);
                    (void)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "",
                                   fields[k].name);
                }
            return cn_fail(error, CN_INVALID, "%s has no %s; it has %s",
                           cn_optimizer_names[o->optimizer], fields[i].name, list);
        }
    }
    if (o->nesterov && o->optimizer != CN_OPTIMIZER_SGD)
        return cn_fail(error, CN_INVALID, "%s has no nesterov; only sgd has it",
                       cn_optimizer_names[o->optimizer]);
    for (size_t i = 0; i < FIELDS; i++)
        if (isnan(*fields[i].value))
            *fields[i].value = isnan(fields[i].usual) ? 0 : fields[i].usual;
    if (isnan(type->epsilon))
        o->epsilon = 1e-7f; /* not used; a valid value */
    return CN_OK;
}

void cn_optimizer_step(const struct cn_training_options *options, float rate, uint64_t step,
                       const uint8_t *decay, const float *gradients, float *state,
                       float *parameters, size_t count) {
    const struct update update = {options, rate,          (double)step, gradients,
                                  state,   state + count, parameters,   count};
    if (options->weight_decay > 0) /* Loshchilov and Hutter 2019 */
        for (size_t i = 0; i < count; i++)
            parameters[i] -= decay[i] ? parameters[i] * options->weight_decay * rate : 0;
    types[options->optimizer].step(&update);
}

/* ---- Clipping ---- */

static double squares_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

/* Scales so that the norm is at most `limit`. */
static void limit_norm(float *values, size_t count, double norm, double limit) {
    if (!(norm > limit))
        return;
    const float scale = (float)(limit / norm);
    for (size_t i = 0; i < count; i++)
        values[i] *= scale;
}

void cn_clip_gradients(const struct cn_training_options *o, const struct cn_network *network,
                       float *gradients) {
    const size_t count = network->parameter_count;
    if (o->clip_value > 0)
        for (size_t i = 0; i < count; i++)
            gradients[i] = fminf(fmaxf(gradients[i], -o->clip_value), o->clip_value);
    if (o->global_clip_norm > 0)
        limit_norm(gradients, count, sqrt(squares_of(gradients, count)),
                   (double)o->global_clip_norm);
    for (size_t t = 0; o->clip_norm > 0 && t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        float *part = gradients + tensor->offset;
        limit_norm(part, tensor->size, sqrt(squares_of(part, tensor->size)), (double)o->clip_norm);
    }
}

/* ---- Schedule ---- */

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
