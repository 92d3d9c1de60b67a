/* read.c: reads lines of text in a picture: ink, pieces, lines, glyphs, candidates, best path. The
 * ink is found and a candidate is fitted as cn_preprocess does it for a single digit; the model's
 * own network classifies. Thread-safe: no state but the caller's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/reading.h"
#include "image/ink.h"
#include "image/page.h"
#include "image/sheet.h"
#include "image/strokes.h"
#include "image/surface.h"
#include "reading/candidates.h"

enum {
    ATOMS_IN_DIGIT = 12,
    MOST_CANDIDATES = 4096, /* most in one line */
    MOST_LINES = 256,
    MOST_SYMBOLS = 4096
};

/* Widths of a digit, in heights of the line. */
static const double usual_width = 1.0;   /* of a digit: wider ones may be several */
static const double most_width = 1.7;    /* of a possible single digit */
static const double least_height = 0.42; /* of a digit, relative to the others */

/* `sure`: a glyph of at least this confidence is not cut. `least_certainty`: lower certainties are
 * raised to this one. */
static const double sure = 0.99, least_certainty = 1e-3;

/* Scores, added to the logarithms of the confidences: for a cut through a glyph, and for a mark
 * that is skipped. */
static const double cut_score = -0.3, skipped_score = -1.2, separator_score = -0.05;

/* ---- The ink ---- */

/* True for a form's box or a ruling: one wide piece that is mostly empty. */
static bool is_framework(const struct cn_piece *piece, const struct cn_plane *plane) {
    const int width = cn_piece_width(piece), height = cn_piece_height(piece);
    const bool thin = height * 12 <= width && width * 3 >= plane->width;
    const bool hollow = piece->area * 3 < width * height && width >= 3 * height / 2 &&
                        height >= 16 && width * 4 >= plane->width;
    const bool around = piece->area * 4 < width * height && width * 10 >= plane->width * 8 &&
                        height * 10 >= plane->height * 5;
    return thin || hollow || around;
}

static enum cn_status check_stop(const struct cn_reading_options *options, struct cn_error *error) {
    return options->stop != NULL && options->stop(options->context)
               ? cn_fail(error, CN_CANCELED, "the reading of the picture was stopped")
               : CN_OK;
}

/* Erases rulings and the boxes of forms. */
static enum cn_status erase_framework(struct cn_plane *plane, struct cn_pieces *pieces,
                                      const struct cn_reading_options *options,
                                      struct cn_error *error) {
    bool erased = false;
    for (size_t i = 0; i < pieces->count; i++) {
        const struct cn_piece *piece = &pieces->pieces[i];
        if (!is_framework(piece, plane))
            continue;
        if (check_stop(options, error) != CN_OK)
            return CN_CANCELED;
        const struct cn_rectangle within = {piece->left, piece->top, cn_piece_width(piece),
                                            cn_piece_height(piece)};
        cn_ink_erase_lines(plane, within, 0.75, 0.9);
        erased = true;
    }
    if (!erased)
        return CN_OK;
    cn_pieces_clear(pieces);
    return cn_pieces_find(plane, pieces, error);
}

/* ---- One reading ---- */

struct reader {
    const struct cn_model *model;
    const struct cn_plan *plan;
    struct cn_workspace *workspace;
    const struct cn_reading_options *options;
    const struct cn_shape *shape;
    size_t image_size, label_count;
    float *images, *outputs; /* [MOST_CANDIDATES at most, grown] */
    size_t room;
    struct cn_candidate *candidates; /* [MOST_CANDIDATES] */
    size_t candidate_count;
    size_t parts; /* candidates of all lines so far */
    size_t *path; /* room for MOST_CANDIDATES */
};

static enum cn_status reader_reserve(struct reader *r, size_t count, struct cn_error *error) {
    if (count <= r->room)
        return CN_OK;
    const size_t room = count < 64 ? 64 : 2 * count;
    float *images = realloc(r->images, room * r->image_size * sizeof *images);
    if (images != NULL)
        r->images = images;
    float *outputs = realloc(r->outputs, room * r->label_count * sizeof *outputs);
    if (outputs != NULL)
        r->outputs = outputs;
    if (images == NULL || outputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu candidates", room);
    r->room = room;
    return CN_OK;
}

/* Adds the atoms [first, last] as a candidate and writes its image to r->images. */
static enum cn_status add_candidate(struct reader *r, const struct cn_glyphs *glyphs, size_t first,
                                    size_t last, struct cn_error *error) {
    struct cn_plane ink = {0};
    struct cn_strokes strokes = {0};
    int x = 0, y = 0;
    if (r->candidate_count == MOST_CANDIDATES)
        return cn_fail(error, CN_LIMIT, "a line may be cut in more than %d ways", MOST_CANDIDATES);
    if (++r->parts > r->options->most_parts && r->options->most_parts > 0)
        return cn_fail(error, CN_LIMIT, "the picture has more than %zu parts that may be digits",
                       r->options->most_parts);
    enum cn_status status = check_stop(r->options, error);
    if (status == CN_OK)
        status = reader_reserve(r, r->candidate_count + 1, error);
    if (status == CN_OK)
        status = cn_glyphs_draw(glyphs, first, last, &ink, &x, &y, error);
    if (status != CN_OK)
        return status;
    const struct cn_rectangle whole = {0, 0, ink.width, ink.height};
    status = cn_strokes_scale(&ink, whole, r->model->preprocessing.box, &strokes, error);
    if (status == CN_OK) {
        const size_t row = r->candidate_count++;
        float *image = r->images + row * r->image_size;
        cn_strokes_place(&strokes, r->shape, image);
        cn_preprocessing_normalize(&r->model->preprocessing, r->shape, 1, image);
        r->candidates[row] = (struct cn_candidate){.first = (uint16_t)first,
                                                   .last = (uint16_t)last,
                                                   .left = x,
                                                   .top = y,
                                                   .right = x + ink.width - 1,
                                                   .bottom = y + ink.height - 1,
                                                   .row = row};
    }
    free(strokes.values);
    cn_plane_clear(&ink);
    return status;
}

/* A score for the shape of the rectangle: 0 for a usual digit of the line, lower for others. */
static double shape_score(const struct cn_candidate *candidate, int line_height) {
    const double height = (double)(candidate->bottom - candidate->top + 1) / line_height;
    const double width = (double)(candidate->right - candidate->left + 1) / line_height;
    double score = 0;
    if (height < 0.7)
        score -= 6 * (0.7 - height);
    if (height > 1.5)
        score -= 3 * (height - 1.5);
    if (width > 0.95)
        score -= 3 * (width - 0.95);
    return score;
}

/* The ink that the cut to the left of an atom crosses, in widths of a stroke; 0: it begins a glyph.
 */
static double ink_cut(const struct cn_glyphs *glyphs, size_t atom) {
    const struct cn_glyph *glyph = &glyphs->glyphs[glyphs->atoms[atom].glyph];
    return atom == glyph->first_atom ? 0 : glyph->cut_ink[atom - glyph->first_atom - 1];
}

/* The certainty of a digit: 0 where all classes are alike, which is how the network says that there
 * is no digit. */
static double certainty(const struct reader *r, float confidence) {
    const double alike = 1.0 / (double)r->label_count;
    return fmax(((double)confidence - alike) / (1 - alike), least_certainty);
}

/* Classifies the candidates from `from` on. */
static void answer_candidates(struct reader *r, const struct cn_glyphs *glyphs, size_t from) {
    cn_plan_run(r->plan, r->workspace, r->images + from * r->image_size, r->candidate_count - from,
                r->outputs + from * r->label_count);
    for (size_t i = from; i < r->candidate_count; i++) {
        struct cn_candidate *candidate = &r->candidates[i];
        const float *outputs = r->outputs + candidate->row * r->label_count;
        candidate->class_index =
            (int)cn_plan_answer(outputs, r->label_count, &candidate->confidence);
        candidate->score =
            log(certainty(r, candidate->confidence)) + shape_score(candidate, glyphs->height);
        candidate->score += cut_score * ink_cut(glyphs, candidate->first);
    }
}

/* The character of a mark by its shape and position: '.', ',', '-' or '/'; NUL: none. */
static char separator_of(const struct cn_glyphs *glyphs, const struct cn_glyph *glyph, int top,
                         int bottom) {
    const double height = (double)(glyph->bottom - glyph->top + 1) / glyphs->height;
    const double width = (double)(glyph->right - glyph->left + 1) / glyphs->height;
    const double middle = ((glyph->top + glyph->bottom) / 2.0 - top) / (bottom - top + 1);
    if (height < 0.3 && width > 1.6 * height && middle > 0.25 && middle < 0.75)
        return '-';
    if (height < 0.3 && width < 0.3 && middle > 0.7)
        return '.';
    if (height < 0.55 && width < 0.4 && middle > 0.75)
        return ',';
    return '\0';
}

/* The rows that the digits beside a glyph occupy. */
static void find_band(const struct cn_glyphs *glyphs, size_t index, int *ret_top, int *ret_bottom) {
    size_t best = glyphs->count, best_distance = glyphs->count;
    for (size_t i = 0; i < glyphs->count; i++) {
        const size_t distance = i > index ? i - index : index - i;
        if (glyphs->glyphs[i].tall && i != index && distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    const struct cn_glyph *beside = &glyphs->glyphs[best < glyphs->count ? best : index];
    *ret_top = beside->top;
    *ret_bottom = beside->bottom;
}

/* Adds a single mark as a candidate: a separator, or nothing. */
static enum cn_status add_mark(struct reader *r, const struct cn_glyphs *glyphs, size_t index,
                               struct cn_error *error) {
    const struct cn_glyph *glyph = &glyphs->glyphs[index];
    int top, bottom;
    if (r->candidate_count == MOST_CANDIDATES)
        return cn_fail(error, CN_LIMIT, "a line may be cut in more than %d ways", MOST_CANDIDATES);
    const enum cn_status status = reader_reserve(r, r->candidate_count + 1, error);
    if (status != CN_OK)
        return status;
    find_band(glyphs, index, &top, &bottom);
    const char separator = separator_of(glyphs, glyph, top, bottom);
    const size_t row = r->candidate_count++;
    r->candidates[row] =
        (struct cn_candidate){.first = (uint16_t)glyph->first_atom,
                              .last = (uint16_t)(glyph->first_atom + glyph->cut_count),
                              .class_index = -1,
                              .separator = separator,
                              .confidence = 1,
                              .score = separator != '\0' ? separator_score : skipped_score,
                              .left = glyph->left,
                              .top = glyph->top,
                              .right = glyph->right,
                              .bottom = glyph->bottom,
                              .row = row};
    return CN_OK;
}

/* The first pass, over whole glyphs: those that the network is sure of and that look like one digit
 * are final. */
static enum cn_status find_sure_glyphs(struct reader *r, struct cn_glyphs *glyphs,
                                       struct cn_error *error) {
    enum cn_status status = cn_glyphs_make_atoms(glyphs, error);
    r->candidate_count = 0;
    for (size_t i = 0; i < glyphs->count && status == CN_OK; i++)
        if (glyphs->glyphs[i].tall)
            status = add_candidate(r, glyphs, i, i, error);
    if (status != CN_OK)
        return status;
    answer_candidates(r, glyphs, 0);
    for (size_t c = 0; c < r->candidate_count; c++) {
        struct cn_glyph *glyph = &glyphs->glyphs[r->candidates[c].first];
        const double width = (double)(glyph->right - glyph->left + 1) / glyphs->height;
        glyph->sure = (double)r->candidates[c].confidence >= sure && width <= usual_width &&
                      shape_score(&r->candidates[c], glyphs->height) >= -0.3;
        if (!glyph->sure)
            status = cn_glyph_cut(glyphs, r->candidates[c].first, error);
        if (status != CN_OK)
            return status;
    }
    free(glyphs->atoms);
    glyphs->atoms = NULL;
    return cn_glyphs_make_atoms(glyphs, error);
}

/* True if the atoms [first, last] may be one digit. */
static bool is_possible(const struct cn_glyphs *glyphs, size_t first, size_t last) {
    int left = glyphs->atoms[first].left, right = glyphs->atoms[first].right;
    int top = glyphs->atoms[first].top, bottom = glyphs->atoms[first].bottom;
    bool tall = false;
    for (size_t i = first; i <= last; i++) {
        const struct cn_atom *atom = &glyphs->atoms[i];
        const struct cn_glyph *glyph = &glyphs->glyphs[atom->glyph];
        if (atom->area == 0 || (glyph->sure && first != last))
            return false;
        tall = tall || glyph->tall;
        left = atom->left < left ? atom->left : left;
        right = atom->right > right ? atom->right : right;
        top = atom->top < top ? atom->top : top;
        bottom = atom->bottom > bottom ? atom->bottom : bottom;
    }
    return tall && right - left + 1 <= most_width * glyphs->height &&
           bottom - top + 1 >= least_height * glyphs->height;
}

/* The second pass: all runs of atoms that may be one character, sorted by their first atom. */
static enum cn_status find_candidates(struct reader *r, const struct cn_glyphs *glyphs,
                                      struct cn_error *error) {
    enum cn_status status = CN_OK;
    r->candidate_count = 0;
    for (size_t first = 0; first < glyphs->atom_count && status == CN_OK; first++) {
        for (size_t last = first;
             last < glyphs->atom_count && last - first < ATOMS_IN_DIGIT && status == CN_OK; last++)
            if (is_possible(glyphs, first, last))
                status = add_candidate(r, glyphs, first, last, error);
    }
    if (status != CN_OK)
        return status;
    answer_candidates(r, glyphs, 0);
    for (size_t i = 0; i < glyphs->count && status == CN_OK; i++)
        if (!glyphs->glyphs[i].tall)
            status = add_mark(r, glyphs, i, error);
    /* An atom without ink belongs to no character and may be skipped without cost. */
    for (size_t a = 0; a < glyphs->atom_count && status == CN_OK; a++)
        if (glyphs->atoms[a].area == 0 && r->candidate_count < MOST_CANDIDATES)
            r->candidates[r->candidate_count++] = (struct cn_candidate){
                .first = (uint16_t)a, .last = (uint16_t)a, .class_index = -1, .confidence = 1};
    return status;
}

static int compare_candidates(const void *a, const void *b) {
    const struct cn_candidate *one = a, *other = b;
    return one->first != other->first ? one->first - other->first : one->last - other->last;
}

/* ---- A line ---- */

/* The number of digits that the options require in each line; 0: any number. */
static int expected_digits(const struct cn_reading_options *options) {
    int count = 0;
    for (const char *c = options->pattern; *c != '\0'; c++)
        count += *c == 'd';
    return count > 0 ? count : options->length;
}

/* Collects a line's symbols and text until their number is known. */
struct draft_line {
    struct cn_reading_line line;
    float *probabilities; /* [count, label_count], for the digits in order */
    size_t digit_count;
};

static void draft_line_free(struct draft_line *draft) {
    free(draft->line.text);
    free(draft->line.symbols);
    free(draft->probabilities);
    *draft = (struct draft_line){0};
}

static void put_box(int box[4], int left, int top, int right, int bottom, int by) {
    memcpy(box, (int[4]){left * by, top * by, (right - left + 1) * by, (bottom - top + 1) * by},
           4 * sizeof *box);
}

/* The position of the ink plane in the picture: offset in samples, pixels per sample. */
struct place {
    int x, y, by;
};

static void put_symbol(const struct reader *r, const struct cn_candidate *candidate,
                       const struct place *place, struct draft_line *draft) {
    struct cn_reading_symbol *symbol = &draft->line.symbols[draft->line.count];
    if (candidate->class_index < 0 && (candidate->separator == '\0' || !r->options->separators))
        return;
    *symbol = (struct cn_reading_symbol){.class_index = candidate->class_index,
                                         .separator = candidate->separator,
                                         .confidence = candidate->confidence};
    put_box(symbol->box, candidate->left + place->x, candidate->top + place->y,
            candidate->right + place->x, candidate->bottom + place->y, place->by);
    if (candidate->class_index >= 0)
        memcpy(draft->probabilities + draft->digit_count++ * r->label_count,
               r->outputs + candidate->row * r->label_count,
               r->label_count * sizeof *draft->probabilities);
    draft->line.count++;
}

/* Characters of a pattern that are not digits are put between the digits. */
static enum cn_status put_text(const struct reader *r, struct draft_line *draft,
                               struct cn_error *error) {
    const char *pattern = r->options->pattern;
    size_t length = strlen(pattern) + 1;
    for (size_t i = 0; i < draft->line.count; i++)
        length += draft->line.symbols[i].class_index >= 0
                      ? strlen(r->model->labels[draft->line.symbols[i].class_index])
                      : 1;
    char *text = malloc(length);
    if (text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a text of %zu bytes", length);
    size_t used = 0;
    for (size_t i = 0; i < draft->line.count; i++) {
        while (*pattern != '\0' && *pattern != 'd')
            text[used++] = *pattern++;
        pattern += *pattern == 'd';
        const struct cn_reading_symbol *symbol = &draft->line.symbols[i];
        if (symbol->class_index < 0)
            text[used++] = symbol->separator;
        else
            used += (size_t)sprintf(text + used, "%s", r->model->labels[symbol->class_index]);
    }
    while (*pattern != '\0')
        text[used++] = *pattern++;
    text[used] = '\0';
    draft->line.text = text;
    return CN_OK;
}

/* Turns the chosen path into a line. */
static enum cn_status put_line(const struct reader *r, const struct cn_text_line *line,
                               size_t path_length, double margin, const struct place *place,
                               struct draft_line *draft, struct cn_error *error) {
    *draft = (struct draft_line){
        .line.symbols = calloc(path_length + 1, sizeof *draft->line.symbols),
        .probabilities = calloc((path_length + 1) * r->label_count, sizeof *draft->probabilities)};
    if (draft->line.symbols == NULL || draft->probabilities == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a line of %zu characters", path_length);
    /* The share of the path among all ways to cut, as if the second best were the only other. */
    double confidence = 1 / (1 + exp(-margin));
    for (size_t i = 0; i < path_length; i++) {
        const struct cn_candidate *candidate = &r->candidates[r->path[i]];
        put_symbol(r, candidate, place, draft);
        confidence *= candidate->class_index >= 0 ? (double)candidate->confidence : 1;
    }
    draft->line.confidence = (float)confidence;
    put_box(draft->line.box, line->left + place->x, line->top + place->y, line->right + place->x,
            line->bottom + place->y, place->by);
    return put_text(r, draft, error);
}

/* Reads one line. *ret_read: the line has digits, and as many as the options require. */
static enum cn_status read_line(struct reader *r, const struct cn_plane *plane,
                                const struct cn_pieces *pieces, const struct cn_text_line *line,
                                const struct place *place, struct draft_line *draft, bool *ret_read,
                                struct cn_error *error) {
    struct cn_glyphs glyphs = {0};
    *ret_read = false;
    enum cn_status status = cn_glyphs_make(plane, pieces, line, &glyphs, error);
    if (status == CN_OK)
        status = find_sure_glyphs(r, &glyphs, error);
    if (status == CN_OK)
        status = find_candidates(r, &glyphs, error);
    if (status == CN_OK) {
        size_t count = 0;
        double margin = 0;
        qsort(r->candidates, r->candidate_count, sizeof *r->candidates, compare_candidates);
        status =
            cn_candidates_best_path(r->candidates, r->candidate_count, glyphs.atom_count,
                                    expected_digits(r->options), r->path, &count, &margin, error);
        if (status == CN_OK && count > 0)
            status = put_line(r, line, count, margin, place, draft, error);
        *ret_read = status == CN_OK && count > 0 && draft->digit_count > 0;
    }
    cn_glyphs_clear(&glyphs);
    return status;
}

/* ---- The picture ---- */

bool cn_reading_possible(const struct cn_model *model) {
    return model->preprocessing.fit == CN_FIT_MNIST && model->network->input_shape.rank == 3 &&
           model->network->input_shape.dims[2] == 1;
}

enum cn_status cn_reading_options_check(const struct cn_reading_options *options,
                                        struct cn_error *error) {
    if (options->length < 0 || options->length > CN_GLYPHS_MOST)
        return cn_fail(error, CN_INVALID, "length %d is not 1 to %d", options->length,
                       CN_GLYPHS_MOST);
    if (options->lines < 0 || options->lines > MOST_LINES)
        return cn_fail(error, CN_INVALID, "lines %d is not 1 to %d", options->lines, MOST_LINES);
    if (options->pattern[0] == '\0')
        return CN_OK;
    if (options->length > 0 || options->separators)
        return cn_fail(
            error, CN_INVALID,
            "a pattern says all of the text; length and separators cannot be combined with it");
    for (const char *c = options->pattern; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            return cn_fail(error, CN_INVALID, "a pattern has printable ASCII only, not byte 0x%02x",
                           (unsigned)(unsigned char)*c);
    if (strchr(options->pattern, 'd') == NULL)
        return cn_fail(error, CN_INVALID, "the pattern \"%s\" has no d, which stands for a digit",
                       options->pattern);
    return CN_OK;
}

/* Finds the ink of a picture and its pieces; without ink there are no pieces. */
static enum cn_status find_ink(const struct cn_preprocessing *preprocessing,
                               const struct cn_reading_options *options,
                               const struct cn_picture *picture, struct cn_plane *plane,
                               struct cn_pieces *pieces, struct place *ret_place,
                               bool *ret_inverted, struct cn_error *error) {
    struct cn_rectangle sheet = {0};
    struct cn_page page = {0};
    enum cn_status status = cn_plane_create(picture, CN_SURFACE_SIDE_LIMIT, plane, error);
    if (status != CN_OK)
        return status;
    (void)cn_sheet_isolate(plane, &sheet);
    *ret_place = (struct place){sheet.x, sheet.y, plane->reduction};
    if (!cn_page_extract_ink(plane, preprocessing->invert, &page))
        return CN_OK;
    *ret_inverted = page.light;
    status = cn_pieces_find(plane, pieces, error);
    return status == CN_OK ? erase_framework(plane, pieces, options, error) : status;
}

static int compare_weights(const void *a, const void *b) {
    const double one = *(const double *)a, other = *(const double *)b;
    return (one < other) - (one > other);
}

/* The weight of a line: its extent. */
static double line_weight(const struct cn_text_line *line) {
    return (double)(line->right - line->left + 1) * line->height;
}

/* Keeps the `count` lines of the largest extent, in their order. */
static void keep_largest(struct cn_text_lines *lines, int count) {
    double weights[MOST_LINES];
    if (count == 0 || lines->count <= (size_t)count || lines->count > MOST_LINES)
        return;
    for (size_t i = 0; i < lines->count; i++)
        weights[i] = line_weight(&lines->lines[i]);
    qsort(weights, lines->count, sizeof *weights, compare_weights);
    const double least = weights[count - 1];
    size_t kept = 0;
    for (size_t i = 0; i < lines->count && kept < (size_t)count; i++)
        if (line_weight(&lines->lines[i]) >= least)
            lines->lines[kept++] = lines->lines[i];
    lines->count = kept;
}

/* Moves the lines into the result. */
static enum cn_status assemble(const struct reader *r, struct draft_line *drafts, size_t count,
                               struct cn_reading *reading, struct cn_error *error) {
    size_t digits = 0, used = 0;
    for (size_t i = 0; i < count; i++)
        digits += drafts[i].digit_count;
    if (digits > MOST_SYMBOLS)
        return cn_fail(error, CN_LIMIT, "the picture has %zu digits; at most %d are read", digits,
                       MOST_SYMBOLS);
    reading->label_count = r->label_count;
    reading->lines = calloc(count + 1, sizeof *reading->lines);
    reading->probabilities = calloc(digits * r->label_count + 1, sizeof *reading->probabilities);
    if (reading->lines == NULL || reading->probabilities == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a reading of %zu digits", digits);
    for (size_t i = 0; i < count; i++) {
        memcpy(reading->probabilities + used * r->label_count, drafts[i].probabilities,
               drafts[i].digit_count * r->label_count * sizeof *reading->probabilities);
        struct cn_reading_line *line = &reading->lines[reading->count++];
        *line = drafts[i].line;
        drafts[i].line = (struct cn_reading_line){0};
        for (size_t s = 0; s < line->count; s++)
            if (line->symbols[s].class_index >= 0)
                line->symbols[s].probabilities = reading->probabilities + used++ * r->label_count;
    }
    return CN_OK;
}

static enum cn_status read_lines(struct reader *r, const struct cn_plane *plane,
                                 const struct cn_pieces *pieces, const struct place *place,
                                 struct cn_reading *reading, struct cn_error *error) {
    struct cn_text_lines lines = {0};
    size_t count = 0;
    enum cn_status status = cn_text_lines_find(pieces, &lines, error);
    if (status != CN_OK)
        return status;
    if (lines.count > MOST_LINES) {
        cn_text_lines_clear(&lines);
        return cn_fail(error, CN_LIMIT, "the picture has %zu lines; at most %d are read",
                       lines.count, MOST_LINES);
    }
    keep_largest(&lines, r->options->lines);
    struct draft_line *drafts = calloc(lines.count + 1, sizeof *drafts);
    if (drafts == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for %zu lines", lines.count);
    for (size_t i = 0; i < lines.count && status == CN_OK; i++) {
        bool read = false;
        status = read_line(r, plane, pieces, &lines.lines[i], place, &drafts[count], &read, error);
        if (read)
            count++;
        else
            draft_line_free(&drafts[count]);
    }
    if (status == CN_OK)
        status = assemble(r, drafts, count, reading, error);
    for (size_t i = 0; drafts != NULL && i <= lines.count; i++)
        draft_line_free(&drafts[i]);
    free(drafts);
    cn_text_lines_clear(&lines);
    return status;
}

enum cn_status cn_read(const struct cn_model *model, const struct cn_plan *plan,
                       struct cn_workspace *workspace, const struct cn_picture *picture,
                       const struct cn_reading_options *options, struct cn_reading **ret_reading,
                       struct cn_error *error) {
    struct reader r = {.model = model,
                       .plan = plan,
                       .workspace = workspace,
                       .options = options,
                       .shape = &model->network->input_shape,
                       .image_size = cn_plan_input_size(plan),
                       .label_count = model->label_count};
    struct cn_plane plane = {0};
    struct cn_pieces pieces = {0};
    struct place place = {0};
    struct cn_reading *reading = NULL;
    enum cn_status status = cn_reading_options_check(options, error);
    if (status == CN_OK && !cn_reading_possible(model))
        status = cn_fail(error, CN_UNSUPPORTED,
                         "the model reads no rows: it must take one channel, prepared with fit "
                         "mnist");
    if (status != CN_OK)
        return status;
    reading = calloc(1, sizeof *reading);
    r.candidates = malloc(MOST_CANDIDATES * sizeof *r.candidates);
    r.path = malloc(MOST_CANDIDATES * sizeof *r.path);
    if (reading == NULL || r.candidates == NULL || r.path == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory to read a picture");
        goto out;
    }
    status = find_ink(&model->preprocessing, options, picture, &plane, &pieces, &place,
                      &reading->inverted, error);
    if (status == CN_OK && pieces.count > 0)
        status = read_lines(&r, &plane, &pieces, &place, reading, error);
    if (status != CN_OK)
        goto out;
    *ret_reading = reading;
    reading = NULL;
out:
    cn_reading_free(reading);
    cn_pieces_clear(&pieces);
    cn_plane_clear(&plane);
    free(r.candidates);
    free(r.path);
    free(r.images);
    free(r.outputs);
    return status;
}

void cn_reading_free(struct cn_reading *reading) {
    if (reading == NULL)
        return;
    for (size_t i = 0; i < reading->count; i++) {
        free(reading->lines[i].text);
        free(reading->lines[i].symbols);
    }
    free(reading->lines);
    free(reading->probabilities);
    free(reading);
}
