/* strokes.c: scales the drawing to the network's size, by way of a larger canvas. A stroke much
 * thinner than a target pixel would fade to grey when averaged, so it is widened on the canvas with
 * a disc; the cost is the same for every picture. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"
#include "image/strokes.h"

/* In target pixels. Strokes thinner than `thin` are widened to `thin_becomes`, and strokes thicker
 * than `thick` are thinned to `thick_becomes`: widths that are common in MNIST. Of its 10,000 test
 * images, 7 % have strokes thinner than `thin` and 3 % thicker than `thick`; the median is 2.8. */
static const double thin = 2.05, thin_becomes = 2.5;
static const double thick = 4.5, thick_becomes = 4.0;

enum { MOST_THINNING = 8 /* an eighth of the side, on each side of a stroke */ };

/* The factor that scales `crop` so that its longer side is `side`; sets width and height. */
static double fit_into(struct cn_rectangle crop, double side, int *ret_width, int *ret_height) {
    const double scale = side / (crop.width > crop.height ? crop.width : crop.height);
    const int width = (int)lround(crop.width * scale), height = (int)lround(crop.height * scale);
    *ret_width = width < 1 ? 1 : width;
    *ret_height = height < 1 ? 1 : height;
    return scale;
}

/* The mean width of the strokes: twice the area over the outline's length; 0: there are none. */
static double stroke_width(const uint8_t *samples, int width, int height) {
    /* An outline drawn on a square grid is 4 / pi times longer than the curve, on average. */
    const double grid_excess = 4.0 / 3.14159265358979;
    const size_t count = (size_t)width * (size_t)height;
    int peak = 0, area = 0, edges = 0;
    for (size_t i = 0; i < count; i++)
        peak = samples[i] > peak ? samples[i] : peak;
    const int threshold = peak * 2 / 5;
    for (int y = 0; y < height; y++) {
        const uint8_t *row = samples + (size_t)y * (size_t)width;
        bool before = false;
        for (int x = 0; x < width; x++) {
            const bool here = row[x] > threshold;
            area += here;
            edges += here != before;
            edges += here != (y > 0 && row[x - width] > threshold);
            before = here;
        }
        edges += before;
    }
    for (int x = 0; x < width; x++)
        edges += samples[count - 1 - (size_t)x] > threshold;
    /* A solid block has no strokes. */
    if (edges == 0 || (size_t)area * 10 > count * 9)
        return 0.0;
    return 2.0 * area * grid_excess / edges;
}

/* Raises each sample of `to` to the one of `from` that lies (u, v) samples away. */
static void raise_to_shifted(const uint8_t *from, int width, int height, int u, int v,
                             uint8_t *to) {
    const int end = u > 0 ? width - u : width;
    for (int y = v > 0 ? 0 : -v; y < height && y + v < height; y++) {
        const uint8_t *from_row = from + (size_t)(y + v) * (size_t)width;
        uint8_t *to_row = to + (size_t)y * (size_t)width;
#pragma omp simd
        for (int x = u > 0 ? 0 : -u; x < end; x++)
            to_row[x] = from_row[x + u] > to_row[x] ? from_row[x + u] : to_row[x];
    }
}

void cn_strokes_dilate(const uint8_t *samples, int width, int height, int diameter, uint8_t *runs,
                       uint8_t *ret_samples) {
    /* An even disc has its centre between samples, so it reaches one sample less up and to the
     * left. */
    const int low = -((diameter - 1) / 2), high = diameter / 2;
    const double radius = diameter / 2.0, middle = (low + high) / 2.0;
    const size_t count = (size_t)width * (size_t)height;
    memset(runs, 0, count);
    memset(ret_samples, 0, count);
    /* From the outermost rows of the disc inwards, `runs` has the greatest sample of each run as
     * long as the row. */
    int grown = 0; /* samples on each side of the disc's middle */
    for (int v = low; v <= high + low - v; v++) {
        const double reach = radius * radius - (v - middle) * (v - middle);
        for (; 2 * grown <= high - low; grown++) {
            const int left = (low + high) / 2 - grown, right = high + low - left;
            if ((right - middle) * (right - middle) > reach)
                break;
            raise_to_shifted(samples, width, height, left, 0, runs);
            raise_to_shifted(samples, width, height, right, 0, runs);
        }
        raise_to_shifted(runs, width, height, 0, v, ret_samples);
        raise_to_shifted(runs, width, height, 0, high + low - v, ret_samples);
    }
}

/* Draws the crop on a canvas of width x height with a margin all around. */
static void draw(const struct cn_plane *plane, struct cn_rectangle crop, int width, int height,
                 int margin, float *scratch, uint8_t *canvas) {
    const size_t full = (size_t)(width + 2 * margin);
    cn_resize(plane->samples, plane->width, crop, width, height, scratch);
    memset(canvas, 0, full * (size_t)(height + 2 * margin));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            canvas[(size_t)(y + margin) * full + (size_t)(x + margin)] =
                (uint8_t)lrintf(scratch[(size_t)y * (size_t)width + (size_t)x]);
}

static void complement(uint8_t *samples, size_t count) {
    for (size_t i = 0; i < count; i++)
        samples[i] = (uint8_t)(255 - samples[i]);
}

/* The number of canvas pixels to add on each side of a stroke (negative: to remove) for MNIST's
 * width. A disc of that radius also enlarges the drawing, which scaling it into `side` then undoes;
 * the formula is solved for the target width. */
static int find_margin(double stroke, int side, int times) {
    const double target = stroke < thin * times    ? thin_becomes * times
                          : stroke > thick * times ? thick_becomes * times
                                                   : stroke;
    if (stroke <= 0.0 || thick * times >= side / 2.0)
        return 0;
    const double by = (target - stroke) / (1.0 - fmin(stroke / side, 0.8)) / 2.0;
    return (int)lround(fmin(fmax(by, -side / MOST_THINNING), thin_becomes * times));
}

/* Draws the crop on the canvas with its strokes `margin` canvas pixels wider on each side
 * (negative: narrower); *ret_part is its place in ret_canvas. */
static double draw_changed(const struct cn_plane *plane, struct cn_rectangle crop, int side,
                           int margin, float *scratch, uint8_t *canvas, uint8_t *ret_canvas,
                           struct cn_rectangle *ret_part, int *ret_stride) {
    const int edge = abs(margin);
    int width, height;
    const double scale = fit_into(crop, side - 2 * margin, &width, &height);
    draw(plane, crop, width, height, edge, scratch, canvas);
    const int full_width = width + 2 * edge, full_height = height + 2 * edge;
    const size_t count = (size_t)full_width * (size_t)full_height;
    if (margin < 0)
        complement(canvas, count);
    cn_strokes_dilate(canvas, full_width, full_height, 2 * edge + 1, (uint8_t *)scratch,
                      ret_canvas);
    if (margin < 0)
        complement(ret_canvas, count);
    const int inset = edge - margin;
    *ret_part =
        (struct cn_rectangle){inset, inset, full_width - 2 * inset, full_height - 2 * inset};
    *ret_stride = full_width;
    return scale;
}

enum cn_status cn_strokes_scale(const struct cn_plane *plane, struct cn_rectangle crop, int box,
                                struct cn_strokes *ret_strokes, struct cn_error *error) {
    const int times = box <= 32 ? 4 : box <= 128 ? 2 : 1, side = box * times;
    const size_t reach = (size_t)(side + 4 * (side / MOST_THINNING) + 4), most = reach * reach;
    struct cn_strokes strokes = {0};
    struct cn_rectangle part = {0};
    fit_into(crop, box, &strokes.width, &strokes.height);
    float *scratch = malloc(most * (sizeof *scratch + 2));
    strokes.values = malloc((size_t)box * (size_t)box * sizeof *strokes.values);
    if (scratch == NULL || strokes.values == NULL) {
        free(scratch);
        free(strokes.values);
        return cn_fail(error, CN_MEMORY, "no memory for a canvas of %zu x %zu", reach, reach);
    }
    uint8_t *canvas = (uint8_t *)(scratch + most), *changed = canvas + most;
    part.width = strokes.width * times;
    part.height = strokes.height * times;
    int stride = part.width;
    double scale = (double)side / (crop.width > crop.height ? crop.width : crop.height);
    draw(plane, crop, part.width, part.height, 0, scratch, canvas);
    const int margin = find_margin(stroke_width(canvas, part.width, part.height), side, times);
    if (margin != 0) {
        scale = draw_changed(plane, crop, side, margin, scratch, canvas, changed, &part, &stride);
        strokes.thickened = (float)(2 * margin / scale);
        strokes.width = (part.width + times / 2) / times;
        strokes.height = (part.height + times / 2) / times;
        canvas = changed;
    }
    strokes.width = strokes.width < 1 ? 1 : strokes.width;
    strokes.height = strokes.height < 1 ? 1 : strokes.height;
    strokes.scale = (float)(scale / times);
    cn_resize(canvas, stride, part, strokes.width, strokes.height, strokes.values);
    free(scratch);
    *ret_strokes = strokes;
    return CN_OK;
}

/* The mean of the pixels that have ink, of 255; in MNIST it is 174. */
static const double usual_ink = 160.0;

static int clamp(long value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

/* Rounds to the 256 levels that raw images have. */
static float to_level(double value) {
    return (float)fmin(fmax(round(value), 0.0), 255.0) / 255.0F;
}

/* The factor that brings scaled ink to MNIST's strength: the strongest pixel becomes 255, or more
 * if most ink is faint compared with it. */
static double find_gain(const float *values, size_t count) {
    double peak = 0.0, sum = 0.0;
    size_t inked = 0;
    for (size_t i = 0; i < count; i++) {
        peak = fmax(peak, (double)values[i]);
        sum += (double)values[i];
        inked += values[i] > 0.0F;
    }
    return inked == 0 ? 0.0 : fmax(255.0 / peak, usual_ink * (double)inked / sum);
}

void cn_strokes_place(const struct cn_strokes *strokes, const struct cn_shape *shape,
                      float *image) {
    const int width = strokes->width, height = strokes->height;
    const double gain = find_gain(strokes->values, (size_t)width * (size_t)height);
    double x = 0.0, y = 0.0;
    (void)cn_ink_center(strokes->values, height, width, &x, &y);
    const int left = clamp(lround(shape->dims[1] / 2 - x), 0, shape->dims[1] - width);
    const int top = clamp(lround(shape->dims[0] / 2 - y), 0, shape->dims[0] - height);
    memset(image, 0, cn_shape_size(shape) * sizeof *image);
    for (int v = 0; v < height; v++)
        for (int u = 0; u < width; u++)
            image[(size_t)(top + v) * (size_t)shape->dims[1] + (size_t)(left + u)] =
                to_level(gain * (double)strokes->values[(size_t)v * (size_t)width + (size_t)u]);
}
