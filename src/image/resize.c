/* resize.c: area averaging and linear interpolation by one loop: along each axis a target pixel is
 * a weighted mean of a run of source pixels, in which only the first and the last weight differ
 * from one. Shrinking reads each source pixel once. Thread-safe, allocates nothing. */
#include <math.h>

#include "image/resize.h"

/* The source pixels first..last of one target pixel; inner weights are 1. */
struct run {
    int first, last;
    double first_weight, last_weight;
};

static struct run find_run(int target, int target_length, int source_length) {
    const double ratio = (double)source_length / target_length;
    struct run run;
    if (ratio >= 1.0) {
        const double begin = target * ratio, end = (target + 1) * ratio;
        run.first = (int)begin;
        run.last = (int)ceil(end) - 1;
        if (run.last > source_length - 1)
            run.last = source_length - 1;
        run.first_weight = fmin(end, run.first + 1) - begin;
        run.last_weight = fmin(end, run.last + 1) - run.last;
        if (run.first >= run.last)
            run.last = run.first;
    } else {
        const double center = fmax((target + 0.5) * ratio - 0.5, 0.0);
        run.first = (int)center;
        run.last = run.first + 1 < source_length ? run.first + 1 : run.first;
        run.last_weight = center - run.first;
        run.first_weight = run.first == run.last ? 1.0 : 1.0 - run.last_weight;
    }
    return run;
}

static double run_weight(const struct run *run, int at) {
    return at == run->first ? run->first_weight : at == run->last ? run->last_weight : 1.0;
}

/* The sum of the weights. */
static double run_total(const struct run *run) {
    return run->first == run->last
               ? run->first_weight
               : run->first_weight + run->last_weight + (run->last - run->first - 1);
}

/* The weighted sum of a run of samples, `stride` apart. */
static double run_sum(const struct run *run, const uint8_t *samples, size_t stride) {
    double sum = run->first_weight * samples[(size_t)run->first * stride];
    uint32_t whole = 0;
    for (int at = run->first + 1; at < run->last; at++)
        whole += samples[(size_t)at * stride];
    if (run->last > run->first)
        sum += run->last_weight * samples[(size_t)run->last * stride];
    return sum + whole;
}

void cn_resize(const uint8_t *samples, int stride, int channels, struct cn_rectangle crop,
               int width, int height, float *ret_pixels) {
    for (int y = 0; y < height; y++) {
        const struct run rows = find_run(y, height, crop.height);
        for (int x = 0; x < width; x++) {
            const struct run columns = find_run(x, width, crop.width);
            const double total = run_total(&rows) * run_total(&columns);
            for (int channel = 0; channel < channels; channel++) {
                double sum = 0.0;
                for (int v = rows.first; v <= rows.last; v++)
                    sum += run_weight(&rows, v) *
                           run_sum(&columns,
                                   samples +
                                       ((size_t)(crop.y + v) * (size_t)stride + (size_t)crop.x) *
                                           (size_t)channels +
                                       channel,
                                   (size_t)channels);
                *ret_pixels++ = (float)(sum / total);
            }
        }
    }
}
