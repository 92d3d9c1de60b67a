/* candidates.h: runs of atoms that may be one character, and the best way through them. */
#ifndef CONVNET_READING_CANDIDATES_H
#define CONVNET_READING_CANDIDATES_H

#include "convnet/reading.h"
#include "reading/glyphs.h"

/* A run of atoms [first, last] with the network's answer. */
struct cn_candidate {
    uint16_t first, last;
    int class_index; /* -1: a separator, or a mark that is nothing */
    char separator;  /* of class -1; NUL: nothing */
    float confidence;
    double score; /* the logarithm that is summed along a path: 0 is the best */
    int left, top, right, bottom;
    size_t row; /* of its probabilities in the block that was computed */
};

/* The best path's candidates for a line whose atoms are [0, atom_count): each atom is in exactly
 * one. `length` > 0: with so many digits. Writes the indices of the candidates in order, at most
 * atom_count, to ret_path and their number to *ret_count; *ret_margin is how much the best path's
 * score is above the best of those with another cutting (or large if there is none). False if there
 * is no such path, or without memory. */
bool cn_candidates_best_path(const struct cn_candidate *candidates, size_t candidate_count,
                             size_t atom_count, int length, size_t *ret_path, size_t *ret_count,
                             double *ret_margin);

#endif
