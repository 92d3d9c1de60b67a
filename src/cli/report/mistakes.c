/* mistakes.c: the images that the model is surest about and wrong. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/canvas.h"

struct mistake {
    size_t sample, answer;
    float confidence;
};

static int compare(const void *a, const void *b) {
    const struct mistake *x = a, *y = b;
    if (x->confidence != y->confidence)
        return x->confidence < y->confidence ? 1 : -1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

/* All mistakes, the surest first; malloc'd, NULL if memory runs out. */
static struct mistake *find_mistakes(const struct evaluate_result *result, size_t *ret_count) {
    const struct cn_evaluation *e = &result->evaluation;
    struct mistake *mistakes = malloc((e->samples - e->correct + 1) * sizeof *mistakes);
    size_t count = 0;
    for (size_t i = 0; mistakes != NULL && i < e->samples; i++) {
        struct mistake mistake = {.sample = i};
        mistake.answer = cn_plan_answer(e->probabilities + i * e->class_count, e->class_count,
                                        &mistake.confidence);
        if (mistake.answer != result->data->labels[i])
            mistakes[count++] = mistake;
    }
    if (mistakes != NULL)
        qsort(mistakes, count, sizeof *mistakes, compare);
    *ret_count = count;
    return mistakes;
}

/* The image as the network sees it, ink dark on light for grey ones. */
static void draw_image(cairo_t *cairo, struct box box, const struct cn_shape *shape,
                       const uint8_t *samples) {
    const int height = shape->dims[0], width = shape->dims[1], channels = shape->dims[2];
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    uint32_t *pixels = (uint32_t *)(void *)cairo_image_surface_get_data(image);
    if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(image);
        return;
    }
    const int stride = cairo_image_surface_get_stride(image) / 4;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const uint8_t *pixel = samples + (y * width + x) * channels;
            const uint32_t grey = 255u - pixel[0];
            pixels[y * stride + x] =
                channels == 3 ? (uint32_t)pixel[0] << 16 | (uint32_t)pixel[1] << 8 | pixel[2]
                              : grey << 16 | grey << 8 | grey;
        }
    }
    cairo_surface_mark_dirty(image);
    cairo_save(cairo);
    cairo_translate(cairo, box.x, box.y);
    cairo_scale(cairo, box.width / width, box.height / height);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(image);
    canvas_color(cairo, INK_GRID);
    cairo_set_line_width(cairo, 1);
    cairo_rectangle(cairo, box.x, box.y, box.width, box.height);
    cairo_stroke(cairo);
}

void report_mistakes(cairo_t *cairo, struct box box, const struct evaluate_result *result) {
    enum { COLUMNS = 14, ROWS = 3 };
    const struct cn_dataset *data = result->data;
    const size_t size = cn_shape_size(&data->shape);
    size_t count = 0;
    struct mistake *mistakes = find_mistakes(result, &count);
    box = canvas_heading(
        cairo, box,
        "Worst mistakes: true class (blue), answer (red), its confidence and the picture");
    if (count == 0) {
        canvas_color(cairo, INK_FAINT);
        canvas_text(cairo, box.x, box.y + 14, 12, ALIGN_LEFT, "None.");
    }
    const double step_x = box.width / COLUMNS, step_y = box.height / ROWS;
    const double side = fmin(step_x - 10, step_y - 38);
    for (size_t i = 0; mistakes != NULL && i < count && i < (size_t)COLUMNS * ROWS; i++) {
        const struct mistake *m = &mistakes[i];
        const double x = box.x + (double)(i % COLUMNS) * step_x;
        const double y = box.y + (double)(i / COLUMNS) * step_y;
        draw_image(cairo, (struct box){x, y, side, side}, &data->shape,
                   data->images + m->sample * size);
        canvas_color(cairo, INK_GOOD);
        canvas_fit(cairo, x, y + side + 12, 10, ALIGN_LEFT, step_x - 6,
                   result->model->labels[data->labels[m->sample]]);
        canvas_color(cairo, INK_BAD);
        canvas_fit(cairo, x, y + side + 23, 10, ALIGN_LEFT, step_x - 6,
                   result->model->labels[m->answer]);
        canvas_color(cairo, INK_FAINT);
        char place[160];
        const char *name = data->names != NULL ? strrchr(data->names[m->sample], '/') : NULL;
        if (data->names != NULL) {
            (void)snprintf(place, sizeof place, "%.3f  %.140s", (double)m->confidence,
                           name != NULL ? name + 1 : data->names[m->sample]);
        } else {
            (void)snprintf(place, sizeof place, "%.3f  #%zu", (double)m->confidence, m->sample);
        }
        canvas_fit(cairo, x, y + side + 34, 9, ALIGN_LEFT, step_x - 6, place);
    }
    free(mistakes);
}
