/* reliability.c: how often answers of a confidence are right, against the confidence. */

#include "cli/report/canvas.h"

static void draw_bar(cairo_t *cairo, struct box plot, int index,
                     const struct cn_reliability_bin *bin) {
    const double width = plot.width / CN_RELIABILITY_BINS, n = (double)bin->samples;
    const double accuracy = (double)bin->correct / n, confidence = bin->confidence / n;
    double interval[2];
    const double x = plot.x + index * width, bottom = plot.y + plot.height;
    evaluate_interval(bin->correct, bin->samples, interval);
    canvas_color(cairo, INK_GOOD);
    cairo_rectangle(cairo, x + 2, bottom - accuracy * plot.height, width - 4,
                    accuracy * plot.height);
    cairo_fill(cairo);
    /* The range that chance alone explains: few samples tell little. */
    canvas_color(cairo, INK_FAINT);
    cairo_set_line_width(cairo, 1.5);
    cairo_move_to(cairo, x + width / 2, bottom - interval[0] * plot.height);
    cairo_line_to(cairo, x + width / 2, bottom - interval[1] * plot.height);
    cairo_stroke(cairo);
    canvas_color(cairo, INK_BAD);
    cairo_set_line_width(cairo, 2);
    cairo_move_to(cairo, x + 2, bottom - confidence * plot.height);
    cairo_line_to(cairo, x + width - 2, bottom - confidence * plot.height);
    cairo_stroke(cairo);
}

void report_reliability(cairo_t *cairo, struct box box, const struct evaluate_result *result) {
    box = canvas_heading(cairo, box, "Calibration: accuracy of the answers of each confidence");
    const struct box plot = {box.x + 44, box.y + 8, box.width - 50, box.height - 80};
    canvas_axes(cairo, plot, &(struct axis){0, 1, 0.2, 1});
    for (int i = 0; i < CN_RELIABILITY_BINS; i++) {
        const double x = plot.x + (i + 0.5) * plot.width / CN_RELIABILITY_BINS;
        if (result->bins[i].samples > 0)
            draw_bar(cairo, plot, i, &result->bins[i]);
        canvas_color(cairo, INK_FAINT);
        canvas_printf(cairo, x, plot.y + plot.height + 16, 9, ALIGN_CENTER, "%zu",
                      result->bins[i].samples);
    }
    canvas_color(cairo, INK_FAINT);
    canvas_text(cairo, plot.x, plot.y + plot.height + 32, 11, ALIGN_LEFT,
                "confidence 0 to 1, with the number of answers; grey: 95 % interval");
    canvas_color(cairo, INK_BAD);
    canvas_printf(cairo, plot.x, plot.y + plot.height + 48, 11, ALIGN_LEFT,
                  "red: mean confidence. Expected calibration error %.4f",
                  result->calibration_error);
}
