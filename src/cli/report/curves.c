/* curves.c: losses and accuracies over the epochs, from the file that `convnet train` wrote. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report/canvas.h"

enum { COLUMNS = 7, MOST_EPOCHS = 1000000 };

/* One row of COLUMNS numbers, which others may follow; an empty one is NaN. */
static bool parse_row(const char *line, double values[static COLUMNS]) {
    for (int i = 0; i < COLUMNS; i++) {
        char *end;
        values[i] = strtod(line, &end);
        if (end == line)
            values[i] = (double)NAN;
        if (*end != ',' && (i + 1 < COLUMNS || *end != '\0'))
            return false;
        line = end + 1;
    }
    return true;
}

static enum cn_status add_row(struct history *history, const double values[static COLUMNS],
                              struct cn_error *error) {
    struct cn_epoch_record *more =
        realloc(history->records, (history->count + 1) * sizeof *history->records);
    if (more == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the history");
    history->records = more;
    more[history->count] = (struct cn_epoch_record){.epoch = (int)history->count + 1,
                                                    .loss = values[1],
                                                    .accuracy = values[2],
                                                    .validation_loss = values[3],
                                                    .validation_accuracy = values[4],
                                                    .learning_rate = values[5]};
    history->count++;
    return CN_OK;
}

enum cn_status report_read_history(const char *path, struct history *ret_history,
                                   struct cn_error *error) {
    static const char header[] = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds";
    struct history history = {0};
    enum cn_status status = CN_OK;
    char line[512];
    double values[COLUMNS];
    long long number = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    while (status == CN_OK && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        number++;
        if (number == 1 && strncmp(line, header, sizeof header - 1) != 0) {
            status = cn_fail_at(error, CN_MALFORMED, path, number,
                                "is not a history: its first line must be \"%s\"", header);
        } else if (number > 1 && (history.count >= MOST_EPOCHS || !parse_row(line, values))) {
            status = cn_fail_at(error, CN_MALFORMED, path, number, "is not a row of %d numbers",
                                COLUMNS);
        } else if (number > 1) {
            status = add_row(&history, values, error);
        }
    }
    (void)fclose(file);
    if (status == CN_OK && history.count == 0)
        status = cn_fail_at(error, CN_MALFORMED, path, -1, "is a history without an epoch");
    if (status != CN_OK) {
        free(history.records);
        return status;
    }
    *ret_history = history;
    return CN_OK;
}

/* One value of a record, by its place, so that one loop draws all curves. */
static double value_of(const struct history *history, size_t index, size_t offset) {
    return *(const double *)(const void *)((const char *)&history->records[index] + offset);
}

static void draw_curve(cairo_t *cairo, struct box plot, const struct history *history,
                       size_t offset, double low, double high, enum ink ink) {
    bool drawing = false;
    canvas_color(cairo, ink);
    cairo_set_line_width(cairo, 2);
    for (size_t i = 0; i < history->count; i++) {
        const double value = value_of(history, i, offset);
        if (!isfinite(value)) {
            drawing = false;
            continue;
        }
        const double part = fmin(fmax((value - low) / (high - low), 0), 1);
        const double along = history->count > 1 ? (double)i / (double)(history->count - 1) : 0.5;
        const double x = plot.x + along * plot.width, y = plot.y + (1 - part) * plot.height;
        (drawing ? cairo_line_to : cairo_move_to)(cairo, x, y);
        if (history->count == 1)
            cairo_arc(cairo, x, y, 2, 0, 6.28);
        drawing = true;
    }
    cairo_stroke(cairo);
}

/* Training and validation curve of one quantity. */
static void draw_pair(cairo_t *cairo, struct box box, const struct history *history,
                      const char *name, size_t offset, size_t validation_offset) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < history->count; i++) {
        const double values[] = {value_of(history, i, offset),
                                 value_of(history, i, validation_offset)};
        for (int k = 0; k < 2; k++) {
            if (isfinite(values[k])) {
                low = fmin(low, values[k]);
                high = fmax(high, values[k]);
            }
        }
    }
    if (validation_offset == offset) /* a rate: its zero matters */
        low = 0;
    if (!(high > low))
        high = low + 1e-3;
    const struct box plot = {box.x + 56, box.y + 20, box.width - 66, box.height - 52};
    const struct axis axis = canvas_axis(low, high);
    canvas_axes(cairo, plot, &axis);
    canvas_epochs(cairo, plot, history->count);
    draw_curve(cairo, plot, history, offset, axis.low, axis.high, INK_FIRST);
    if (validation_offset != offset)
        draw_curve(cairo, plot, history, validation_offset, axis.low, axis.high, INK_SECOND);
    canvas_color(cairo, INK_TEXT);
    canvas_text(cairo, box.x + 56, box.y + 12, 12, ALIGN_LEFT, name);
    canvas_color(cairo, INK_FAINT);
    canvas_text(cairo, plot.x + plot.width, plot.y + plot.height + 30, 11, ALIGN_RIGHT, "epoch");
}

void report_curves(cairo_t *cairo, struct box box, const struct history *history) {
    box = canvas_heading(cairo, box, "Training");
    canvas_color(cairo, INK_FIRST);
    canvas_text(cairo, box.x + 80, box.y - 12, 12, ALIGN_LEFT, "training");
    canvas_color(cairo, INK_SECOND);
    canvas_text(cairo, box.x + 140, box.y - 12, 12, ALIGN_LEFT, "validation");
    static const struct {
        const char *name;
        size_t training, validation;
    } quantities[] = {
        {"Loss", offsetof(struct cn_epoch_record, loss),
         offsetof(struct cn_epoch_record, validation_loss)},
        {"Accuracy", offsetof(struct cn_epoch_record, accuracy),
         offsetof(struct cn_epoch_record, validation_accuracy)},
        {"Learning rate", offsetof(struct cn_epoch_record, learning_rate),
         offsetof(struct cn_epoch_record, learning_rate)},
    };
    enum { QUANTITIES = sizeof quantities / sizeof *quantities, GAP = 20 };
    const double width = (box.width - GAP * (QUANTITIES - 1)) / QUANTITIES;
    for (size_t i = 0; i < QUANTITIES; i++) {
        draw_pair(cairo, (struct box){box.x + (double)i * (width + GAP), box.y, width, box.height},
                  history, quantities[i].name, quantities[i].training, quantities[i].validation);
    }
}
