/* bands.h: consecutive steps of a plan that are computed together, one band of rows after another.
 *
 * Where a step writes more than the second-level cache holds, the next step would read it from
 * beyond the cache. In bands the values between the steps are a few rows that stay in the cache,
 * and they need no room for the rest. Each row is computed as it is without bands, to the bit. */
#ifndef CONVNET_NETWORK_BANDS_H
#define CONVNET_NETWORK_BANDS_H

#include "convnet/plan.h"
#include "layers/layer_type.h"

enum { CN_BANDS_MOST = 8 }; /* steps */

struct cn_bands {
    size_t count; /* of steps; 0: the step is not the first of such steps */
    int rows;     /* of the last step's output that are computed at a time, a part's last ones
                   * excepted */
    size_t links[CN_BANDS_MOST]; /* floats of room for the rows between step i and step i + 1 */
};

/* True if `next`, which alone reads the output of `step`, is better computed in bands with it. */
bool cn_bands_join(const struct cn_step *step, const struct cn_step *next);

/* The bands of steps[count], each of which cn_bands_join its predecessor; count is 2 or more. */
struct cn_bands cn_bands_of(const struct cn_step *steps, size_t count);

/* Floats of scratch, of which the steps' own is `steps_scratch`. */
size_t cn_bands_scratch_size(const struct cn_bands *bands, size_t steps_scratch);

/* Computes one of the `parts` of the output y[count, output of the last step] from x[count, input
 * of the first one]. Parts do not wait for each other. Calls `observer`, which may be NULL, after
 * each step of a band, with the number of the first step increased by that in steps. */
struct cn_bands_run {
    const struct cn_bands *bands;
    const struct cn_step *steps;
    const float *x;
    float *y, *scratch;
    size_t part, parts;
    cn_plan_observer *observer;
    void *context;
    size_t first_step;
};
void cn_bands_infer(const struct cn_bands_run *run, size_t count);

#endif
