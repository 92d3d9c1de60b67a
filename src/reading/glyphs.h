/* glyphs.h: divides a line of text into atoms, the smallest parts of which a character may consist.
 */
#ifndef CONVNET_READING_GLYPHS_H
#define CONVNET_READING_GLYPHS_H

#include "reading/text_lines.h"

enum {
    CN_GLYPH_CUTS = 64,  /* most cuts through one glyph */
    CN_GLYPHS_MOST = 256 /* most glyphs in a line */
};

/* Pieces that stand above one another. A glyph is one atom, or several if it has been cut. */
struct cn_glyph {
    int left, top, right, bottom; /* inclusive, in samples of the plane */
    int area;
    bool tall; /* as tall as a digit; otherwise a mark: a dot, a minus, a part of a broken digit */
    bool sure; /* certainly one digit: set by the reader; never cut or joined */
    size_t first_atom;
    size_t cut_count;
    int16_t *cuts; /* [cut_count][height]: the first sample to the right of the cut in each row */
    float cut_ink[CN_GLYPH_CUTS]; /* the ink that each cut crosses, in widths of a stroke */
};

struct cn_atom {
    int left, top, right, bottom, area;
    uint16_t glyph;
};

struct cn_glyphs {
    const struct cn_plane *plane;   /* borrowed */
    const struct cn_pieces *pieces; /* borrowed */
    int height;                     /* of the line's digits */
    double stroke;                  /* width of their strokes, in samples */
    size_t count;
    struct cn_glyph *glyphs; /* [count] from left to right */
    uint16_t *glyph_of;      /* [pieces->count]: the glyph to which a piece belongs; 0xffff: none */
    size_t atom_count;
    struct cn_atom *atoms; /* [atom_count] from left to right; set by cn_glyphs_make_atoms */
};

/* Makes glyphs of the line's pieces, without cuts. Caller frees with cn_glyphs_clear. CN_LIMIT
 * above CN_GLYPHS_MOST; CN_MEMORY. */
enum cn_status cn_glyphs_make(const struct cn_plane *plane, const struct cn_pieces *pieces,
                              const struct cn_text_line *line, struct cn_glyphs *ret_glyphs,
                              struct cn_error *error);

/* Cuts the glyph where touching digits may separate: along paths from top to bottom with the least
 * ink, which may lean as digits do. CN_MEMORY. */
enum cn_status cn_glyph_cut(struct cn_glyphs *glyphs, size_t index, struct cn_error *error);

/* Lists the atoms of all glyphs. CN_MEMORY. */
enum cn_status cn_glyphs_make_atoms(struct cn_glyphs *glyphs, struct cn_error *error);

/* Draws the ink of the atoms [first, last] alone. `ret_ink` is a new plane of the size of their
 * rectangle, whose position is *ret_x, *ret_y; caller frees with cn_plane_clear. CN_MEMORY. */
enum cn_status cn_glyphs_draw(const struct cn_glyphs *glyphs, size_t first, size_t last,
                              struct cn_plane *ret_ink, int *ret_x, int *ret_y,
                              struct cn_error *error);

void cn_glyphs_clear(struct cn_glyphs *glyphs);

#endif
