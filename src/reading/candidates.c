/* candidates.c: dynamic programming over the boundaries between atoms (Viterbi 1967). Pure. */
#include <math.h>
#include <stdlib.h>

#include "reading/candidates.h"

/* The best path to a boundary with a given number of digits. */
struct state {
    double score, second; /* of the best path, and of the best one that cuts differently */
    size_t from;          /* the last candidate of the path */
};

static bool is_digit(const struct cn_candidate *candidate) {
    return candidate->class_index >= 0;
}

/* Updates a state with the two best paths through a candidate. */
static void offer_path(struct state *to, double score, double second, size_t candidate) {
    if (score > to->score) {
        to->second = fmax(to->score, second);
        to->score = score;
        to->from = candidate;
    } else {
        to->second = fmax(to->second, score);
    }
}

enum cn_status cn_candidates_best_path(const struct cn_candidate *candidates,
                                       size_t candidate_count, size_t atom_count, int length,
                                       size_t *ret_path, size_t *ret_count, double *ret_margin,
                                       struct cn_error *error) {
    /* Without a given length all paths share one column of states. */
    const size_t columns = length > 0 ? (size_t)length + 1 : 1;
    struct state *states = malloc((atom_count + 1) * columns * sizeof *states);
    if (states == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the paths of a line of %zu parts",
                       atom_count);
    for (size_t i = 0; i < (atom_count + 1) * columns; i++)
        states[i] = (struct state){-INFINITY, -INFINITY, SIZE_MAX};
    states[0].score = 0;
    /* Candidates are sorted by their first atom, so the states before them are complete. */
    for (size_t c = 0; c < candidate_count; c++) {
        const size_t step = length > 0 && is_digit(&candidates[c]) ? 1 : 0;
        for (size_t k = 0; k + step < columns; k++) {
            const struct state *before = &states[candidates[c].first * columns + k];
            if (before->score > -INFINITY)
                offer_path(&states[(candidates[c].last + 1u) * columns + k + step],
                           before->score + candidates[c].score,
                           before->second + candidates[c].score, c);
        }
    }
    const struct state *end = &states[atom_count * columns + columns - 1];
    const bool found = end->score > -INFINITY;
    size_t count = 0, place = atom_count, column = columns - 1;
    while (found && place > 0) {
        const size_t c = states[place * columns + column].from;
        ret_path[count++] = c;
        place = candidates[c].first;
        column -= length > 0 && is_digit(&candidates[c]) ? 1 : 0;
    }
    for (size_t i = 0; i < count / 2; i++) {
        const size_t other = ret_path[i];
        ret_path[i] = ret_path[count - 1 - i];
        ret_path[count - 1 - i] = other;
    }
    *ret_count = count;
    *ret_margin = found ? end->score - end->second : 0;
    free(states);
    return CN_OK;
}
