/* text_lines.h: groups pieces of ink into lines of text. */
#ifndef CONVNET_READING_TEXT_LINES_H
#define CONVNET_READING_TEXT_LINES_H

#include "reading/pieces.h"

/* A line's pieces, ordered by their middle from left to right. */
struct cn_text_line {
    int left, top, right, bottom; /* inclusive */
    int height;                   /* of its characters: the median of the tall ones */
    int row;                      /* from 0, top to bottom; lines side by side share one */
    size_t count;
    uint16_t *pieces; /* [count]: indices, owned by struct cn_text_lines */
};

struct cn_text_lines {
    size_t count;
    struct cn_text_line *lines; /* [count] from top to bottom */
    uint16_t *indices;          /* the storage of all lines' indices */
};

/* Groups the pieces. Neighbours of similar height form a line, which may rise or fall by up to ten
 * degrees; smaller pieces beside them (dots, strokes, parts of broken digits) join the line they
 * are in. Specks outside of all lines are left out. Caller frees with cn_text_lines_clear.
 * CN_MEMORY. */
enum cn_status cn_text_lines_find(const struct cn_pieces *pieces, struct cn_text_lines *ret_lines,
                                  struct cn_error *error);

void cn_text_lines_clear(struct cn_text_lines *lines);

/* True if the piece is about as tall as the line's digits. */
static inline bool cn_text_line_is_tall(const struct cn_text_line *line,
                                        const struct cn_piece *piece) {
    return cn_piece_height(piece) * 100 >= line->height * 45;
}

#endif
