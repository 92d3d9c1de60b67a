/* resize.c: area averaging and linear interpolation by one loop: along each axis a target pixel is
 * a weighted mean of a run of source pixels, in which only the first and the last weight differ
 * from one. Shrinking reads each source pixel once. Thread-safe, allocates nothing. */
#include <math.h>
#include <string.h>

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

/* The weighted sum of a run of samples. */
static double run_sum(const struct run *run, const uint8_t *samples) {
    double sum = run->first_weight * samples[run->first];
    uint32_t whole = 0;
    for (int at = run->first + 1; at < run->last; at++)
        whole += samples[at];
    if (run->last > run->first)
        sum += run->last_weight * samples[run->last];
    return sum + whole;
}

enum { BLOCK = 128 };

/* Columns of the target and what each needs of a source row, and the sums of the two source rows
 * that were needed last. */
struct block {
    int count;
    struct run columns[BLOCK];
    double totals[BLOCK];
    int rows[2]; /* -1: none */
    double sums[2][BLOCK];
};

/* The sums of all columns in a source row. */
static const double *block_row(struct block *block, const uint8_t *samples, int row) {
    double *sums = block->sums[row & 1];
    if (block->rows[row & 1] != row)
        for (int x = 0; x < block->count; x++)
            sums[x] = run_sum(&block->columns[x], samples);
    block->rows[row & 1] = row;
    return sums;
}

void cn_resize(const uint8_t *samples, int stride, struct cn_rectangle crop, int width, int height,
               float *ret_pixels) {
    struct block block;
    double sums[BLOCK];
    for (int first = 0; first < width; first += BLOCK) {
        block.count = width - first < BLOCK ? width - first : BLOCK;
        block.rows[0] = block.rows[1] = -1;
        for (int x = 0; x < block.count; x++) {
            block.columns[x] = find_run(first + x, width, crop.width);
            block.totals[x] = run_total(&block.columns[x]);
        }
        for (int y = 0; y < height; y++) {
            const struct run rows = find_run(y, height, crop.height);
            const double total = run_total(&rows);
            float *to = ret_pixels + (size_t)y * (size_t)width + (size_t)first;
            memset(sums, 0, sizeof sums);
            for (int v = rows.first; v <= rows.last; v++) {
                const uint8_t *row =
                    samples + (size_t)(crop.y + v) * (size_t)stride + (size_t)crop.x;
                const double weight = run_weight(&rows, v), *of_row = block_row(&block, row, v);
                for (int x = 0; x < block.count; x++)
                    sums[x] += weight * of_row[x];
            }
            for (int x = 0; x < block.count; x++)
                to[x] = (float)(sums[x] / (total * block.totals[x]));
        }
    }
}
