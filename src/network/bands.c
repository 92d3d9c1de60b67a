/* bands.c: see bands.h. Between two steps is a link: a buffer with the rows that the second one
 * needs for its next rows. Rows that it needs again are moved to the buffer's front; a part's first
 * band computes the rows that the part before it has computed, too. No state. */
#include "network/bands.h"

#include <string.h>

#include "base/memory.h"

/* In floats. A value larger than LARGE leaves a second-level cache of 1 MiB, together with its
 * neighbours. Bands have as many rows as let their links stay within LINKS, but one at least. A
 * step has at most WEIGHTS, which each band reads again. */
enum { LARGE = 1 << 16, LINKS = 1 << 17, WEIGHTS = 1 << 16 };

static int output_rows(const struct cn_step *step) {
    return step->layer.output_shape.dims[0];
}

static size_t row_floats(const struct cn_step *step) {
    return cn_shape_size(&step->layer.output_shape) / (size_t)output_rows(step);
}

static size_t packed_floats(const struct cn_step *step) {
    size_t (*size)(const struct cn_layer *) = step->inference->packed_size;
    return size != NULL ? size(&step->layer) : 0;
}

bool cn_bands_join(const struct cn_step *step, const struct cn_step *next) {
    return step->by_rows && next->by_rows && step->layer.output_shape.rank == 3 &&
           next->layer.output_shape.rank == 3 && cn_shape_size(&step->layer.output_shape) > LARGE &&
           packed_floats(step) <= WEIGHTS && packed_floats(next) <= WEIGHTS;
}

static struct cn_rows rows_under(const struct cn_step *step, struct cn_rows rows) {
    return step->inference->rows_under(step, rows);
}

/* Sets the links for bands of this many rows; returns the sum of their floats. */
static size_t measure_links(struct cn_bands *bands, const struct cn_step *steps, int rows) {
    struct cn_rows need = {0, rows};
    size_t sum = 0;
    bands->rows = rows;
    for (size_t s = bands->count - 1; s > 0; s--) {
        need = rows_under(&steps[s], need);
        const int most = output_rows(&steps[s - 1]), all = need.end - need.first;
        need = (struct cn_rows){0, all < most ? all : most}; /* no band needs more rows */
        bands->links[s - 1] = cn_floats_aligned((size_t)need.end * row_floats(&steps[s - 1]));
        sum += bands->links[s - 1];
    }
    return sum;
}

struct cn_bands cn_bands_of(const struct cn_step *steps, size_t count) {
    struct cn_bands bands = {.count = count};
    int rows = output_rows(&steps[count - 1]);
    while (measure_links(&bands, steps, rows) > LINKS && rows > 1)
        rows = rows > 4 ? (rows / 2 + 1) & ~1 : rows - 1;
    return bands;
}

size_t cn_bands_scratch_size(const struct cn_bands *bands, size_t steps_scratch) {
    size_t size = cn_floats_aligned(steps_scratch);
    for (size_t i = 0; i + 1 < bands->count; i++)
        size += bands->links[i];
    return size;
}

static int within(int row, int rows) {
    return row < 0 ? 0 : row < rows ? row : rows;
}

/* The state of one image: a link's buffer, and the rows in it. */
struct link {
    float *at;
    struct cn_rows rows;
};

/* Makes the link begin at row `first`. */
static void move_link(struct link *link, int first, size_t row) {
    if (first < link->rows.end && first > link->rows.first)
        memmove(link->at, link->at + (size_t)(first - link->rows.first) * row,
                (size_t)(link->rows.end - first) * row * sizeof *link->at);
    link->rows.first = first;
    if (link->rows.end < first)
        link->rows.end = first;
}

/* Computes the output rows `band` of one image, which follow those of the last call. */
static void run_band(const struct cn_bands_run *run, const float *x, float *y, struct link *links,
                     float *scratch, struct cn_rows band) {
    const struct cn_step *steps = run->steps;
    struct cn_rows fresh[CN_BANDS_MOST];
    size_t s = run->bands->count - 1;
    fresh[s] = band;
    /* Backwards: what each step must compute; links that have all rows already end this. */
    for (; s > 0; s--) {
        struct link *link = &links[s - 1];
        const int rows = output_rows(&steps[s - 1]);
        struct cn_rows need = rows_under(&steps[s], fresh[s]);
        need = (struct cn_rows){within(need.first, rows), within(need.end, rows)};
        if (need.end <= need.first || need.end <= link->rows.end)
            break;
        move_link(link, need.first, row_floats(&steps[s - 1]));
        fresh[s - 1] = (struct cn_rows){link->rows.end, need.end};
        link->rows.end = need.end;
    }
    for (; s < run->bands->count; s++) {
        const struct link *in = s > 0 ? &links[s - 1] : NULL;
        const bool last = s + 1 == run->bands->count;
        const int to_first = last ? 0 : links[s].rows.first;
        float *to = last ? y : links[s].at;
        steps[s].inference->infer_rows(
            &steps[s], in != NULL ? in->at : x, in != NULL ? in->rows.first : 0,
            to + (size_t)(fresh[s].first - to_first) * row_floats(&steps[s]), fresh[s], scratch);
        if (run->observer != NULL)
            run->observer(run->context, run->first_step + s);
    }
}

void cn_bands_infer(const struct cn_bands_run *run, size_t count) {
    const struct cn_bands *bands = run->bands;
    const struct cn_step *last = &run->steps[bands->count - 1];
    const size_t in = cn_shape_size(&run->steps[0].layer.input_shape);
    const size_t out = cn_shape_size(&last->layer.output_shape), all = (size_t)output_rows(last);
    const struct cn_rows share = {(int)(all * run->part / run->parts),
                                  (int)(all * (run->part + 1) / run->parts)};
    for (size_t image = 0; image < count; image++) {
        struct link links[CN_BANDS_MOST];
        float *scratch = run->scratch;
        for (size_t i = 0; i + 1 < bands->count; scratch += bands->links[i++])
            links[i] = (struct link){.at = scratch};
        for (int row = share.first; row < share.end; row += bands->rows) {
            const int left = share.end - row;
            run_band(run, run->x + image * in, run->y + image * out, links, scratch,
                     (struct cn_rows){row, row + (left < bands->rows ? left : bands->rows)});
        }
    }
}
