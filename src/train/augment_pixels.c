/* augment_pixels.c: changes the pixels' values: pen, focus, grain, tone, missing parts. Outside of
 * the plane is background. Pure. */
#include <math.h>
#include <string.h>

#include "train/augment.h"

/* The plane with a border of background around it. */
static void pad(const float *plane, int height, int width, float *padded) {
    const size_t row = (size_t)width + 2;
    memset(padded, 0, row * sizeof *padded);
    for (int y = 0; y < height; y++) {
        float *to = padded + (size_t)(y + 1) * row;
        to[0] = to[width + 1] = 0;
        memcpy(to + 1, plane + (size_t)y * (size_t)width, (size_t)width * sizeof *to);
    }
    memset(padded + (size_t)(height + 1) * row, 0, row * sizeof *padded);
}

static float sum_of(const float *plane, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)plane[i];
    return (float)sum;
}

/* The largest of a pixel and its neighbours; diagonal neighbours count as much as a round pen would
 * leave of them. */
static void grow_row(const float *above, const float *here, const float *below, float part,
                     float *to, int width) {
    const float corner = 0.6f;
    for (int x = 0; x < width; x++) {
        const float side = fmaxf(fmaxf(above[x + 1], below[x + 1]), fmaxf(here[x], here[x + 2]));
        const float diagonal = fmaxf(fmaxf(above[x], above[x + 2]), fmaxf(below[x], below[x + 2]));
        const float most = fmaxf(here[x + 1], fmaxf(side, corner * diagonal));
        to[x] = here[x + 1] + part * (most - here[x + 1]);
    }
}

static void shrink_row(const float *above, const float *here, const float *below, float part,
                       float *to, int width) {
    for (int x = 0; x < width; x++) {
        const float side = fminf(fminf(above[x + 1], below[x + 1]), fminf(here[x], here[x + 2]));
        to[x] = here[x + 1] + part * (fminf(here[x + 1], side) - here[x + 1]);
    }
}

/* After a pass that reduced the ink below `least`: restores as much of the removed ink (`padded`
 * has the values before) as makes the sum `least`. */
static void keep(float least, float was_sum, float *plane, int height, int width,
                 const float *padded) {
    const float left = sum_of(plane, (size_t)height * (size_t)width);
    if (left >= least || was_sum <= left)
        return;
    const float part = (least - left) / (was_sum - left);
    for (int y = 0; y < height; y++) {
        const float *was = padded + (size_t)(y + 1) * ((size_t)width + 2) + 1;
        float *row = plane + (size_t)y * (size_t)width;
        for (int x = 0; x < width; x++)
            row[x] += part * (was[x] - row[x]);
    }
}

void cn_augment_stroke(float pixels, float *plane, int height, int width, float *scratch) {
    const size_t row = (size_t)width + 2, count = (size_t)height * (size_t)width;
    void (*const change)(const float *, const float *, const float *, float, float *, int) =
        pixels > 0 ? grow_row : shrink_row;
    const float least = pixels < 0 ? sum_of(plane, count) / 2 : 0;
    for (float left = fabsf(pixels); left > 0; left -= 1) {
        const float was_sum = pixels < 0 ? sum_of(plane, count) : 0;
        pad(plane, height, width, scratch);
        for (int y = 0; y < height; y++) {
            const float *here = scratch + (size_t)(y + 1) * row;
            change(here - row, here, here + row, fminf(left, 1), plane + (size_t)y * (size_t)width,
                   width);
        }
        if (pixels < 0)
            keep(least, was_sum, plane, height, width, scratch);
    }
}

/* One pass of the kernel (side, 1 - 2 side, side) along rows and columns: variance 2 side. */
static void blur_pass(float side, float *plane, int height, int width, float *scratch) {
    const size_t row = (size_t)width + 2;
    pad(plane, height, width, scratch);
    for (int y = 0; y < height; y++) {
        float *to = plane + (size_t)y * (size_t)width;
        const float *from = scratch + (size_t)(y + 1) * row;
        for (int x = 0; x < width; x++)
            to[x] = from[x + 1] + side * (from[x] - 2 * from[x + 1] + from[x + 2]);
    }
    pad(plane, height, width, scratch);
    for (int y = 0; y < height; y++) {
        float *to = plane + (size_t)y * (size_t)width;
        const float *from = scratch + (size_t)(y + 1) * row + 1;
        for (int x = 0; x < width; x++)
            to[x] = from[x] +
                    side * (from[x - (ptrdiff_t)row] - 2 * from[x] + from[x + (ptrdiff_t)row]);
    }
}

void cn_augment_blur(float pixels, float *plane, int height, int width, float *scratch) {
    const float most = 0.5f; /* variance of the widest pass, (1, 2, 1) / 4 */
    for (float variance = pixels * pixels; variance > 0; variance -= most)
        blur_pass(0.5f * fminf(variance, most), plane, height, width, scratch);
}

/* Sum of the four 16-bit parts of 64 random bits: mean 0, variance 1, within 3.5 (Irwin and Hall).
 */
static float rough_normal(uint64_t bits) {
    const uint64_t sum =
        (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    return ((float)sum - 131070.0f) * 2.6429e-5f; /* sqrt(3) / 65536 */
}

void cn_augment_noise(float amount, struct cn_random *random, float *plane, size_t count) {
    for (size_t i = 0; i < count; i++)
        plane[i] = cn_augment_clip(plane[i] + amount * rough_normal(cn_random_bits(random)));
}

void cn_augment_contrast(float amount, float *plane, size_t count) {
    for (size_t i = 0; i < count; i++)
        plane[i] += amount * plane[i] * (1 - plane[i]);
}

void cn_augment_occlusion(float side, struct cn_random *random, float *plane, int height,
                          int width) {
    const int largest = (int)lrintf(fminf(side, (float)(height < width ? height : width)));
    const float value = cn_random_below(random, 4) == 0 ? 1.0f : 0.0f;
    if (largest < 1)
        return;
    const int size = 1 + (int)cn_random_below(random, (uint32_t)largest);
    const int left = (int)cn_random_below(random, (uint32_t)(width - size + 1));
    const int top = (int)cn_random_below(random, (uint32_t)(height - size + 1));
    for (int y = top; y < top + size; y++)
        for (int x = left; x < left + size; x++)
            plane[(size_t)y * (size_t)width + (size_t)x] = value;
}

/* Cuts [*begin, *begin + size) to [0, whole). */
static void cut_range(int whole, int *begin, int *end) {
    *begin = *begin < 0 ? 0 : *begin;
    *end = *end > whole ? whole : *end;
}

void cn_augment_cutout(float side, struct cn_random *random, float *plane, int height, int width) {
    const int size = (int)lrintf(fminf(side, (float)(height > width ? height : width)));
    int left = (int)cn_random_below(random, (uint32_t)width) - size / 2, right = left + size;
    int top = (int)cn_random_below(random, (uint32_t)height) - size / 2, bottom = top + size;
    cut_range(width, &left, &right);
    cut_range(height, &top, &bottom);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            plane[(size_t)y * (size_t)width + (size_t)x] = 0;
}

void cn_augment_erasing(float most, struct cn_random *random, float *plane, int height, int width) {
    const float least = fminf(0.02f, most);
    const float area = cn_random_uniform(random, least, most) * (float)(height * width);
    const float ratio = expf(cn_random_uniform(random, logf(0.3f), logf(3.3f)));
    const int tall = (int)fminf(fmaxf(sqrtf(area * ratio), 1), (float)height);
    const int wide = (int)fminf(fmaxf(sqrtf(area / ratio), 1), (float)width);
    const int top = (int)cn_random_below(random, (uint32_t)(height - tall + 1));
    const int left = (int)cn_random_below(random, (uint32_t)(width - wide + 1));
    for (int y = top; y < top + tall; y++)
        for (int x = left; x < left + wide; x++)
            plane[(size_t)y * (size_t)width + (size_t)x] = cn_random_float(random);
}

void cn_augment_brightness(float amount, float *plane, size_t count) {
    for (size_t i = 0; i < count; i++)
        plane[i] = fminf(fmaxf(plane[i] + amount, 0), 1);
}
