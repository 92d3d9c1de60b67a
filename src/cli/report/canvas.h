/* canvas.h: what the parts of the drawn report share: boxes, text, colours. */
#ifndef CONVNET_CLI_REPORT_CANVAS_H
#define CONVNET_CLI_REPORT_CANVAS_H

#include <cairo.h>

#include "cli/evaluate.h"

/* A part's place on the page, in points. */
struct box {
    double x, y, width, height;
};

enum ink { INK_TEXT, INK_FAINT, INK_GRID, INK_GOOD, INK_BAD, INK_FIRST, INK_SECOND };

void canvas_color(cairo_t *cairo, enum ink ink);

enum align { ALIGN_LEFT, ALIGN_CENTER, ALIGN_RIGHT };

/* One line of text with its baseline at y; bytes below 0x20 become spaces. */
void canvas_text(cairo_t *cairo, double x, double y, double size, enum align align,
                 const char *text);
void canvas_printf(cairo_t *cairo, double x, double y, double size, enum align align,
                   const char *format, ...) __attribute__((format(printf, 6, 7)));

/* One line in at most `width`: smaller, down to 7, where it would be wider, and only then cut,
 * which an ellipsis shows. */
void canvas_fit(cairo_t *cairo, double x, double y, double size, enum align align, double width,
                const char *text);

/* The width of a line. */
double canvas_width(cairo_t *cairo, double size, const char *text);

/* A heading over `box`; returns what is left below it. */
struct box canvas_heading(cairo_t *cairo, struct box box, const char *text);

/* Horizontal lines at round numbers: 1, 2 or 5 times a power of ten apart. */
struct axis {
    double low, high, step;
    int decimals;
};

/* The axis of about four lines that holds `low` to `high`. */
struct axis canvas_axis(double low, double high);

/* A frame with its labelled grid lines. */
void canvas_axes(cairo_t *cairo, struct box box, const struct axis *axis);

/* Ticks below a frame that reaches from epoch 1 to `count`, at whole round numbers. */
void canvas_epochs(cairo_t *cairo, struct box box, size_t count);

/* ---- The parts ---- */

void report_confusion(cairo_t *cairo, struct box box, const struct evaluate_result *result);
void report_reliability(cairo_t *cairo, struct box box, const struct evaluate_result *result);
void report_mistakes(cairo_t *cairo, struct box box, const struct evaluate_result *result);

/* The epochs of a training. Caller frees records with free(). */
struct history {
    size_t count;
    struct cn_epoch_record *records;
};

/* Reads what `convnet train --history` wrote. CN_MALFORMED names the line. */
enum cn_status report_read_history(const char *path, struct history *ret_history,
                                   struct cn_error *error);
void report_curves(cairo_t *cairo, struct box box, const struct history *history);

#endif
