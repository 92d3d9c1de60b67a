/* resample.c: two passes, along x and along y. Each target sample is a weighted mean of a run of
 * source samples. The weights are a filter's (box, triangle, cubic) values at the source pixels'
 * centres; where the picture shrinks, the filter is scaled to the target pixels. The formulas are
 * those of PIL's Resample.c, so that a network sees what it was trained with. Thread-safe. */
#include <math.h>
#include <stdlib.h>

#include "image/resample.h"

/* A filter: the weight at a distance from the centre, which is 0 from `support` on. */
struct filter {
    double support;
    double (*weight)(double x);
};

static double box_weight(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle_weight(double x) {
    return fmax(1.0 - fabs(x), 0.0);
}

static double cubic_weight(double x) { /* Keys 1981 with a = -0.5 */
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static const struct filter box = {0.5, box_weight}, triangle = {1.0, triangle_weight},
                           cubic = {2.0, cubic_weight};

/* The runs of `length` target samples, each with at most `most` weights. */
struct runs {
    int length, most;
    int *first, *count; /* [length] */
    float *weights;     /* [length, most] */
};

static const struct filter *choose_filter(enum cn_interpolation interpolation, double scale) {
    switch (interpolation) {
    case CN_INTERPOLATION_BILINEAR:
        return &triangle;
    case CN_INTERPOLATION_BICUBIC:
        return &cubic;
    default:
        return scale >= 1.0 ? &box : &triangle;
    }
}

static void runs_clear(struct runs *runs) {
    free(runs->first);
    free(runs->weights);
    *runs = (struct runs){0};
}

/* Computes the weights of target sample `at`, whose centre is at `middle` in the source. */
static void runs_fill(struct runs *runs, int at, double middle, const struct filter *filter,
                      double width, int source) {
    const double reach = filter->support * width;
    const int first = (int)fmax(middle - reach + 0.5, 0.0);
    const int end = (int)fmin(middle + reach + 0.5, source);
    float *weights = runs->weights + (size_t)at * (size_t)runs->most;
    double sum = 0.0;
    for (int i = first; i < end; i++)
        sum += filter->weight((i - middle + 0.5) / width);
    for (int i = first; i < end; i++)
        weights[i - first] = (float)(filter->weight((i - middle + 0.5) / width) / sum);
    runs->first[at] = first;
    runs->count[at] = end - first;
}

/* Maps the interval `from` to `to` of `source` samples to `length` samples. */
static enum cn_status runs_make(struct runs *runs, enum cn_interpolation interpolation, int source,
                                double from, double to, int length, struct cn_error *error) {
    const double scale = (to - from) / length;
    const struct filter *filter = choose_filter(interpolation, scale);
    const double width = fmax(scale, 1.0);
    const bool nearest = interpolation == CN_INTERPOLATION_NEAREST;
    runs->length = length;
    runs->most = nearest ? 1 : (int)ceil(filter->support * width) * 2 + 1;
    runs->first = calloc((size_t)length, 2 * sizeof *runs->first);
    runs->weights = calloc((size_t)length * (size_t)runs->most, sizeof *runs->weights);
    if (runs->first == NULL || runs->weights == NULL) {
        runs_clear(runs);
        return cn_fail(error, CN_MEMORY, "no memory for the weights of %d samples", length);
    }
    runs->count = runs->first + length;
    /* Halfway between two pixels the rounding of this sum decides, as in PIL. */
    double middle = from + scale * 0.5;
    for (int i = 0; i < length; i++, middle += scale) {
        if (nearest) {
            runs->first[i] = (int)fmin(fmax(floor(middle), 0.0), source - 1);
            runs->count[i] = 1;
            runs->weights[i] = 1.0F;
        } else {
            runs_fill(runs, i, from + (i + 0.5) * scale, filter, width, source);
        }
    }
    return CN_OK;
}

static uint8_t to_sample(float value) {
    return (uint8_t)fminf(fmaxf(value + 0.5F, 0.0F), 255.0F);
}

/* Resamples one row along x. */
static void resample_row(const struct runs *runs, const uint8_t *row, size_t channels,
                         uint8_t *target) {
    for (int x = 0; x < runs->length; x++) {
        const float *weights = runs->weights + (size_t)x * (size_t)runs->most;
        const uint8_t *from = row + (size_t)runs->first[x] * channels;
        for (size_t channel = 0; channel < channels; channel++) {
            float sum = 0.0F;
            for (int i = 0; i < runs->count[x]; i++)
                sum += weights[i] * (float)from[(size_t)i * channels + channel];
            *target++ = to_sample(sum);
        }
    }
}

/* Resamples one row along y, from rows of `size` values. */
static void resample_rows(const struct runs *runs, int y, const uint8_t *rows, size_t size,
                          float *sums, uint8_t *target) {
    const float *weights = runs->weights + (size_t)y * (size_t)runs->most;
    for (size_t k = 0; k < size; k++)
        sums[k] = 0.0F;
    for (int i = 0; i < runs->count[y]; i++)
        for (size_t k = 0; k < size; k++)
            sums[k] += weights[i] * (float)rows[(size_t)i * size + k];
    for (size_t k = 0; k < size; k++)
        target[k] = to_sample(sums[k]);
}

enum cn_status cn_resample(const struct cn_plane *plane, const struct cn_region *region,
                           enum cn_interpolation interpolation, int width, int height,
                           uint8_t *ret_samples, struct cn_error *error) {
    struct runs columns = {0}, rows = {0};
    const size_t channels = (size_t)plane->channels, size = (size_t)width * channels;
    uint8_t *narrow = NULL;
    float *sums = NULL;
    enum cn_status status =
        runs_make(&columns, interpolation, plane->width, region->left, region->right, width, error);
    if (status == CN_OK)
        status = runs_make(&rows, interpolation, plane->height, region->top, region->bottom, height,
                           error);
    if (status != CN_OK)
        goto out;
    const int first = rows.first[0], end = rows.first[height - 1] + rows.count[height - 1];
    narrow = malloc((size_t)(end - first) * size);
    sums = malloc(size * sizeof *sums);
    if (narrow == NULL || sums == NULL) {
        status =
            cn_fail(error, CN_MEMORY, "no memory for %d rows of %d pixels", end - first, width);
        goto out;
    }
    for (int y = first; y < end; y++)
        resample_row(&columns, plane->samples + (size_t)y * (size_t)plane->width * channels,
                     channels, narrow + (size_t)(y - first) * size);
    for (int y = 0; y < height; y++)
        resample_rows(&rows, y, narrow + (size_t)(rows.first[y] - first) * size, size, sums,
                      ret_samples + (size_t)y * size);
out:
    free(sums);
    free(narrow);
    runs_clear(&rows);
    runs_clear(&columns);
    return status;
}
