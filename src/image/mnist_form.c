/* mnist_form.c: recognises an image that needs no preparation. It changes no samples. Thread-safe.
 */
#include <math.h>
#include <string.h>

#include "image/mnist_form.h"

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

/* Finds the darkest and the lightest sample. */
static struct range find_range(const uint8_t *samples, size_t count, size_t step) {
    enum { BLOCK = 64 }; /* constant, so that the compiler vectorises blocks of grey samples */
    const size_t block = BLOCK * step;
    struct range range = {255, 0};
    size_t start = 0;
    /* Most pictures reach both ends of the range early, and then the rest need not be read. */
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
    /* A page with more samples than the counters can hold is sampled. */
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

/* What is known of a picture's ink. */
struct ink {
    int left, right, top, bottom; /* of its outermost pixels; right -1: there is none */
    uint64_t mass, x_sum, y_sum;
};

enum { STRIPE = 32 /* columns that are added up at once: a constant, so that vectors do it */ };

static uint32_t add_row(const uint8_t row[static STRIPE], uint8_t page,
                        uint32_t columns[static STRIPE]) {
    uint32_t sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t x = 0; x < STRIPE; x++) {
        const uint32_t value = row[x] ^ page;
        columns[x] += value;
        sum += value;
    }
    return sum;
}

static void add_stripe(const struct cn_picture *picture, int start, uint8_t page, struct ink *ink) {
    const size_t step = (size_t)picture->channels, row = (size_t)picture->width * step;
    const int end = picture->width - start < STRIPE ? picture->width : start + STRIPE;
    const size_t width = (size_t)(end - start);
    const uint8_t *samples = picture->data + (size_t)start * step;
    uint32_t columns[STRIPE] = {0};
    uint8_t stripe[STRIPE];
    memset(stripe, page, sizeof stripe);
    for (int y = 0; y < picture->height; y++, samples += row) {
        if (step == 1)
            memcpy(stripe, samples, width);
        for (size_t x = 0; x < width && step > 1; x++)
            stripe[x] = samples[x * step];
        const uint32_t sum = add_row(stripe, page, columns);
        if (sum == 0)
            continue;
        ink->top = y < ink->top ? y : ink->top;
        ink->bottom = y > ink->bottom ? y : ink->bottom;
        ink->y_sum += sum * (uint64_t)y;
    }
    for (int x = start; x < end; x++) {
        const uint32_t sum = columns[x - start];
        if (sum == 0)
            continue;
        ink->left = x < ink->left ? x : ink->left;
        ink->right = x;
        ink->mass += sum;
        ink->x_sum += sum * (uint64_t)x;
    }
}

bool cn_mnist_form_holds(const struct cn_picture *picture, const struct cn_tone *tone, int box) {
    const int width = picture->width, height = picture->height;
    const uint8_t page = tone->light ? 255 : 0; /* ink is sample ^ page */
    struct ink ink = {.left = width, .right = -1, .top = height, .bottom = -1};
    if (tone->background != page || tone->contrast < 250)
        return false;
    for (int x = 0; x < width; x += STRIPE)
        add_stripe(picture, x, page, &ink);
    /* MNIST's 70,000 images: longer side 19 or 20, centre within 0.52 of pixel (14, 14). */
    const int across = ink.right - ink.left + 1, down = ink.bottom - ink.top + 1;
    const int side = across > down ? across : down;
    return side >= box - 1 && side <= box &&
           fabs((double)ink.x_sum / (double)ink.mass - width / 2) < 0.6 &&
           fabs((double)ink.y_sum / (double)ink.mass - height / 2) < 0.6;
}
