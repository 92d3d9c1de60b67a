/* train_progress.c: Keras's progress: a bar per epoch on a terminal, one line per epoch elsewhere.
 *
 * Called from the training's one thread. */
#include <math.h>
#include <stdio.h>

#include "cli/train.h"

enum { TEXT = 200 };

struct train_progress train_progress_create(int epochs, bool quiet) {
    return (struct train_progress){.bar = progress_create(quiet), .epochs = epochs};
}

/* Prints the epoch's heading if it is a new one; `step` of its steps are finished. */
static void begin_epoch(struct train_progress *progress, int epoch, size_t step) {
    if (progress->epoch == epoch)
        return;
    progress->epoch = epoch;
    progress->first_step = step > 0 ? step - 1 : 0;
    if (progress->bar.terminal)
        fprintf(stderr, "Epoch %d/%d\n", epoch, progress->epochs);
}

void train_progress_step(struct train_progress *progress, int epoch, size_t step, size_t steps,
                         double loss, double accuracy) {
    char text[TEXT];
    if (progress->bar.quiet)
        return;
    begin_epoch(progress, epoch, step);
    if (step < steps) {
        (void)snprintf(text, sizeof text, "loss: %.4f - accuracy: %.4f", loss, accuracy);
        (void)progress_draw(&progress->bar, step, progress->first_step, steps, "step", text);
    }
}

void train_progress_epoch(struct train_progress *progress, const struct cn_epoch_record *record,
                          size_t steps, bool means) {
    char text[TEXT];
    if (progress->bar.quiet)
        return;
    begin_epoch(progress, record->epoch, steps);
    int length =
        snprintf(text, sizeof text, "loss: %.4f - accuracy: %.4f", record->loss, record->accuracy);
    if (isfinite(record->validation_loss)) {
        length += snprintf(text + length, sizeof text - (size_t)length,
                           " - val_loss: %.4f - val_accuracy: %.4f", record->validation_loss,
                           record->validation_accuracy);
    }
    if (means) {
        (void)snprintf(text + length, sizeof text - (size_t)length,
                       " - val_f1: %.4f - val_auc: %.4f", record->validation_means.f1,
                       record->validation_means.auc);
    }
    if (progress->bar.terminal) {
        progress_end(&progress->bar, steps, progress->first_step, steps, "step", text);
    } else {
        fprintf(stderr, "Epoch %d/%d - %.0fs - %s\n", record->epoch, progress->epochs,
                record->seconds, text);
    }
}
