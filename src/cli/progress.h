/* progress.h: a bar on a terminal's stderr, for every command that takes long. */
#ifndef CONVNET_CLI_PROGRESS_H
#define CONVNET_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool quiet, terminal;  /* without a terminal nothing is drawn */
    uint64_t begun, drawn; /* nanoseconds */
};

struct progress progress_create(bool quiet);

/* Begins to count the time anew. */
void progress_begin(struct progress *progress);

/* Draws "done/total [===>...] - 4ms/step - ETA: 7s - text", at most ten times a second and no wider
 * than the terminal. `before` of `done` were done when it began. unit: "step", "image". total 0:
 * not known, so neither bar nor ETA. Returns whether it drew. */
bool progress_draw(struct progress *progress, size_t done, size_t before, size_t total,
                   const char *unit, const char *text);

/* The last line, which stays: the same without ETA, if there is a terminal. */
void progress_end(struct progress *progress, size_t done, size_t before, size_t total,
                  const char *unit, const char *text);

/* Takes the bar away, so that something else can be said. */
void progress_clear(struct progress *progress);

/* For functions of the library that call back: `data` is a struct progress; images are counted. */
void progress_count_images(void *data, size_t done, size_t total);

#endif
