/* canvas.c: text and axes on a cairo page. */
#include "cli/report/canvas.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void canvas_color(cairo_t *cairo, enum ink ink) {
    static const double colors[][3] = {
        [INK_TEXT] = {0.13, 0.15, 0.18},   [INK_FAINT] = {0.45, 0.48, 0.53},
        [INK_GRID] = {0.88, 0.89, 0.91},   [INK_GOOD] = {0.16, 0.45, 0.72},
        [INK_BAD] = {0.80, 0.25, 0.18},    [INK_FIRST] = {0.16, 0.45, 0.72},
        [INK_SECOND] = {0.85, 0.50, 0.10},
    };
    cairo_set_source_rgb(cairo, colors[ink][0], colors[ink][1], colors[ink][2]);
}

void canvas_text(cairo_t *cairo, double x, double y, double size, enum align align,
                 const char *text) {
    cairo_text_extents_t extents;
    char line[320];
    (void)snprintf(line, sizeof line, "%s", text);
    for (char *c = line; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 ? ' ' : *c;
    cairo_set_font_size(cairo, size);
    cairo_text_extents(cairo, line, &extents);
    const double part = align == ALIGN_LEFT ? 0 : align == ALIGN_CENTER ? 0.5 : 1;
    cairo_move_to(cairo, x - part * extents.x_advance, y);
    cairo_show_text(cairo, line);
}

void canvas_printf(cairo_t *cairo, double x, double y, double size, enum align align,
                   const char *format, ...) {
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    canvas_text(cairo, x, y, size, align, line);
}

struct box canvas_heading(cairo_t *cairo, struct box box, const char *text) {
    canvas_color(cairo, INK_TEXT);
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    canvas_text(cairo, box.x, box.y + 14, 15, ALIGN_LEFT, text);
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    return (struct box){box.x, box.y + 26, box.width, box.height - 26};
}

double canvas_width(cairo_t *cairo, double size, const char *text) {
    cairo_text_extents_t extents;
    cairo_set_font_size(cairo, size);
    cairo_text_extents(cairo, text, &extents);
    return extents.x_advance;
}

void canvas_fit(cairo_t *cairo, double x, double y, double size, enum align align, double width,
                const char *text) {
    enum { SMALLEST = 7, LONGEST = 160 };
    char cut[LONGEST + 4];
    size_t length = strlen(text);
    while (size > SMALLEST && canvas_width(cairo, size, text) > width)
        size = fmax(size - 0.25, SMALLEST); /* hinted widths do not follow the size exactly */
    (void)snprintf(cut, sizeof cut, "%.*s", LONGEST, text);
    length = length > LONGEST ? LONGEST : length;
    while (length > 1 && canvas_width(cairo, size, cut) > width) {
        do { /* whole characters of UTF-8 */
            length--;
        } while (length > 1 && ((unsigned char)text[length] & 0xc0) == 0x80);
        (void)snprintf(cut, sizeof cut, "%.*s\xe2\x80\xa6", (int)length, text);
    }
    canvas_text(cairo, x, y, size, align, cut);
}

struct axis canvas_axis(double low, double high) {
    enum { LINES = 4, MOST_DECIMALS = 9 };
    const double least = fmax((high - low) / LINES, 1e-9), power = pow(10, floor(log10(least)));
    const double part = least / power;
    const double step = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
    struct axis axis = {floor(low / step) * step, ceil(high / step) * step, step, 0};
    if (!(axis.high > axis.low))
        axis.high = axis.low + step;
    const double decimals = -floor(log10(step * (1 + 1e-9)));
    axis.decimals = (int)fmin(fmax(decimals, 0), MOST_DECIMALS);
    return axis;
}

void canvas_axes(cairo_t *cairo, struct box box, const struct axis *axis) {
    const double range = axis->high - axis->low;
    const int lines = (int)lrint(range / axis->step);
    for (int i = 0; i <= lines; i++) {
        const double y = box.y + box.height - box.height * i / lines;
        canvas_color(cairo, INK_GRID);
        cairo_set_line_width(cairo, 1);
        cairo_move_to(cairo, box.x, y);
        cairo_line_to(cairo, box.x + box.width, y);
        cairo_stroke(cairo);
        canvas_color(cairo, INK_FAINT);
        canvas_printf(cairo, box.x - 6, y + 4, 11, ALIGN_RIGHT, "%.*f", axis->decimals,
                      axis->low + axis->step * i);
    }
}

void canvas_epochs(cairo_t *cairo, struct box box, size_t count) {
    const struct axis axis = canvas_axis(0, (double)count);
    const size_t step = axis.step >= 1 ? (size_t)lrint(axis.step) : 1;
    canvas_color(cairo, INK_FAINT);
    for (size_t epoch = step == 1 ? 1 : step; epoch <= count; epoch += step) {
        const double part = count > 1 ? (double)(epoch - 1) / (double)(count - 1) : 0.5;
        const double x = box.x + part * box.width;
        cairo_set_line_width(cairo, 1);
        cairo_move_to(cairo, x, box.y + box.height);
        cairo_line_to(cairo, x, box.y + box.height + 4);
        cairo_stroke(cairo);
        canvas_printf(cairo, x, box.y + box.height + 16, 11, ALIGN_CENTER, "%zu", epoch);
    }
}
