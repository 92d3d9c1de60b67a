/* preprocess.c: the cost of preprocessing a picture, in time and memory, by size and kind of
 * picture. Prints a table; each number is the least of the means of several runs.
 *
 *   make bench/preprocess && bench/preprocess */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "convnet/image.h"

/* glibc's own functions, which the counting ones below call. */
void *__libc_malloc(size_t size);
void __libc_free(void *block);

static size_t held, peak;

void *malloc(size_t size) {
    void *block = __libc_malloc(size);
    held += malloc_usable_size(block);
    peak = held > peak ? held : peak;
    return block;
}

void free(void *block) {
    held -= malloc_usable_size(block);
    __libc_free(block);
}

/* This thread's processor time, which a busy machine affects less than wall time. */
static double processor_nanoseconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

enum kind { MNIST, CLEAN, PHOTO }; /* ink on black; on white; on lit paper with grain */

struct row {
    const char *name;
    int width, height, channels;
    enum kind kind;
    int times;
};

static const struct row rows[] = {
    {"28x28 grey, untouched", 28, 28, 1, MNIST, 100000},
    {"28x28 RGB, untouched", 28, 28, 3, MNIST, 100000},
    {"28x28 grey, dark on light", 28, 28, 1, CLEAN, 5000},
    {"140x140 grey, clean", 140, 140, 1, CLEAN, 1000},
    {"140x140 grey, photo", 140, 140, 1, PHOTO, 500},
    {"640x480 RGB, clean", 640, 480, 3, CLEAN, 100},
    {"640x480 RGB, photo", 640, 480, 3, PHOTO, 100},
    {"640x480 RGBA, photo", 640, 480, 4, PHOTO, 100},
    {"4096x4096 RGB, photo", 4096, 4096, 3, PHOTO, 2},
};

static void paint(const struct row *row, uint8_t *samples) {
    unsigned state = 1;
    for (int y = 0; y < row->height; y++) {
        for (int x = 0; x < row->width; x++) {
            const bool ink = x > row->width * 2 / 5 && x < row->width / 2 && y > row->height / 4 &&
                             y < row->height * 3 / 4;
            int value = row->kind == MNIST ? (ink ? 255 : 0) : ink ? 40 : 240;
            state = state * 1664525U + 1013904223U;
            if (row->kind == PHOTO)
                value = value * (170 + x * 80 / row->width) / 256 + (int)(state >> 28);
            for (int c = 0; c < row->channels; c++)
                *samples++ = (uint8_t)(c == 3 ? 255 : value);
        }
    }
}

static int measure(const struct row *row) {
    const struct cn_shape shape = cn_shape_image(28, 28, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    const size_t size = (size_t)row->width * (size_t)row->height * (size_t)row->channels;
    struct cn_picture picture = {.width = row->width,
                                 .height = row->height,
                                 .channels = row->channels,
                                 .data = malloc(size)};
    struct cn_error error = {0};
    float image[28 * 28];
    double best = 1e9;
    if (picture.data == NULL)
        return 1;
    paint(row, picture.data);
    const size_t before = held;
    peak = held;
    for (int round = 0; round < 7; round++) {
        const double begun = processor_nanoseconds();
        for (int i = 0; i < row->times; i++) {
            if (cn_preprocess(&preprocessing, &picture, &shape, image, NULL, &error) != CN_OK) {
                fprintf(stderr, "%s: %s\n", row->name, error.text);
                free(picture.data);
                return 1;
            }
        }
        const double each = (processor_nanoseconds() - begun) / row->times;
        best = each < best ? each : best;
    }
    printf("%-28s %12.2f %12zu %8.2f\n", row->name, best / 1000, peak - before,
           (double)(peak - before) / (double)size);
    free(picture.data);
    return 0;
}

int main(void) {
    int status = 0;
    printf("%-28s %12s %12s %8s\n", "picture", "microseconds", "bytes", "pictures");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        status |= measure(&rows[i]);
    return status;
}
