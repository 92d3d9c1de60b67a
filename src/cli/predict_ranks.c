/* predict_ranks.c: `convnet predict` on several ranks: which rank scores which inputs, and one file
 * from the rows of all.
 *
 * Every rank walks through all inputs and scores its blocks of them. Its rows go to FILE.part.R,
 * each behind the number of its input, so that what a rank has done survives it and any number of
 * ranks can go on. When all are done rank 0 puts the rows into FILE, in the order of the inputs.
 * The parts lie in one folder that all ranks see. One thread.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/predict_command.h"
#include "cli/ranks.h"

enum { BLOCK = 64, PATH_BYTES = PATH_MAX };

struct predict_share {
    const struct cn_ranks *ranks; /* NULL: one process continues what several ranks began */
    char path[PATH_BYTES];        /* FILE */
    char head[200];               /* what all parts must begin with */
    const struct predict_format *format;
    size_t next;         /* number of the next input */
    struct cn_text name; /* of the last one, as its row begins */
    uint64_t names;      /* a checksum of the names so far */
    uint64_t *done; /* [done_count], checksums of the names that earlier runs have done; 0: none */
    size_t done_count;
    size_t failures; /* rows of earlier runs that have an error in place of an answer */
    off_t whole;     /* the length of this rank's part up to the end of its last complete row */
    bool changed;    /* an input has another name than in an earlier run */
};

/* FNV-1a, continued behind `sum`. */
static uint64_t checksum(uint64_t sum, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * 1099511628211U;
    return sum;
}

static const uint64_t checksum_begin = 14695981039346656037U;

static int rank_of(const struct predict_share *share) {
    return share->ranks != NULL ? share->ranks->rank : 0;
}

static bool part_path(const struct predict_share *share, int rank, char path[static PATH_BYTES]) {
    return snprintf(path, PATH_BYTES, "%s.part.%d", share->path, rank) < PATH_BYTES;
}

/* Waits until all ranks have reached this point. */
static void wait_for_all(const struct predict_share *share) {
    (void)cli_ranks_any(share->ranks, false);
}

/* ---- Parts ---- */

/* A row in a part: the number of its input, then the row itself. */
struct part_row {
    size_t number;
    const char *text;
    size_t name_length, length;
};

/* The row at *at, which then moves past it; false at the end, or at an incomplete row. */
static bool next_row(const struct predict_share *share, const char **at, const char *end,
                     struct part_row *ret_row) {
    size_t number = 0;
    const char *text = *at;
    for (; text < end && *text >= '0' && *text <= '9' && number < SIZE_MAX / 16; text++)
        number = number * 10 + (size_t)(*text - '0');
    if (text == *at || text >= end || *text++ != ' ')
        return false;
    const char *behind = share->format->row_end(text, end);
    const char *name_end = behind != NULL ? share->format->name_end(text, behind) : NULL;
    if (name_end == NULL)
        return false;
    *ret_row = (struct part_row){number, text, (size_t)(name_end - text), (size_t)(behind - text)};
    *at = behind;
    return true;
}

/* Maps a part and finds its rows; ret_bytes->bytes NULL: there are none. */
static enum cn_status read_part(const struct predict_share *share, int rank,
                                struct predict_bytes *ret_bytes, const char **ret_rows,
                                const char **ret_end, struct cn_error *error) {
    char path[PATH_BYTES];
    const size_t head = strlen(share->head);
    *ret_bytes = (struct predict_bytes){0};
    if (!part_path(share, rank, path))
        return CN_OK;
    const enum cn_status status = predict_bytes_map(path, ret_bytes, error);
    if (status != CN_OK || ret_bytes->bytes == NULL)
        return status;
    *ret_rows = *ret_end = ret_bytes->bytes + ret_bytes->length;
    if (ret_bytes->length < head) /* the run ended before it could write more */
        return CN_OK;
    *ret_rows = ret_bytes->bytes + head;
    if (memcmp(ret_bytes->bytes, share->head, head) == 0)
        return CN_OK;
    predict_bytes_unmap(ret_bytes);
    return cn_fail_at(
        error, CN_INVALID, path, -1,
        "was begun with another model, --format, --top, --error or --preprocess; remove the "
        "parts to begin anew");
}

static enum cn_status mark_done(struct predict_share *share, const struct part_row *row,
                                struct cn_error *error) {
    if (row->number >= share->done_count) {
        const size_t count = row->number + 1 + share->done_count / 2;
        uint64_t *done = reallocarray(share->done, count, sizeof *done);
        if (done == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for %zu rows", count);
        memset(done + share->done_count, 0, (count - share->done_count) * sizeof *done);
        share->done = done;
        share->done_count = count;
    }
    share->done[row->number] = checksum(checksum_begin, row->text, row->name_length);
    share->failures +=
        share->format->is_failure(row->text + row->name_length, row->text + row->length);
    return CN_OK;
}

/* Reads what earlier runs have done, in all parts. It cuts none of them, since other ranks may be
 * reading them. */
static enum cn_status read_done(struct predict_share *share, struct cn_error *error) {
    enum cn_status status = CN_OK;
    for (int rank = 0; rank < CN_RANKS_MAX && status == CN_OK; rank++) {
        struct predict_bytes bytes;
        const char *at, *end;
        struct part_row row;
        status = read_part(share, rank, &bytes, &at, &end, error);
        if (status != CN_OK || bytes.bytes == NULL)
            continue;
        while (status == CN_OK && next_row(share, &at, end, &row))
            status = mark_done(share, &row, error);
        const size_t whole = (size_t)(at - bytes.bytes);
        if (rank == rank_of(share))
            share->whole = whole < strlen(share->head) ? 0 : (off_t)whole;
        predict_bytes_unmap(&bytes);
    }
    return status;
}

static void remove_parts(const struct predict_share *share) {
    char path[PATH_BYTES];
    for (int rank = 0; rank < CN_RANKS_MAX; rank++)
        if (part_path(share, rank, path))
            (void)unlink(path);
}

bool predict_share_exists(const char *output) {
    struct predict_share share = {0};
    char path[PATH_BYTES];
    bool found = false;
    (void)snprintf(share.path, sizeof share.path, "%s", output);
    for (int rank = 0; rank < CN_RANKS_MAX; rank++)
        found = found || (part_path(&share, rank, path) && access(path, F_OK) == 0);
    return found;
}

/* While ranks write, the first one has locked its part. */
enum cn_status predict_share_check(const char *output, struct cn_error *error) {
    char path[PATH_BYTES];
    return snprintf(path, sizeof path, "%s.part.0", output) < PATH_BYTES
               ? predict_check_rows(path, error)
               : CN_OK;
}

void predict_share_forget(const char *output) {
    struct predict_share share = {0};
    (void)snprintf(share.path, sizeof share.path, "%s", output);
    remove_parts(&share);
}

/* Redirects the standard output to this rank's part, behind its last complete row. */
static enum cn_status open_part(const struct predict_share *share, struct cn_error *error) {
    char path[PATH_BYTES];
    if (!part_path(share, rank_of(share), path))
        return cn_fail_at(error, CN_INVALID, share->path, -1, "the name is too long");
    const enum cn_status status = predict_open_rows(path, error);
    if (status != CN_OK)
        return status;
    if (ftruncate(STDOUT_FILENO, share->whole) != 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
    if (share->whole == 0)
        fputs(share->head, stdout);
    return CN_OK;
}

enum cn_status predict_share_create(const struct cn_ranks *ranks, const char *output, bool resume,
                                    const char *kind, const struct predict_format *format,
                                    struct predict_share **ret_share, struct cn_error *error) {
    struct predict_share *share = calloc(1, sizeof *share);
    if (share == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the ranks' rows");
    share->ranks = ranks;
    share->format = format;
    share->names = checksum_begin;
    (void)snprintf(share->path, sizeof share->path, "%s", output);
    (void)snprintf(share->head, sizeof share->head, "convnet-rows/1 %s\n", kind);
    enum cn_status status = CN_OK;
    if (resume)
        status = read_done(share, error);
    else if (rank_of(share) == 0)
        status = predict_share_check(output, error);
    if (status == CN_OK && !resume && rank_of(share) == 0)
        remove_parts(share);
    const bool failed = cli_ranks_any(ranks, status != CN_OK);
    if (status == CN_OK && failed)
        status = cn_fail(error, CN_INVALID,
                         "another rank failed at the start; its message has the reason");
    if (status == CN_OK)
        status = open_part(share, error);
    if (status != CN_OK) {
        predict_share_free(share);
        return status;
    }
    *ret_share = share;
    return CN_OK;
}

void predict_share_free(struct predict_share *share) {
    if (share != NULL) {
        free(share->done);
        free(share->name.bytes);
    }
    free(share);
}

size_t predict_share_failures(const struct predict_share *share) {
    return share->failures;
}

bool predict_share_takes(struct predict_share *share, const char *name, size_t *ret_number,
                         bool *ret_done) {
    const size_t number = share->next++;
    const int count = share->ranks != NULL ? share->ranks->count : 1;
    share->name.length = 0;
    share->format->add_name(&share->name, name);
    share->names = checksum(share->names, share->name.bytes, share->name.length);
    *ret_number = number;
    *ret_done = number < share->done_count && share->done[number] != 0;
    if (*ret_done &&
        share->done[number] != checksum(checksum_begin, share->name.bytes, share->name.length))
        share->changed = true;
    return !share->changed && (int)(number / BLOCK % (size_t)count) == rank_of(share);
}

/* ---- One file ---- */

static int compare_rows(const void *a, const void *b) {
    const size_t x = ((const struct part_row *)a)->number, y = ((const struct part_row *)b)->number;
    return x < y ? -1 : x > y;
}

/* Collects the rows of all parts by their numbers; each input must have one. */
static enum cn_status sort_rows(const struct predict_share *share, struct predict_bytes *bytes,
                                struct part_row **ret_rows, struct cn_error *error) {
    struct part_row *rows = calloc(share->next + 1, sizeof *rows);
    size_t count = 0;
    enum cn_status status =
        rows != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory for %zu rows", share->next);
    for (int rank = 0; rank < CN_RANKS_MAX && status == CN_OK; rank++) {
        const char *at, *end;
        struct part_row row;
        status = read_part(share, rank, &bytes[rank], &at, &end, error);
        while (status == CN_OK && bytes[rank].bytes != NULL && next_row(share, &at, end, &row)) {
            if (count < share->next)
                rows[count] = row;
            count++;
        }
    }
    if (status == CN_OK)
        qsort(rows, count <= share->next ? count : share->next, sizeof *rows, compare_rows);
    bool whole = count == share->next;
    for (size_t i = 0; whole && i < count; i++)
        whole = rows[i].number == i;
    if (status == CN_OK && !whole)
        status = cn_fail_at(error, CN_INVALID, share->path, -1,
                            "the parts hold %zu rows for %zu inputs: the inputs changed; remove "
                            "the parts to start again",
                            count, share->next);
    if (status == CN_OK)
        *ret_rows = rows;
    else
        free(rows);
    return status;
}

/* Writes FILE.part with a header, renames it, and removes the parts. */
static enum cn_status join_parts(const struct predict_share *share, const char *head,
                                 struct cn_error *error) {
    struct predict_bytes bytes[CN_RANKS_MAX] = {{0}};
    struct part_row *rows = NULL;
    char path[PATH_BYTES];
    enum cn_status status = sort_rows(share, bytes, &rows, error);
    if (status == CN_OK && snprintf(path, sizeof path, "%s.part", share->path) >= PATH_BYTES)
        status = cn_fail_at(error, CN_INVALID, share->path, -1, "the name is too long");
    if (status == CN_OK)
        status = predict_check_rows(path, error);
    if (status == CN_OK && freopen(path, "w", stdout) == NULL)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
    if (status == CN_OK) {
        fputs(head, stdout);
        for (size_t i = 0; i < share->next; i++)
            (void)fwrite(rows[i].text, 1, rows[i].length, stdout);
        status = predict_keep_output(path, share->path, error);
    }
    if (status == CN_OK)
        remove_parts(share);
    for (int rank = 0; rank < CN_RANKS_MAX; rank++)
        predict_bytes_unmap(&bytes[rank]);
    free(rows);
    return status;
}

/* Every rank must have read the same inputs: with another folder on its host the rows would be
 * mixed up. */
static enum cn_status compare_inputs(const struct predict_share *share, struct cn_error *error) {
    uint64_t seen[CN_RANKS_MAX][2];
    size_t bounds[CN_RANKS_MAX + 1];
    if (share->ranks == NULL)
        return CN_OK;
    const int count = share->ranks->count;
    for (int r = 0; r <= count; r++)
        bounds[r] = (size_t)r * sizeof *seen;
    seen[share->ranks->rank][0] = share->next;
    seen[share->ranks->rank][1] = share->names;
    cn_ranks_gather(share->ranks, seen, bounds);
    for (int r = 1; r < count; r++)
        if (memcmp(seen[r], seen[0], sizeof *seen) != 0)
            return cn_fail(
                error, CN_INVALID,
                "rank %d found %llu inputs and rank 0 found %llu, or their names differ; "
                "all ranks must see the same inputs",
                r, (unsigned long long)seen[r][0], (unsigned long long)seen[0][0]);
    return CN_OK;
}

enum cn_status predict_share_finish(struct predict_share *share, bool whole, const char *head,
                                    struct cn_error *error) {
    const bool written = fflush(stdout) == 0 && !ferror(stdout) && fsync(STDOUT_FILENO) == 0;
    enum cn_status status = CN_OK;
    if (share->name.failed)
        status = cn_fail(error, CN_MEMORY, "no memory for the names of the inputs");
    else if (share->changed)
        status = cn_fail_at(error, CN_INVALID, share->path, -1,
                            "the inputs are no longer those of the parts; remove the parts to "
                            "start again");
    const bool stopped = cli_ranks_any(share->ranks, !whole || !written);
    const bool failed = cli_ranks_any(share->ranks, status != CN_OK);
    if (stopped && status == CN_OK)
        return cn_fail(error, CN_CANCELED,
                       "stopped; the rows are in %s.part.*, and the same command with --resume "
                       "continues, with any number of ranks",
                       share->path);
    if (status == CN_OK && failed)
        return cn_fail(error, CN_CANCELED, "another rank failed; its message has the reason");
    if (status == CN_OK)
        status = compare_inputs(share, error);
    if (status == CN_OK && rank_of(share) == 0)
        status = join_parts(share, head, error);
    if (!stopped && !failed)
        wait_for_all(share);
    return status;
}
