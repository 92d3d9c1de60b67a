/* candidates.h: runs of atoms that may be one character, and the best sequence of them. */
#ifndef CONVNET_READING_CANDIDATES_H
#define CONVNET_READING_CANDIDATES_H

#include "convnet/reading.h"
#include "reading/glyphs.h"

/* A run of atoms [first, last] with the network's answer. */
struct cn_candidate {
    uint16_t first, last;
    int class_index; /* -1: a separator, or a mark without meaning */
    char separator;  /* of class -1; NUL: no character */
    float confidence;
    double score; /* a logarithm that is summed along a path: 0 is the best */
    int left, top, right, bottom;
    size_t row; /* of its probabilities among those computed */
};

/* Finds the best path of candidates for a line with the atoms [0, atom_count): each atom is in
 * exactly one candidate. `length` > 0: the path must have this many digits. Writes the indices of
 * the candidates in order, at most atom_count, to ret_path and their number to *ret_count;
 * *ret_margin is how much the best score exceeds the best one with other cuts (large if there is
 * none). Without such a path *ret_count is 0. CN_MEMORY. */
enum cn_status cn_candidates_best_path(const struct cn_candidate *candidates,
                                       size_t candidate_count, size_t atom_count, int length,
                                       size_t *ret_path, size_t *ret_count, double *ret_margin,
                                       struct cn_error *error);

#endif
