/* confusion.c: how often each class was taken for each, as a table of shades. */
#include <math.h>

#include "cli/report/canvas.h"

/* Mistakes are few: the shade follows the logarithm of their number. */
static double shade(size_t count, size_t most) {
    return count == 0 ? 0 : 0.12 + 0.88 * log1p((double)count) / log1p((double)most);
}

static void draw_cell(cairo_t *cairo, struct box cell, size_t count, size_t most, bool right) {
    const double part = shade(count, most);
    canvas_color(cairo, INK_GRID);
    cairo_rectangle(cairo, cell.x, cell.y, cell.width, cell.height);
    cairo_set_line_width(cairo, 1);
    cairo_stroke_preserve(cairo);
    if (right)
        cairo_set_source_rgb(cairo, 1 - 0.84 * part, 1 - 0.55 * part, 1 - 0.28 * part);
    else
        cairo_set_source_rgb(cairo, 1 - 0.20 * part, 1 - 0.75 * part, 1 - 0.82 * part);
    cairo_fill(cairo);
    if (count == 0 || cell.height < 12)
        return;
    canvas_color(cairo, INK_TEXT);
    if (part > 0.6)
        cairo_set_source_rgb(cairo, 1, 1, 1);
    canvas_printf(cairo, cell.x + cell.width / 2, cell.y + cell.height / 2 + 4,
                  fmin(11, cell.width / 3.5), ALIGN_CENTER, "%zu", count);
}

void report_confusion(cairo_t *cairo, struct box box, const struct evaluate_result *result) {
    const struct cn_evaluation *e = &result->evaluation;
    const size_t classes = e->class_count;
    size_t most_right = 1, most_wrong = 1;
    box = canvas_heading(cairo, box, "Confusion: rows are the true classes");
    for (size_t i = 0; i < classes * classes; i++) {
        size_t *most = i % (classes + 1) == 0 ? &most_right : &most_wrong;
        *most = e->confusion[i] > *most ? e->confusion[i] : *most;
    }
    double widest = 0;
    for (size_t i = 0; i < classes; i++)
        widest = fmax(widest, canvas_width(cairo, 11, result->model->labels[i]));
    /* Names that are wider than a cell stand on end above it. */
    const double left = fmin(fmax(widest, 20) + 16, box.width * 0.45);
    const bool upright = widest > (box.width - left) / (double)classes - 2;
    const double top = upright ? fmin(widest + 18, box.height * 0.45) : 20;
    const double side = fmin(box.width - left, box.height - top) / (double)classes;
    for (size_t i = 0; i < classes; i++) {
        const double along = (double)i * side;
        canvas_color(cairo, INK_FAINT);
        if (side >= 9) {
            const char *label = result->model->labels[i];
            canvas_fit(cairo, box.x + left - 8, box.y + top + along + side / 2 + 4, 11, ALIGN_RIGHT,
                       left - 8, label);
            cairo_save(cairo);
            cairo_translate(cairo, box.x + left + along + side / 2 + (upright ? 4 : 0),
                            box.y + top - 7);
            cairo_rotate(cairo, upright ? -1.5707963 : 0);
            canvas_fit(cairo, 0, 0, 11, upright ? ALIGN_LEFT : ALIGN_CENTER,
                       upright ? top - 10 : side - 2, label);
            cairo_restore(cairo);
        }
        for (size_t j = 0; j < classes; j++) {
            const struct box cell = {box.x + left + (double)j * side, box.y + top + along, side,
                                     side};
            draw_cell(cairo, cell, e->confusion[i * classes + j], i == j ? most_right : most_wrong,
                      i == j);
        }
    }
}
