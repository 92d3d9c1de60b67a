/* drawings.c: counts how many of the tests' own drawings a model reads, by the kind of paper, and
 * checks each kind against the least number that must be right. The drawings are no one's data, and
 * no model was trained on them.
 *
 *   make bench/drawings && bench/drawings ../models/digits.safetensors [COUNT | KIND]
 *
 * Without COUNT or KIND the program makes as many drawings of each kind as its least figure is
 * defined for, and ends with status 1 if fewer are right. With COUNT it makes that many drawings of
 * the first kinds and checks nothing. With KIND it makes only the kinds whose names begin with
 * KIND, and names the mistakes. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "convnet/plan.h"
#include "image/resample.h"
#include "support/drawing.h"

/* A model and the buffers that it needs to answer. */
struct reader {
    struct cn_model *model;
    struct cn_plan *plan;
    struct cn_workspace *workspace;
};

/* For the papers of drawing_make: 3,000 drawings in all. */
static const int least_of_paper[DRAWING_PAPERS] = {300, 300, 297, 281, 292,
                                                   288, 297, 297, 268, 297};

/* For drawing_make_dimmed: forty digits for each share. */
enum { DIGITS = 40, SHARES = 6, WIDTH = 640, HEIGHT = 480 };
static const struct dimmed {
    const char *name;
    enum drawing_dimming dimming;
    float shares[SHARES];
    int least; /* of DIGITS * SHARES */
} dimmed[] = {
    {"vignette-square", DRAWING_VIGNETTE_SQUARE, {0.15F, 0.2F, 0.25F, 0.3F, 0.35F, 0.4F}, 240},
    {"vignette-lens", DRAWING_VIGNETTE_LENS, {0.15F, 0.2F, 0.25F, 0.3F, 0.35F, 0.4F}, 239},
    {"vignette-cone", DRAWING_VIGNETTE_CONE, {0.15F, 0.2F, 0.25F, 0.3F, 0.35F, 0.4F}, 230},
    {"shadow-soft", DRAWING_SHADOW_SOFT, {0.2F, 0.3F, 0.35F, 0.4F, 0.5F, 0.6F}, 239},
    {"shadow-hard", DRAWING_SHADOW_HARD, {0.2F, 0.3F, 0.35F, 0.4F, 0.5F, 0.6F}, 239},
};

/* The widths of one picture, which must get the same class at all of them. */
enum { SIZED = 20, LARGEST = 2000 };
static const int widths[] = {2000, 1600, 1280, 1024, 900, 800, 720, 640, 560, 480, 320};
static const int least_sized = 20;

/* The class, or -1 if the picture is refused. */
static int read_picture(const struct reader *reader, const struct cn_picture *picture) {
    float image[28 * 28], outputs[10];
    int best = 0;
    if (cn_preprocess(&reader->model->preprocessing, picture, &reader->model->network->input_shape,
                      image, NULL, NULL) != CN_OK)
        return -1;
    cn_plan_run(reader->plan, reader->workspace, image, 1, outputs);
    for (int i = 1; i < 10; i++)
        best = outputs[i] > outputs[best] ? i : best;
    return best;
}

static bool report(const char *name, int right, int seen, int least) {
    printf("%-16s %5d of %5d", name, right, seen);
    printf(right < least ? "   BELOW the least, %d\n" : "\n", least);
    (void)fflush(stdout);
    return right >= least;
}

static bool read_papers(const struct reader *reader, long count, bool gate) {
    int seen[DRAWING_PAPERS] = {0}, right[DRAWING_PAPERS] = {0};
    bool good = true;
    for (long seed = 0; seed < count; seed++) {
        struct drawing drawing;
        drawing_make((uint64_t)seed, &drawing);
        seen[drawing.paper]++;
        right[drawing.paper] += read_picture(reader, &drawing.picture) == drawing.label;
        drawing_clear(&drawing);
    }
    for (int paper = 0; paper < DRAWING_PAPERS; paper++)
        good = report(drawing_paper_names[paper], right[paper], seen[paper],
                      gate ? least_of_paper[paper] : 0) &&
               good;
    return good;
}

static bool read_dimmed(const struct reader *reader, const struct dimmed *kind, bool verbose) {
    int right = 0;
    for (int i = 0; i < SHARES; i++) {
        int of_share = 0;
        for (uint64_t seed = 0; seed < DIGITS; seed++) {
            struct drawing drawing;
            drawing_make_dimmed(kind->dimming, kind->shares[i], seed, WIDTH, HEIGHT, &drawing);
            const int class = read_picture(reader, &drawing.picture);
            of_share += class == drawing.label;
            if (verbose && class != drawing.label)
                printf("    %g, seed %d: %d is read as %d\n", (double)kind->shares[i], (int)seed,
                       drawing.label, class);
            drawing_clear(&drawing);
        }
        if (verbose)
            printf("  %g: %d of %d\n", (double)kind->shares[i], of_share, DIGITS);
        right += of_share;
    }
    return report(kind->name, right, DIGITS * SHARES, kind->least);
}

/* The picture scaled to `width`, opaque. */
static enum cn_status scale(const struct cn_picture *picture, int width,
                            struct cn_picture *ret_scaled) {
    const int height = width * picture->height / picture->width;
    const struct cn_plane plane = {.width = picture->width,
                                   .height = picture->height,
                                   .channels = 4,
                                   .samples = picture->data};
    const struct cn_region whole = {0, 0, picture->width, picture->height};
    *ret_scaled = (struct cn_picture){.width = width,
                                      .height = height,
                                      .channels = 4,
                                      .data = malloc((size_t)width * (size_t)height * 4)};
    return cn_resample(&plane, &whole, CN_INTERPOLATION_AREA, width, height, ret_scaled->data,
                       NULL);
}

static bool read_sizes(const struct reader *reader, bool verbose) {
    int same = 0;
    for (uint64_t seed = 0; seed < SIZED; seed++) {
        struct drawing drawing;
        bool all = true;
        drawing_make_dimmed(seed % 2 == 0 ? DRAWING_VIGNETTE_LENS : DRAWING_SHADOW_SOFT, 0.25F,
                            seed, LARGEST, LARGEST * 3 / 4, &drawing);
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
            struct cn_picture scaled = {0};
            const int class = scale(&drawing.picture, widths[i], &scaled) == CN_OK
                                  ? read_picture(reader, &scaled)
                                  : -1;
            all = all && class == drawing.label;
            if (verbose && class != drawing.label)
                printf("    seed %d at %d: %d is read as %d\n", (int)seed, widths[i], drawing.label,
                       class);
            cn_picture_clear(&scaled);
        }
        same += all;
        drawing_clear(&drawing);
    }
    return report("eleven-sizes", same, SIZED, least_sized);
}

static bool reads_digits(const struct cn_model *model) {
    return cn_shape_size(&model->network->input_shape) == 28 * 28 && model->label_count == 10;
}

static bool begins(const char *name, const char *kind) {
    return kind == NULL || strncmp(name, kind, strlen(kind)) == 0;
}

static bool run(const struct reader *reader, const char *kind) {
    bool good = kind != NULL || read_papers(reader, 3000, true);
    for (size_t i = 0; i < sizeof dimmed / sizeof *dimmed; i++)
        if (begins(dimmed[i].name, kind))
            good = read_dimmed(reader, &dimmed[i], kind != NULL) && good;
    if (begins("eleven-sizes", kind))
        good = read_sizes(reader, kind != NULL) && good;
    return good;
}

int main(int argc, char **argv) {
    struct reader reader = {0};
    struct cn_error error = {0};
    bool good = true;
    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: %s MODEL [COUNT | KIND]\n", argv[0]);
        return 2;
    }
    if (cn_model_read(argv[1], &reader.model, &error) != CN_OK || !reads_digits(reader.model) ||
        cn_plan_create(reader.model->network, &reader.plan, &error) != CN_OK ||
        cn_workspace_create(reader.plan, &reader.workspace, &error) != CN_OK) {
        (void)fprintf(stderr, "%s: %s\n", argv[1],
                      error.text[0] != '\0' ? error.text : "takes no 28x28 digits");
        return 1;
    }
    if (argc == 3 && isdigit((unsigned char)argv[2][0]))
        good = read_papers(&reader, strtol(argv[2], NULL, 10), false);
    else
        good = run(&reader, argc == 3 ? argv[2] : NULL);
    cn_workspace_free(reader.workspace);
    cn_plan_free(reader.plan);
    cn_model_free(reader.model);
    return good ? 0 : 1;
}
