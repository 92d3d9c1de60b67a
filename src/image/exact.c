/* exact.c: recognises a picture that needs no preparation. Reads samples, changes none.
 * Thread-safe.
 */
#include <math.h>

#include "image/exact.h"

struct range {
    uint8_t low, high;
};

static inline void widen(struct range *range, const uint8_t *samples, size_t count, size_t step) {
    uint8_t low = range->low, high = range->high;
    for (size_t i = 0; i < count; i += step) {
        low = samples[i] < low ? samples[i] : low;
        high = samples[i] > high ? samples[i] : high;
    }
    *range = (struct range){low, high};
}

/* The darkest and the lightest sample. */
static struct range find_range(const uint8_t *samples, size_t count, size_t step) {
    enum { BLOCK = 64 }; /* a constant: the compiler makes vectors of grey blocks */
    const size_t block = BLOCK * step;
    struct range range = {255, 0};
    size_t start = 0;
    /* Most have both ends of the range: then the rest says nothing more. */
    for (; start + block <= count && (range.low > 0 || range.high < 255); start += block) {
        if (step == 1)
            widen(&range, samples + start, BLOCK, 1);
        else
            widen(&range, samples + start, block, step);
    }
    if (range.low > 0 || range.high < 255)
        widen(&range, samples + start, count - start, step);
    return range;
}

struct cn_tone cn_tone_measure(const uint8_t *samples, int width, int height, int channels) {
    const size_t row = (size_t)width * (size_t)channels, count = row * (size_t)height;
    uint16_t histogram[256] = {0}, total = 0, below = 0;
    int background = 0;
    /* A page larger than the counters is sampled. */
    const int step = (width + height) / 16384 + 1;
    for (int x = 0; x < width; x += step) {
        histogram[samples[(size_t)x * (size_t)channels]]++;
        histogram[samples[count - row + (size_t)x * (size_t)channels]]++;
        total = (uint16_t)(total + 2);
    }
    for (int y = 1; y < height - 1; y += step) {
        histogram[samples[(size_t)y * row]]++;
        histogram[samples[(size_t)(y + 1) * row - (size_t)channels]]++;
        total = (uint16_t)(total + 2);
    }
    const struct range range = find_range(samples, count, (size_t)channels);
    while ((below + histogram[background]) * 2 <= total)
        below = (uint16_t)(below + histogram[background++]);
    const int darker = background - range.low, lighter = range.high - background;
    return (struct cn_tone){background, darker > lighter ? darker : lighter, darker > lighter};
}

bool cn_exact_is_prepared(const struct cn_picture *picture, const struct cn_tone *tone, int box) {
    const size_t channels = (size_t)picture->channels, row = (size_t)picture->width * channels;
    const uint8_t page = tone->light ? 255 : 0; /* ink is sample ^ page */
    int left = picture->width, right = -1, top = -1, bottom = -1;
    uint64_t mass = 0, x_sum = 0, y_sum = 0;
    if (tone->background != page || tone->contrast < 250)
        return false;
    for (int y = 0; y < picture->height; y++) {
        const uint8_t *samples = picture->data + (size_t)y * row;
        uint64_t row_mass = 0;
        for (size_t x = 0, at = 0; at < row; x++, at += channels) {
            const uint64_t ink = samples[at] ^ page;
            row_mass += ink;
            x_sum += ink * x;
        }
        if (row_mass == 0)
            continue;
        int first = 0, last = picture->width - 1;
        while (first < left && samples[(size_t)first * channels] == page)
            first++;
        while (last > right && samples[(size_t)last * channels] == page)
            last--;
        left = first;
        right = last;
        top = top < 0 ? y : top;
        bottom = y;
        mass += row_mass;
        y_sum += row_mass * (uint64_t)y;
    }
    /* MNIST's 70,000 images: longer side 19 or 20, centre within 0.52 of pixel (14, 14). */
    const int side = right - left > bottom - top ? right - left + 1 : bottom - top + 1;
    return side >= box - 1 && side <= box &&
           fabs((double)x_sum / (double)mass - picture->width / 2) < 0.6 &&
           fabs((double)y_sum / (double)mass - picture->height / 2) < 0.6;
}
