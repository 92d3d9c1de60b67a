/* glyphs.c: joins a line's pieces that stand above one another, and cuts them along seams where
 * several digits may touch. It knows no network. Thread-safe: no state but the caller's. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reading/glyphs.h"
#include "reading/seam.h"

enum {
    ABOVE_PERCENT =
        60, /* two pieces are one above the other if they share this much of the narrower's width */
    HALF = 128, /* of 255: the ink of a stroke without its soft edge */
    NO_GLYPH = 0xffff
};

/* In heights of the line: the narrowest part that a cut may make, and the width of a glyph for each
 * of its cuts, after the first two. */
static const double least_part = 0.06, width_per_cut = 0.14;

static void glyph_take(struct cn_glyph *glyph, const struct cn_piece *piece) {
    glyph->left = piece->left < glyph->left ? piece->left : glyph->left;
    glyph->top = piece->top < glyph->top ? piece->top : glyph->top;
    glyph->right = piece->right > glyph->right ? piece->right : glyph->right;
    glyph->bottom = piece->bottom > glyph->bottom ? piece->bottom : glyph->bottom;
    glyph->area += piece->area;
}

/* True if the piece stands above or below the glyph, so that both are one character. */
static bool is_above(const struct cn_glyph *glyph, const struct cn_piece *piece,
                     const struct cn_text_line *line) {
    const int left = glyph->left > piece->left ? glyph->left : piece->left;
    const int right = glyph->right < piece->right ? glyph->right : piece->right;
    const int glyph_width = glyph->right - glyph->left + 1, width = cn_piece_width(piece);
    const int narrower = glyph_width < width ? glyph_width : width;
    const int glyph_height = glyph->bottom - glyph->top + 1, height = cn_piece_height(piece);
    const int both = (glyph->bottom > piece->bottom ? glyph->bottom : piece->bottom) -
                     (glyph->top < piece->top ? glyph->top : piece->top) + 1;
    /* Two full-height digits that lean over each other remain two. */
    const bool whole = glyph_height * 100 >= line->height * 80 && height * 100 >= line->height * 80;
    return (right - left + 1) * 100 >= narrower * ABOVE_PERCENT && !whole &&
           both * 10 <= line->height * 14;
}

/* The median length of the runs of ink along the rows of the line's pieces, which is about the
 * width of a stroke. */
static double stroke_width(const struct cn_glyphs *glyphs, const struct cn_text_line *line) {
    enum { LONGEST = 64 };
    size_t runs[LONGEST + 1] = {0}, total = 0, below = 0;
    for (int y = line->top; y <= line->bottom; y++)
        for (int x = line->left, run = 0; x <= line->right + 1; x++) {
            const size_t at = (size_t)y * (size_t)glyphs->plane->width + (size_t)x;
            const bool ink = x <= line->right && glyphs->pieces->owner[at] >= 0 &&
                             glyphs->glyph_of[glyphs->pieces->owner[at]] != NO_GLYPH &&
                             glyphs->plane->samples[at] >= HALF;
            if (!ink && run > 0) {
                runs[run < LONGEST ? run : LONGEST]++;
                total++;
            }
            run = ink ? run + 1 : 0;
        }
    int width = 1;
    while (width < LONGEST && 2 * (below + runs[width]) < total)
        below += runs[width++];
    return width;
}

enum cn_status cn_glyphs_make(const struct cn_plane *plane, const struct cn_pieces *pieces,
                              const struct cn_text_line *line, struct cn_glyphs *ret_glyphs,
                              struct cn_error *error) {
    if (line->count > CN_GLYPHS_MOST)
        return cn_fail(error, CN_LIMIT, "a line has %zu pieces of ink; at most %d can be read",
                       line->count, CN_GLYPHS_MOST);
    struct cn_glyphs glyphs = {.plane = plane, .pieces = pieces, .height = line->height};
    glyphs.glyphs = calloc(line->count + 1, sizeof *glyphs.glyphs);
    glyphs.glyph_of = malloc((pieces->count + 1) * sizeof *glyphs.glyph_of);
    if (glyphs.glyphs == NULL || glyphs.glyph_of == NULL) {
        cn_glyphs_clear(&glyphs);
        return cn_fail(error, CN_MEMORY, "no memory for a line of %zu pieces", line->count);
    }
    memset(glyphs.glyph_of, 0xff, (pieces->count + 1) * sizeof *glyphs.glyph_of);
    for (size_t i = 0; i < line->count; i++) {
        const struct cn_piece *piece = &pieces->pieces[line->pieces[i]];
        size_t home = glyphs.count;
        for (size_t back = 1; back <= 3 && back <= glyphs.count && home == glyphs.count; back++)
            if (is_above(&glyphs.glyphs[glyphs.count - back], piece, line))
                home = glyphs.count - back;
        if (home == glyphs.count)
            glyphs.glyphs[glyphs.count++] =
                (struct cn_glyph){.left = INT_MAX, .top = INT_MAX, .right = -1, .bottom = -1};
        glyph_take(&glyphs.glyphs[home], piece);
        glyphs.glyph_of[line->pieces[i]] = (uint16_t)home;
    }
    for (size_t i = 0; i < glyphs.count; i++)
        glyphs.glyphs[i].tall =
            (glyphs.glyphs[i].bottom - glyphs.glyphs[i].top + 1) * 100 >= line->height * 45;
    glyphs.stroke = stroke_width(&glyphs, line);
    *ret_glyphs = glyphs;
    return CN_OK;
}

static size_t glyph_height(const struct cn_glyph *glyph) {
    return (size_t)(glyph->bottom - glyph->top + 1);
}

/* The ink of this glyph at a sample; 0 for ink of others. */
static int glyph_ink(const struct cn_glyphs *glyphs, size_t index, int x, int y) {
    const size_t at = (size_t)y * (size_t)glyphs->plane->width + (size_t)x;
    const int16_t owner = glyphs->pieces->owner[at];
    return owner >= 0 && glyphs->glyph_of[owner] == index ? glyphs->plane->samples[at] : 0;
}

/* Copies the glyph's ink to ret_ink[height, width]. */
static void copy_ink(const struct cn_glyphs *glyphs, size_t index, uint8_t *ret_ink) {
    const struct cn_glyph *glyph = &glyphs->glyphs[index];
    for (int y = glyph->top; y <= glyph->bottom; y++)
        for (int x = glyph->left; x <= glyph->right; x++)
            *ret_ink++ = (uint8_t)glyph_ink(glyphs, index, x, y);
}

static int path_middle(const int16_t *path, size_t height) {
    long sum = 0;
    for (size_t y = 0; y < height; y++)
        sum += path[y];
    return (int)(sum / (long)height);
}

/* A path and its cost; `middle`: its mean column. */
struct seam {
    int cost, middle;
    int16_t *path;
};

static int compare_costs(const void *a, const void *b) {
    const struct seam *one = a, *other = b;
    return one->cost != other->cost ? one->cost - other->cost : one->middle - other->middle;
}

static int compare_seam_places(const void *a, const void *b) {
    const struct seam *one = a, *other = b;
    return one->middle - other->middle;
}

/* Keeps at most `most` of the cheapest seams that no seam within `apart` undercuts: those on the
 * slopes beside a good cut are useless. Returns how many, sorted from left to right. */
static size_t choose_seams(struct seam *seams, size_t count, size_t most, int apart) {
    struct seam best[CN_GLYPH_CUTS];
    size_t kept = 0;
    qsort(seams, count, sizeof *seams, compare_costs);
    for (size_t i = 0; i < count && kept < most; i++) {
        bool undercut = false;
        for (size_t j = 0; j < i; j++)
            undercut = undercut || abs(seams[i].middle - seams[j].middle) < apart;
        if (!undercut)
            best[kept++] = seams[i];
    }
    memcpy(seams, best, kept * sizeof *best);
    qsort(seams, kept, sizeof *seams, compare_seam_places);
    return kept;
}

enum cn_status cn_glyph_cut(struct cn_glyphs *glyphs, size_t index, struct cn_error *error) {
    enum { STARTS = 256, STARTS_PER_HEIGHT = 24 };
    struct cn_glyph *glyph = &glyphs->glyphs[index];
    const size_t height = glyph_height(glyph);
    const int width = glyph->right - glyph->left + 1;
    const int least = (int)(least_part * glyphs->height) + 1;
    if (width < 2 * least + 1)
        return CN_OK;
    const size_t cells = cn_seam_cells((int)height);
    uint8_t *ink = malloc((size_t)width * height);
    int *costs = malloc(cells * sizeof *costs);
    int8_t *steps = malloc(cells);
    int16_t *paths = malloc(STARTS * height * sizeof *paths);
    glyph->cuts = malloc(CN_GLYPH_CUTS * height * sizeof *glyph->cuts);
    if (ink == NULL || costs == NULL || steps == NULL || paths == NULL || glyph->cuts == NULL) {
        free(ink);
        free(costs);
        free(steps);
        free(paths);
        return cn_fail(error, CN_MEMORY, "no memory to cut a glyph of %d x %zu", width, height);
    }
    struct seam seams[STARTS];
    size_t count = 0;
    copy_ink(glyphs, index, ink);
    const int range = width - 2 * least, wanted = STARTS_PER_HEIGHT * width / glyphs->height + 1;
    const int starts = (int)fmin(fmin(range, wanted), STARTS);
    const double most = 2 + width / (width_per_cut * glyphs->height);
    for (int i = 0; i < starts; i++) {
        struct seam *seam = &seams[count];
        seam->path = paths + count * height;
        seam->cost = cn_seam_find(ink, width, (int)height, least + i * range / starts, costs, steps,
                                  seam->path);
        seam->middle = path_middle(seam->path, height);
        count += seam->middle >= least && width - 1 - seam->middle >= least;
    }
    glyph->cut_count = choose_seams(seams, count, (size_t)fmin(most, CN_GLYPH_CUTS), least);
    for (size_t k = 0; k < glyph->cut_count; k++) {
        glyph->cut_ink[k] = (float)(seams[k].cost / (255.0 * glyphs->stroke));
        for (size_t y = 0; y < height; y++) {
            const int16_t before = k > 0 ? glyph->cuts[(k - 1) * height + y] : 0;
            const int16_t here = (int16_t)(glyph->left + seams[k].path[y]);
            glyph->cuts[k * height + y] = here > before ? here : before; /* cuts never cross */
        }
    }
    free(ink);
    free(costs);
    free(steps);
    free(paths);
    return CN_OK;
}

/* The index, within a glyph, of the atom to which a sample belongs. */
static size_t atom_within(const struct cn_glyph *glyph, int x, int y) {
    const size_t height = glyph_height(glyph), row = (size_t)(y - glyph->top);
    size_t atom = 0;
    while (atom < glyph->cut_count && x >= glyph->cuts[atom * height + row])
        atom++;
    return atom;
}

static void measure_atoms(struct cn_glyphs *glyphs, size_t index) {
    const struct cn_glyph *glyph = &glyphs->glyphs[index];
    struct cn_atom *atoms = &glyphs->atoms[glyph->first_atom];
    for (size_t i = 0; i <= glyph->cut_count; i++)
        atoms[i] = (struct cn_atom){INT_MAX, INT_MAX, -1, -1, 0, (uint16_t)index};
    for (int y = glyph->top; y <= glyph->bottom; y++)
        for (int x = glyph->left; x <= glyph->right; x++) {
            if (glyph_ink(glyphs, index, x, y) == 0)
                continue;
            struct cn_atom *atom = &atoms[atom_within(glyph, x, y)];
            atom->left = x < atom->left ? x : atom->left;
            atom->right = x > atom->right ? x : atom->right;
            atom->top = y < atom->top ? y : atom->top;
            atom->bottom = y > atom->bottom ? y : atom->bottom;
            atom->area++;
        }
}

enum cn_status cn_glyphs_make_atoms(struct cn_glyphs *glyphs, struct cn_error *error) {
    glyphs->atom_count = 0;
    for (size_t i = 0; i < glyphs->count; i++) {
        glyphs->glyphs[i].first_atom = glyphs->atom_count;
        glyphs->atom_count += glyphs->glyphs[i].cut_count + 1;
    }
    glyphs->atoms = calloc(glyphs->atom_count + 1, sizeof *glyphs->atoms);
    if (glyphs->atoms == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a line of %zu parts", glyphs->atom_count);
    for (size_t i = 0; i < glyphs->count; i++)
        measure_atoms(glyphs, i);
    return CN_OK;
}

enum cn_status cn_glyphs_draw(const struct cn_glyphs *glyphs, size_t first, size_t last,
                              struct cn_plane *ret_ink, int *ret_x, int *ret_y,
                              struct cn_error *error) {
    int left = INT_MAX, top = INT_MAX, right = -1, bottom = -1;
    for (size_t i = first; i <= last; i++) {
        const struct cn_atom *atom = &glyphs->atoms[i];
        left = atom->left < left ? atom->left : left;
        top = atom->top < top ? atom->top : top;
        right = atom->right > right ? atom->right : right;
        bottom = atom->bottom > bottom ? atom->bottom : bottom;
    }
    if (right < left) /* an atom without ink, between two cuts that touch */
        left = top = right = bottom = 0;
    struct cn_plane ink = {.width = right - left + 1,
                           .height = bottom - top + 1,
                           .channels = 1,
                           .reduction = glyphs->plane->reduction};
    ink.samples = calloc((size_t)ink.width * (size_t)ink.height, 1);
    if (ink.samples == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %d x %d samples of ink", ink.width,
                       ink.height);
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            const size_t at = (size_t)y * (size_t)glyphs->plane->width + (size_t)x;
            const int16_t owner = glyphs->pieces->owner[at];
            const uint16_t index = owner >= 0 ? glyphs->glyph_of[owner] : NO_GLYPH;
            if (index == NO_GLYPH)
                continue;
            const struct cn_glyph *glyph = &glyphs->glyphs[index];
            const size_t atom = glyph->first_atom + atom_within(glyph, x, y);
            if (atom >= first && atom <= last)
                ink.samples[(size_t)(y - top) * (size_t)ink.width + (size_t)(x - left)] =
                    glyphs->plane->samples[at];
        }
    *ret_ink = ink;
    *ret_x = left;
    *ret_y = top;
    return CN_OK;
}

void cn_glyphs_clear(struct cn_glyphs *glyphs) {
    for (size_t i = 0; i < glyphs->count; i++)
        free(glyphs->glyphs[i].cuts);
    free(glyphs->glyphs);
    free(glyphs->glyph_of);
    free(glyphs->atoms);
    *glyphs = (struct cn_glyphs){0};
}
