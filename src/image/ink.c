/* ink.c: tells a drawing from its page. The page is one brightness, the median of the picture's
 * outermost pixels; shadows and ruled paper are not modelled. Works in place and in fixed memory
 * whatever the picture's size. Thread-safe.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"

enum {
    NOISE_PARTS = 6, /* ink under contrast / 6 is paper grain */
    GRID = 64,       /* cells a side in the search for specks */
    SPECK_SHARE = 25 /* a piece with less than 1/25 of the largest piece's ink is a speck */
};

static const uint8_t *row_of(const struct cn_plane *plane, int y) {
    return plane->samples + (size_t)y * (size_t)plane->width;
}

struct cn_tone cn_tone_measure(const struct cn_plane *plane) {
    size_t histogram[256] = {0}, total = 0, below = 0;
    const int width = plane->width, height = plane->height;
    int low = 255, high = 0, background = 0;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = row_of(plane, y);
        const int step = y == 0 || y == height - 1 || width == 1 ? 1 : width - 1;
        for (int x = 0; x < width; x += step) {
            histogram[row[x]]++;
            total++;
        }
        for (int x = 0; x < width; x++) {
            low = row[x] < low ? row[x] : low;
            high = row[x] > high ? row[x] : high;
        }
    }
    while ((below + histogram[background]) * 2 <= total)
        below += histogram[background++];
    const bool light = background - low > high - background;
    return (struct cn_tone){background, light ? background - low : high - background, light};
}

void cn_ink_extract(struct cn_plane *plane, const struct cn_tone *tone) {
    uint8_t map[256];
    const size_t count = (size_t)plane->width * (size_t)plane->height;
    for (int value = 0; value < 256; value++) {
        int ink = tone->light ? tone->background - value : value - tone->background;
        if (ink * NOISE_PARTS < tone->contrast || tone->contrast == 0)
            ink = 0;
        ink = tone->contrast == 0 ? 0 : (ink * 255 + tone->contrast / 2) / tone->contrast;
        map[value] = (uint8_t)(ink > 255 ? 255 : ink);
    }
    for (size_t i = 0; i < count; i++)
        plane->samples[i] = map[plane->samples[i]];
}

/* Gives cells connected with `start` (8 neighbours) the mark and returns their ink. */
static uint64_t mark_piece(const uint64_t *ink, int *marks, int columns, int rows, int start,
                           int mark) {
    int stack[GRID * GRID], depth = 0;
    uint64_t sum = 0;
    stack[depth++] = start;
    marks[start] = mark;
    while (depth > 0) {
        const int cell = stack[--depth], x = cell % columns, y = cell / columns;
        sum += ink[cell];
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < rows; v++) {
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < columns; u++) {
                const int next = v * columns + u;
                if (ink[next] > 0 && marks[next] == 0) {
                    marks[next] = mark;
                    stack[depth++] = next;
                }
            }
        }
    }
    return sum;
}

void cn_ink_drop_specks(struct cn_plane *plane) {
    const int columns = plane->width < GRID ? plane->width : GRID;
    const int rows = plane->height < GRID ? plane->height : GRID;
    uint64_t ink[GRID * GRID] = {0}, pieces[GRID * GRID + 1] = {0}, largest = 0;
    int marks[GRID * GRID] = {0}, count = 0;
    bool any = false;
    for (int y = 0; y < plane->height; y++) {
        const uint8_t *row = row_of(plane, y);
        uint64_t *cells = ink + (int)((long long)y * rows / plane->height) * columns;
        for (int x = 0; x < plane->width; x++)
            if (row[x] > 0)
                cells[(long long)x * columns / plane->width] += row[x];
    }
    for (int cell = 0; cell < columns * rows; cell++) {
        if (ink[cell] == 0 || marks[cell] != 0)
            continue;
        count++;
        pieces[count] = mark_piece(ink, marks, columns, rows, cell, count);
        largest = pieces[count] > largest ? pieces[count] : largest;
    }
    for (int piece = 1; piece <= count; piece++)
        any = any || pieces[piece] * SPECK_SHARE < largest;
    for (int y = 0; any && y < plane->height; y++) {
        uint8_t *row = plane->samples + (size_t)y * (size_t)plane->width;
        const int *cells = marks + (int)((long long)y * rows / plane->height) * columns;
        for (int x = 0; x < plane->width; x++)
            if (row[x] > 0 &&
                pieces[cells[(long long)x * columns / plane->width]] * SPECK_SHARE < largest)
                row[x] = 0;
    }
}

bool cn_ink_bounds(const struct cn_plane *plane, struct cn_rectangle *ret_bounds) {
    int left = plane->width, right = -1, top = -1, bottom = -1;
    for (int y = 0; y < plane->height; y++) {
        const uint8_t *row = row_of(plane, y);
        int first = 0, last = plane->width - 1;
        while (first <= last && row[first] == 0)
            first++;
        if (first > last)
            continue;
        while (row[last] == 0)
            last--;
        left = first < left ? first : left;
        right = last > right ? last : right;
        top = top < 0 ? y : top;
        bottom = y;
    }
    if (bottom < 0)
        return false;
    *ret_bounds = (struct cn_rectangle){left, top, right - left + 1, bottom - top + 1};
    return true;
}

double cn_ink_stroke_width(const struct cn_plane *plane, struct cn_rectangle bounds) {
    /* An outline drawn on a square grid is 4 / pi times longer than the curve, on average. */
    const double grid_excess = 4.0 / 3.14159265358979;
    const uint8_t *above = NULL;
    size_t area = 0, edges = 0;
    for (int y = bounds.y; y < bounds.y + bounds.height; y++) {
        const uint8_t *row = row_of(plane, y) + bounds.x;
        bool before = false;
        for (int x = 0; x < bounds.width; x++) {
            const bool here = row[x] > 0;
            area += here;
            edges += here != before;
            edges += here != (above != NULL && above[x] > 0);
            before = here;
        }
        edges += before;
        above = row;
    }
    for (int x = 0; above != NULL && x < bounds.width; x++)
        edges += above[x] > 0;
    return edges == 0 ? 0.0 : 2.0 * (double)area * grid_excess / (double)edges;
}

bool cn_ink_center(const float *values, int height, int width, double *ret_x, double *ret_y) {
    double mass = 0.0, sum_x = 0.0, sum_y = 0.0;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const double value = values[(size_t)y * (size_t)width + (size_t)x];
            mass += value;
            sum_x += value * x;
            sum_y += value * y;
        }
    }
    if (!(mass > 0.0))
        return false;
    *ret_x = sum_x / mass;
    *ret_y = sum_y / mass;
    return true;
}
