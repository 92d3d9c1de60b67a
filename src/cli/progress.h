/* progress.h: a progress bar on stderr, if that is a terminal. */
#ifndef CONVNET_CLI_PROGRESS_H
#define CONVNET_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool quiet, terminal;  /* without a terminal nothing is drawn */
    uint64_t begun, drawn; /* in nanoseconds */
};

struct progress progress_create(bool quiet);

/* Restarts the time measurement. */
void progress_begin(struct progress *progress);

/* Draws "done/total [===>...] - 4ms/step - ETA: 7s - text", at most ten times per second and no
 * wider than the terminal. `before` of `done` were done before the measurement began. unit: "step",
 * "image". total 0: unknown, so neither bar nor ETA. Returns whether it drew. */
bool progress_draw(struct progress *progress, size_t done, size_t before, size_t total,
                   const char *unit, const char *text);

/* Draws the last line, which stays: the same without ETA, if there is a terminal. */
void progress_end(struct progress *progress, size_t done, size_t before, size_t total,
                  const char *unit, const char *text);

/* Removes the bar, so that other text can be printed. */
void progress_clear(struct progress *progress);

/* A callback for functions of the library: `data` is a struct progress; images are counted. */
void progress_count_images(void *data, size_t done, size_t total);

#endif
