/* label_set.c: which labels remain possible for an answer, by the thresholds of a calibration.
 * src/train/label_levels.c computes the thresholds. Pure. */
#include <math.h>

#include "convnet/model.h"
#include "model/model_file.h"

enum cn_status cn_model_error_level(const struct cn_model *model, double error_share,
                                    const struct cn_error_level **ret_level,
                                    struct cn_error *error) {
    const struct cn_error_levels *levels = &model->error_levels;
    if (!(error_share > 0 && error_share < 1))
        return cn_fail(error, CN_INVALID, "error is %g; it must be above 0 and below 1",
                       error_share);
    if (levels->count == 0)
        return cn_fail(error, CN_INVALID,
                       "the model has no thresholds for error=%g; convnet calibrate makes them",
                       error_share);
    if (error_share < levels->levels[0].error)
        return cn_fail(error, CN_INVALID,
                       "error is %g; the model was calibrated with %zu pictures, which can promise "
                       "%g at least",
                       error_share, levels->samples, levels->levels[0].error);
    *ret_level = &levels->levels[0];
    for (size_t i = 1; i < levels->count && levels->levels[i].error <= error_share; i++)
        *ret_level = &levels->levels[i];
    return CN_OK;
}

struct cn_label_set cn_model_label_set(const struct cn_model *model,
                                       const struct cn_error_level *level, const float *outputs) {
    float first = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < model->output_size; i++) {
        if (outputs[i] > first) {
            second = first;
            first = outputs[i];
        } else {
            second = fmaxf(second, outputs[i]);
        }
    }
    if (first < level->reject)
        return (struct cn_label_set){.least = INFINITY};
    struct cn_label_set set = {.least = fminf(level->label, first)};
    if (first < model->error_levels.doubt)
        set.least = fminf(set.least, second);
    for (size_t i = 0; i < model->output_size; i++)
        set.count += outputs[i] >= set.least;
    return set;
}

enum cn_status cn_error_levels_check(const struct cn_error_levels *levels, struct cn_error *error) {
    bool good = levels->count <= CN_ERROR_LEVELS && levels->doubt >= 0 && levels->doubt <= 1;
    for (size_t i = 0; good && i < levels->count; i++) {
        const struct cn_error_level *level = &levels->levels[i];
        good = level->error > (i > 0 ? levels->levels[i - 1].error : 0) && level->error < 1 &&
               level->reject >= 0 && level->reject <= 1 && level->label >= 0 && level->label <= 1;
    }
    return good ? CN_OK
                : cn_fail(error, CN_MALFORMED,
                          "the calibration's thresholds must be 0 to 1, its errors rise between 0 "
                          "and 1, at most %d of them",
                          CN_ERROR_LEVELS);
}
