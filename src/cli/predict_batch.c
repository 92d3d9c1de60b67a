/* predict_batch.c: collects inputs, decodes and computes them together, and prints the results in
 * input order.
 *
 * Decoding and the forward pass are parallel over the batch; everything else uses one thread.
 * Memory is bounded by the batch, whatever the number of inputs. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/predict_command.h"
#include "cli/progress.h"

enum { BATCH_IMAGES = 256, BATCH_BYTES = 64 << 20 };

struct slot {
    char *name;
    unsigned char *bytes; /* a picture in memory; NULL: read the file `name` */
    size_t length;
    struct cn_archive_member *member; /* if set, unpack this instead */
    size_t number;                    /* of the input, if ranks share the inputs */
    bool ready;                       /* the image is already in the batch */
    struct cn_error error;            /* why there is no image */
    bool is_picture;                  /* `report` is valid */
    struct cn_preprocessing_report report;
};

struct batch {
    struct batch_options options;
    const struct cn_model *model;
    bool begun;
    struct batch_counts counts;
    struct progress progress;
    size_t capacity, count;
    size_t input_size;
    struct slot *slots;      /* [capacity] */
    float *images, *outputs; /* [capacity, ...] */
    struct cn_plan *plan;
    struct cn_workspace **workspaces; /* [threads] */
    char image_path[PATH_MAX];        /* of the image that was saved last */
};

enum cn_status batch_create(const struct batch_options *options, const struct cn_model *model,
                            struct batch **ret_batch, struct cn_error *error) {
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a batch");
    size_t input_size = cn_shape_size(&model->network->input_shape);
    size_t fit = BATCH_BYTES / (input_size * sizeof(float));
    *batch = (struct batch){.options = *options,
                            .model = model,
                            .progress = progress_create(options->quiet),
                            .input_size = input_size,
                            .capacity = fit < 1              ? 1
                                        : fit > BATCH_IMAGES ? BATCH_IMAGES
                                                             : fit};
    enum cn_status status = cn_plan_create(model->network, &batch->plan, error);
    batch->slots = calloc(batch->capacity, sizeof *batch->slots);
    batch->images = cn_floats_allocate(batch->capacity * input_size);
    batch->outputs = cn_floats_allocate(batch->capacity * model->output_size);
    if (batch->slots == NULL || batch->images == NULL || batch->outputs == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for %zu images", batch->capacity);
    if (status == CN_OK)
        status = cn_workspaces_create(batch->plan, options->threads, &batch->workspaces, error);
    if (status != CN_OK) {
        batch_free(batch);
        return status;
    }
    *ret_batch = batch;
    return CN_OK;
}

static void clear_slot(struct slot *slot) {
    free(slot->name);
    free(slot->bytes);
    free(slot->member);
    memset(slot, 0, sizeof *slot);
}

void batch_free(struct batch *batch) {
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->count; i++)
        clear_slot(&batch->slots[i]);
    cn_workspaces_free(batch->workspaces, batch->options.threads);
    free(batch->slots);
    free(batch->images);
    free(batch->outputs);
    cn_plan_free(batch->plan);
    free(batch);
}

/* ---- The line on a terminal ---- */

static void format_counts(const struct batch *batch, char *text, size_t size) {
    int length = snprintf(text, size, "%zu could not be scored", batch->counts.failed);
    if (batch->counts.failed == 0) {
        length = 0;
        text[0] = '\0';
    }
    if (batch->counts.skipped > 0) {
        (void)snprintf(text + length, size - (size_t)length, "%s%zu were there already",
                       length > 0 ? ", " : "", batch->counts.skipped);
    }
}

static size_t images_seen(const struct batch *batch) {
    return batch->counts.scored + batch->counts.failed;
}

static void draw_line(struct batch *batch) {
    char text[96];
    format_counts(batch, text, sizeof text);
    (void)progress_draw(&batch->progress, images_seen(batch), 0, 0, "image", text);
}

void batch_summary(struct batch *batch) {
    char text[96];
    format_counts(batch, text, sizeof text);
    progress_end(&batch->progress, images_seen(batch), 0, 0, "image", text);
}

/* ---- The images ---- */

/* Makes the image of one input, on any thread. */
static void decode(const struct batch *batch, struct slot *slot, float *image) {
    enum cn_status status = CN_OK;
    if (slot->ready || slot->error.status != CN_OK)
        return;
    const void *bytes = slot->bytes;
    if (slot->member != NULL) {
        void *owned = NULL;
        status = cn_archive_unpack(slot->member, PREDICT_FILE_LIMIT, &bytes, &owned, &slot->error);
        slot->bytes = owned;
        slot->length = slot->member->size;
    } else if (slot->bytes == NULL) {
        status =
            cn_file_read(slot->name, PREDICT_FILE_LIMIT, &slot->bytes, &slot->length, &slot->error);
        bytes = slot->bytes;
    }
    if (status == CN_OK) {
        status = cn_image_decode(
            batch->options.mode, &batch->model->preprocessing, &cn_picture_default_limits, bytes,
            slot->length, &batch->model->network->input_shape, image, &slot->report, &slot->error);
    }
    slot->is_picture = true;
    slot->ready = status == CN_OK;
    free(slot->bytes);
    slot->bytes = NULL;
}

/* In a rank's part a row follows the number of its input. */
static void add_row(const struct batch *batch, const struct slot *slot,
                    const struct prediction *prediction, struct cn_text *rows) {
    if (batch->options.share != NULL) {
        cn_text_add_size(rows, slot->number);
        cn_text_add(rows, " ");
    }
    batch->options.format->add_row(rows, batch->model, prediction, &batch->options.choice);
}

static void add_failure(struct batch *batch, struct slot *slot, struct cn_text *rows) {
    if (slot->error.source[0] == '\0' && slot->name != NULL)
        (void)snprintf(slot->error.source, sizeof slot->error.source, "%s", slot->name);
    progress_clear(&batch->progress);
    (void)cli_report(batch->options.command, &slot->error);
    batch->counts.failed++;
    const struct prediction prediction = {.file = slot->name, .failure = slot->error.text};
    add_row(batch, slot, &prediction, rows);
}

/* Writes the image that the network saw; false, after a message, if that fails. */
static bool save_image(struct batch *batch, const float *image, const char *path) {
    struct cn_error error = {0};
    void *png = NULL;
    size_t length = 0;
    enum cn_status status =
        cn_image_to_png(&batch->model->preprocessing, image, &batch->model->network->input_shape,
                        &png, &length, &error);
    if (status == CN_OK) {
        FILE *file = fopen(path, "wb");
        bool good = file != NULL && fwrite(png, 1, length, file) == length;
        good = (file == NULL || fclose(file) == 0) && good;
        status = good ? CN_OK
                      : cn_fail_at(&error, CN_IO, path, -1, "cannot write the image: %s",
                                   strerror(errno));
    }
    free(png);
    if (status != CN_OK) {
        (void)cli_report(batch->options.command, &error);
        batch->counts.failed++;
    }
    return status == CN_OK;
}

static void add_answer(struct batch *batch, size_t index, struct cn_text *rows) {
    const struct slot *slot = &batch->slots[index];
    struct prediction prediction = {.file = slot->name,
                                    .outputs = batch->outputs + index * batch->model->output_size};
    char *path = batch->image_path;
    batch->counts.scored++;
    prediction.report = slot->is_picture ? &slot->report : NULL;
    if (batch->options.images != NULL) {
        (void)snprintf(path, sizeof batch->image_path, "%s/%zu.png", batch->options.images,
                       batch->counts.scored);
        if (save_image(batch, batch->images + index * batch->input_size, path))
            prediction.image = path;
    }
    add_row(batch, slot, &prediction, rows);
}

bool batch_flush(struct batch *batch) {
    const size_t count = batch->count;
    struct cn_text rows = {0};
    if (!batch->begun)
        cn_text_add(&rows, batch->options.head);
    batch->begun = true;
#pragma omp parallel for schedule(dynamic)                                                         \
    num_threads(batch->options.threads) if (count > 1 && batch->options.threads > 1)
    for (size_t i = 0; i < count; i++)
        decode(batch, &batch->slots[i], batch->images + i * batch->input_size);
    if (count > 0) {
        cn_plan_run_parallel(batch->plan, batch->workspaces, batch->options.threads, batch->images,
                             count, batch->outputs);
    }
    for (size_t i = 0; i < count; i++) {
        if (batch->slots[i].ready)
            add_answer(batch, i, &rows);
        else
            add_failure(batch, &batch->slots[i], &rows);
        clear_slot(&batch->slots[i]);
    }
    batch->count = 0;
    draw_line(batch);
    /* Rows are printed together, so that an interrupted command leaves no partial row. */
    cli_put_text(&rows);
    return fflush(stdout) == 0 && cli_stdout_good() && !cli_interrupted();
}

/* The next slot, with a copy of `name`. NULL if memory runs out, or with *ret_going true if the
 * input has a row already or is another rank's. */
static struct slot *next_slot(struct batch *batch, const char *name, bool *ret_going) {
    struct slot *slot = &batch->slots[batch->count];
    struct predict_share *share = batch->options.share;
    struct predict_done *done = batch->options.done;
    bool is_done = false;
    const bool is_mine = share == NULL || predict_share_takes(share, name, &slot->number, &is_done);
    is_done = is_done || (done != NULL && predict_done_take(done, name));
    batch->counts.skipped += is_mine && is_done;
    *ret_going = !is_mine || is_done;
    if (*ret_going)
        return NULL;
    slot->name = strdup(name);
    if (slot->name == NULL) {
        batch->counts.failed++;
        (void)cli_fail(batch->options.command, "no memory for a name");
        return NULL;
    }
    batch->count++;
    *ret_going = true;
    return slot;
}

static bool flush_if_full(struct batch *batch) {
    return batch->count < batch->capacity || batch_flush(batch);
}

bool batch_add_file(struct batch *batch, const char *path) {
    bool going;
    return next_slot(batch, path, &going) != NULL ? flush_if_full(batch) : going;
}

bool batch_add_png(struct batch *batch, const char *name, unsigned char *bytes, size_t length) {
    bool going;
    struct slot *slot = next_slot(batch, name, &going);
    if (slot == NULL) {
        free(bytes);
        return going;
    }
    slot->bytes = bytes;
    slot->length = length;
    return flush_if_full(batch);
}

bool batch_add_member(struct batch *batch, const char *name,
                      const struct cn_archive_member *member) {
    bool going;
    struct slot *slot = next_slot(batch, name, &going);
    if (slot == NULL || (slot->member = malloc(sizeof *member)) == NULL)
        return slot == NULL && going;
    *slot->member = *member;
    return flush_if_full(batch);
}

bool batch_add_image(struct batch *batch, const char *name, const unsigned char *samples) {
    size_t index = batch->count;
    bool going;
    struct slot *slot = next_slot(batch, name, &going);
    if (slot == NULL)
        return going;
    float *image = batch->images + index * batch->input_size;
    cn_image_from_bytes(samples, batch->input_size, image);
    cn_preprocessing_normalize(&batch->model->preprocessing, &batch->model->network->input_shape, 1,
                               image);
    slot->ready = true;
    return flush_if_full(batch);
}

bool batch_add_other_size(struct batch *batch, const char *name, const struct cn_picture *picture) {
    struct cn_preprocessing as_ink = batch->model->preprocessing;
    size_t index = batch->count;
    bool going;
    struct slot *slot = next_slot(batch, name, &going);
    if (slot == NULL)
        return going;
    as_ink.invert = false; /* an IDX file's polarity is known */
    slot->is_picture = true;
    slot->ready = cn_preprocess(&as_ink, picture, &batch->model->network->input_shape,
                                batch->images + index * batch->input_size, &slot->report,
                                &slot->error) == CN_OK;
    return flush_if_full(batch);
}

bool batch_add_failure(struct batch *batch, const struct cn_error *error) {
    bool going;
    struct slot *slot = next_slot(batch, error->source, &going);
    if (slot == NULL)
        return going;
    slot->error = *error;
    return flush_if_full(batch);
}

struct batch_counts batch_counts(const struct batch *batch) {
    return batch->counts;
}
