/* text_lines.c: groups pieces into lines, the tallest first, so that each smaller one finds its
 * line. It uses rectangles only. Thread-safe: no state but the caller's. */
#include <stdlib.h>
#include <string.h>

#include "reading/text_lines.h"

enum { NONE = 0xffff };

/* In heights of the line's tallest piece. */
static const double least_tall = 0.45, /* the least height of a digit; lower pieces are marks */
    off_centre = 0.42,                 /* the most between the middles of neighbouring digits, */
    rise = 0.18,                       /* plus this much per unit of the gap: ten degrees */
    mark_reach = 0.95, /* the most between the middles of a mark and its neighbour */
    gap_in_word = 2.5, /* the widest gap between two neighbours of a line */
    gap_in_line = 5.0, /* the widest gap between two level parts of a line */
    level = 0.3,       /* the largest difference in height of level parts */
    speck = 0.3;       /* of the tallest line's height: a smaller single piece is not a line */

/* A line that is being built: a chain of pieces through `next`. */
struct draft {
    int left, top, right, bottom, height;
    uint16_t first, last;
    size_t count, tall;
    bool dropped;
};

struct grouping {
    const struct cn_pieces *pieces;
    uint16_t *next; /* [piece]: the next piece of the same line */
    struct draft *drafts;
    size_t draft_count;
};

static int gap_between(int left, int right, int other_left, int other_right) {
    return other_left > right ? other_left - right : left > other_right ? left - other_right : 0;
}

static double middle_of(const struct cn_piece *piece) {
    return (piece->top + piece->bottom) / 2.0;
}

/* The piece of the line that is nearest along x, among the tall ones. */
static const struct cn_piece *nearest_piece(const struct grouping *g, const struct draft *draft,
                                            const struct cn_piece *piece) {
    const struct cn_piece *best = NULL;
    int best_gap = 0;
    for (uint16_t i = draft->first; i != NONE; i = g->next[i]) {
        const struct cn_piece *other = &g->pieces->pieces[i];
        if (cn_piece_height(other) < least_tall * draft->height)
            continue;
        const int gap = gap_between(piece->left, piece->right, other->left, other->right);
        if (best == NULL || gap < best_gap) {
            best = other;
            best_gap = gap;
        }
    }
    return best;
}

enum fit { FITS_NOT, FITS_AS_MARK, FITS_AS_DIGIT };

static enum fit fit_of(const struct grouping *g, const struct draft *draft,
                       const struct cn_piece *piece) {
    const struct cn_piece *beside = nearest_piece(g, draft, piece);
    const int height = draft->height;
    if (beside == NULL)
        return FITS_NOT;
    const int gap = gap_between(piece->left, piece->right, beside->left, beside->right);
    const double off = middle_of(piece) > middle_of(beside) ? middle_of(piece) - middle_of(beside)
                                                            : middle_of(beside) - middle_of(piece);
    if (gap > gap_in_word * height)
        return FITS_NOT;
    if (cn_piece_height(piece) >= least_tall * height)
        return off <= off_centre * height + rise * gap ? FITS_AS_DIGIT : FITS_NOT;
    return off <= mark_reach * height + rise * gap ? FITS_AS_MARK : FITS_NOT;
}

static void draft_extend(struct draft *draft, int left, int top, int right, int bottom) {
    draft->left = left < draft->left ? left : draft->left;
    draft->top = top < draft->top ? top : draft->top;
    draft->right = right > draft->right ? right : draft->right;
    draft->bottom = bottom > draft->bottom ? bottom : draft->bottom;
}

static void draft_append(struct grouping *g, struct draft *draft, uint16_t index, bool tall) {
    const struct cn_piece *piece = &g->pieces->pieces[index];
    g->next[index] = NONE;
    g->next[draft->last] = index;
    draft->last = index;
    draft->count++;
    draft->tall += tall;
    draft_extend(draft, piece->left, piece->top, piece->right, piece->bottom);
}

static void draft_merge(struct grouping *g, struct draft *into, struct draft *from) {
    g->next[into->last] = from->first;
    into->last = from->last;
    into->count += from->count;
    into->tall += from->tall;
    into->height = from->height > into->height ? from->height : into->height;
    draft_extend(into, from->left, from->top, from->right, from->bottom);
    from->dropped = true;
}

static void group_piece(struct grouping *g, uint16_t index) {
    const struct cn_piece *piece = &g->pieces->pieces[index];
    struct draft *home = NULL, *marked = NULL;
    for (size_t i = 0; i < g->draft_count; i++) {
        struct draft *draft = &g->drafts[i];
        const enum fit fit = draft->dropped ? FITS_NOT : fit_of(g, draft, piece);
        if (fit == FITS_AS_DIGIT && home == NULL) {
            home = draft;
            draft_append(g, home, index, true);
        } else if (fit == FITS_AS_DIGIT) {
            draft_merge(g, home, draft); /* the piece connects the two */
        } else if (fit == FITS_AS_MARK && marked == NULL) {
            marked = draft;
        }
    }
    if (home == NULL && marked != NULL)
        draft_append(g, marked, index, false);
    else if (home == NULL) {
        g->next[index] = NONE;
        g->drafts[g->draft_count++] = (struct draft){piece->left,
                                                     piece->top,
                                                     piece->right,
                                                     piece->bottom,
                                                     cn_piece_height(piece),
                                                     index,
                                                     index,
                                                     1,
                                                     1,
                                                     false};
    }
}

/* Joins parts of one line that have much room between them, are level, and have nothing between. */
static void join_level_parts(struct grouping *g) {
    for (size_t i = 0; i < g->draft_count; i++)
        for (size_t j = 0; j < g->draft_count; j++) {
            struct draft *a = &g->drafts[i], *b = &g->drafts[j];
            if (i == j || a->dropped || b->dropped || b->left < a->right)
                continue;
            const int gap = b->left - a->right,
                      height = a->height > b->height ? a->height : b->height;
            const int shorter = a->height + b->height - height;
            const double off = (a->top + a->bottom) / 2.0 - (b->top + b->bottom) / 2.0;
            if (gap <= gap_in_line * height && shorter * 10 >= height * 6 &&
                off <= level * height && -off <= level * height) {
                draft_merge(g, a, b);
                j = 0; /* the joined line may reach others */
            }
        }
}

static int compare_sizes(const void *a, const void *b, void *pieces) {
    const struct cn_piece *all = ((const struct cn_pieces *)pieces)->pieces;
    const uint16_t i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    const int difference = cn_piece_height(&all[j]) - cn_piece_height(&all[i]);
    return difference != 0 ? difference : (i > j) - (i < j);
}

static int compare_middles(const void *a, const void *b, void *pieces) {
    const struct cn_piece *all = ((const struct cn_pieces *)pieces)->pieces;
    const uint16_t i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    const int difference = all[i].left + all[i].right - all[j].left - all[j].right;
    return difference != 0 ? difference : (i > j) - (i < j);
}

static int compare_heights(const void *a, const void *b) {
    const struct cn_text_line *one = a, *other = b;
    return one->top + one->bottom - other->top - other->bottom;
}

static int compare_rows(const void *a, const void *b) {
    const struct cn_text_line *one = a, *other = b;
    return one->row != other->row ? one->row - other->row : one->left - other->left;
}

/* Sorts lines from top to bottom, and those side by side from left to right. */
static void sort_lines(struct cn_text_lines *lines) {
    qsort(lines->lines, lines->count, sizeof *lines->lines, compare_heights);
    for (size_t i = 1, first = 0; i < lines->count; i++) {
        const struct cn_text_line *top = &lines->lines[first];
        struct cn_text_line *line = &lines->lines[i];
        const bool below = line->top + line->bottom > top->top + top->bottom + top->height;
        line->row = lines->lines[i - 1].row + below;
        first = below ? i : first;
    }
    qsort(lines->lines, lines->count, sizeof *lines->lines, compare_rows);
}

/* The median height of the line's tall pieces. */
static int median_height(const struct cn_pieces *pieces, const struct draft *draft,
                         const uint16_t *indices, size_t count) {
    int heights[64];
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof heights / sizeof *heights; i++) {
        const int height = cn_piece_height(&pieces->pieces[indices[i]]);
        if (height < least_tall * draft->height)
            continue;
        size_t at = used++;
        for (; at > 0 && heights[at - 1] > height; at--)
            heights[at] = heights[at - 1];
        heights[at] = height;
    }
    return used > 0 ? heights[used / 2] : draft->height;
}

static void finish_lines(const struct grouping *g, struct cn_text_lines *lines) {
    uint16_t *indices = lines->indices;
    int tallest = 0;
    for (size_t i = 0; i < g->draft_count; i++)
        if (!g->drafts[i].dropped && g->drafts[i].height > tallest)
            tallest = g->drafts[i].height;
    for (size_t i = 0; i < g->draft_count; i++) {
        const struct draft *draft = &g->drafts[i];
        if (draft->dropped || (draft->tall == 1 && draft->height < speck * tallest))
            continue;
        struct cn_text_line *line = &lines->lines[lines->count++];
        *line = (struct cn_text_line){.left = draft->left,
                                      .top = draft->top,
                                      .right = draft->right,
                                      .bottom = draft->bottom,
                                      .count = draft->count,
                                      .pieces = indices};
        for (uint16_t at = draft->first; at != NONE; at = g->next[at])
            *indices++ = at;
        qsort_r(line->pieces, line->count, sizeof *line->pieces, compare_middles,
                (void *)(uintptr_t)g->pieces);
        line->height = median_height(g->pieces, draft, line->pieces, line->count);
    }
    sort_lines(lines);
}

enum cn_status cn_text_lines_find(const struct cn_pieces *pieces, struct cn_text_lines *ret_lines,
                                  struct cn_error *error) {
    enum cn_status status = CN_OK;
    const size_t count = pieces->count;
    struct cn_text_lines lines = {.lines = calloc(count + 1, sizeof *lines.lines),
                                  .indices = calloc(count + 1, sizeof *lines.indices)};
    struct grouping g = {.pieces = pieces,
                         .next = calloc(count + 1, sizeof *g.next),
                         .drafts = calloc(count + 1, sizeof *g.drafts)};
    uint16_t *order = calloc(count + 1, sizeof *order);
    if (lines.lines == NULL || lines.indices == NULL || g.next == NULL || g.drafts == NULL ||
        order == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for the lines of %zu pieces", count);
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (uint16_t)i;
    qsort_r(order, count, sizeof *order, compare_sizes, (void *)(uintptr_t)pieces);
    for (size_t i = 0; i < count; i++)
        group_piece(&g, order[i]);
    join_level_parts(&g);
    finish_lines(&g, &lines);
    *ret_lines = lines;
    lines = (struct cn_text_lines){0};
out:
    cn_text_lines_clear(&lines);
    free(g.next);
    free(g.drafts);
    free(order);
    return status;
}

void cn_text_lines_clear(struct cn_text_lines *lines) {
    free(lines->lines);
    free(lines->indices);
    *lines = (struct cn_text_lines){0};
}
