/* progress.c: Keras's progress on stderr: a bar on a terminal, one line an epoch elsewhere.
 *
 * Draws at most 20 times a second. Called from the training's one thread.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/train.h"

enum { BAR = 30 };
static const uint64_t redraw_nanoseconds = 50000000;

struct progress progress_create(int epochs, bool quiet) {
    return (struct progress){.quiet = quiet,
                             .terminal = isatty(STDERR_FILENO) == 1,
                             .epochs = epochs,
                             .begun = cn_clock_nanoseconds()};
}

/* Prints the epoch's heading when it is new; `step` steps of it are done. */
static void begin(struct progress *progress, int epoch, size_t step) {
    if (progress->epoch == epoch) {
        return;
    }
    progress->epoch = epoch;
    progress->first_step = step > 0 ? step - 1 : 0;
    progress->begun = cn_clock_nanoseconds();
    progress->drawn = 0;
    if (progress->terminal) {
        fprintf(stderr, "Epoch %d/%d\n", epoch, progress->epochs);
    }
}

static void draw_bar(size_t step, size_t steps) {
    char bar[BAR + 1];
    size_t filled = steps > 0 ? BAR * step / steps : BAR;
    memset(bar, '.', BAR);
    memset(bar, '=', filled);
    if (filled < BAR) {
        bar[filled] = '>';
    }
    bar[BAR] = '\0';
    fprintf(stderr, "\r%zu/%zu [%s] - ", step, steps, bar);
}

void progress_step(struct progress *progress, int epoch, size_t step, size_t steps, double loss,
                   double accuracy) {
    if (progress->quiet) {
        return;
    }
    begin(progress, epoch, step);
    uint64_t now = cn_clock_nanoseconds();
    if (!progress->terminal || step >= steps || now - progress->drawn < redraw_nanoseconds) {
        return;
    }
    progress->drawn = now;
    double seconds = (double)(now - progress->begun) * 1e-9;
    size_t done = step - progress->first_step;
    draw_bar(step, steps);
    fprintf(stderr, "ETA: %.0fs - loss: %.4f - accuracy: %.4f\033[K",
            done > 0 ? seconds / (double)done * (double)(steps - step) : 0, loss, accuracy);
}

void progress_epoch(struct progress *progress, const struct cn_epoch_record *record, size_t steps) {
    if (progress->quiet) {
        return;
    }
    begin(progress, record->epoch, steps);
    if (progress->terminal) {
        draw_bar(steps, steps);
    } else {
        fprintf(stderr, "Epoch %d/%d - ", record->epoch, progress->epochs);
    }
    fprintf(stderr, "%.0fs - loss: %.4f - accuracy: %.4f", record->seconds, record->loss,
            record->accuracy);
    if (isfinite(record->validation_loss)) {
        fprintf(stderr, " - val_loss: %.4f - val_accuracy: %.4f", record->validation_loss,
                record->validation_accuracy);
    }
    fputs(progress->terminal ? "\033[K\n" : "\n", stderr);
}
