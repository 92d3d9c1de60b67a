/* report.c: the page of `convnet report` and `convnet evaluate --report`: its layout, and the file
 * as SVG or PNG. Drawn with cairo into memory and written atomically. */
#include <cairo-svg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/names.h"
#include "cli/report/canvas.h"

enum { WIDTH = 1120, MARGIN = 32, TOP = 96, FIGURES = 440, MISTAKES = 340, CURVES = 260 };

enum cn_status report_check(const char *path, struct cn_error *error) {
    if (!cn_name_ends(path, ".svg") && !cn_name_ends(path, ".png"))
        return cn_fail(error, CN_INVALID, "the report \"%s\" must end with .svg or .png", path);
    return cli_check_writable(path, error);
}

/* Collects the output of cairo in a text. */
static cairo_status_t gather(void *closure, const unsigned char *bytes, unsigned int length) {
    struct cn_text *output = closure;
    cn_text_add_bytes(output, bytes, length);
    return output->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static void draw_title(cairo_t *cairo, const struct evaluate_result *result) {
    const struct cn_evaluation *e = &result->evaluation;
    canvas_color(cairo, INK_TEXT);
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    canvas_printf(cairo, MARGIN, 44, 22, ALIGN_LEFT, "%s: %.2f %% of %zu right",
                  result->settings->model, 100 * e->accuracy, e->samples);
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    canvas_color(cairo, INK_FAINT);
    canvas_printf(
        cairo, MARGIN, 66, 12, ALIGN_LEFT,
        "95 %% interval %.2f to %.2f %%; %zu mistakes; %s %.5f; temperature %g; %s data of "
        "%s; model %.12s",
        100 * result->interval[0], 100 * result->interval[1], e->samples - e->correct,
        cn_loss_names[result->settings->loss], e->loss,
        cli_decimal(result->model->network->temperature), cn_split_names[result->settings->split],
        result->settings->data, result->model->sha256);
}

/* The parts of a page, from top to bottom. */
struct page {
    const struct evaluate_result *result; /* NULL: the curves alone */
    struct history history;
};

static int page_height(const struct page *page) {
    return (page->result != NULL ? TOP + FIGURES + MISTAKES : MARGIN) +
           (page->history.count > 0 ? CURVES : 0);
}

static void draw_page(cairo_t *cairo, const struct page *page) {
    const double inside = WIDTH - 2 * MARGIN, half = inside / 2;
    const struct evaluate_result *result = page->result;
    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    if (result != NULL) {
        draw_title(cairo, result);
        report_confusion(cairo, (struct box){MARGIN, TOP, half - 20, FIGURES - 24}, result);
        report_reliability(cairo, (struct box){MARGIN + half + 10, TOP, half - 10, FIGURES - 24},
                           result);
        report_mistakes(cairo, (struct box){MARGIN, TOP + FIGURES, inside, MISTAKES - 24}, result);
    }
    if (page->history.count > 0) {
        const double top = page_height(page) - CURVES;
        report_curves(cairo, (struct box){MARGIN, top, inside, CURVES - 24}, &page->history);
    }
}

static enum cn_status check_status(cairo_status_t status, struct cn_error *error) {
    return status == CAIRO_STATUS_SUCCESS ? CN_OK
                                          : cn_fail(error, CN_MEMORY, "cannot draw the report: %s",
                                                    cairo_status_to_string(status));
}

static enum cn_status report_draw(const struct page *page, bool svg, struct cn_text *output,
                                  struct cn_error *error) {
    const int height = page_height(page);
    cairo_surface_t *surface =
        svg ? cairo_svg_surface_create_for_stream(gather, output, WIDTH, height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, height);
    cairo_t *cairo = cairo_create(surface);
    draw_page(cairo, page);
    enum cn_status status = check_status(cairo_status(cairo), error);
    cairo_destroy(cairo);
    if (status == CN_OK && !svg)
        status = check_status(cairo_surface_write_to_png_stream(surface, gather, output), error);
    cairo_surface_finish(surface);
    if (status == CN_OK)
        status = check_status(cairo_surface_status(surface), error);
    cairo_surface_destroy(surface);
    return status;
}

enum cn_status report_write(const struct evaluate_result *result, const char *history,
                            const char *path, struct cn_error *error) {
    struct page page = {.result = result};
    struct cn_text output = {0};
    enum cn_status status =
        history != NULL ? report_read_history(history, &page.history, error) : CN_OK;
    if (status == CN_OK)
        status = report_draw(&page, cn_name_ends(path, ".svg"), &output, error);
    if (status == CN_OK) {
        const struct cn_file_part part = {output.bytes, output.length};
        status = cn_file_write(path, &part, 1, error);
    }
    free(output.bytes);
    free(page.history.records);
    return status;
}
