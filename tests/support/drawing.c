/* drawing.c: draws digits as strokes (control points joined by Catmull-Rom curves and moved at
 * random), by the distance of each pixel from the curve, on a paper with its light. */
#include "support/drawing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum { MAX_POINTS = 12, STROKES = 3, STEPS = 10, SEGMENTS = STROKES * MAX_POINTS * STEPS };

const char *const drawing_paper_names[DRAWING_PAPERS] = {"plain",  "transparent", "lit",   "shadow",
                                                         "ruled",  "framed",      "sheet", "boxed",
                                                         "grainy", "faint"};

/* A form of a digit: strokes of points "x,y" in hundredths of the digit's height, y down. */
struct shape {
    int label;
    const char *strokes[STROKES];
};

static const struct shape shapes[] = {
    {0, {"30,0 6,20 0,55 12,92 32,100 55,85 60,45 50,10 30,0"}},
    {0, {"34,0 10,12 0,50 10,90 34,100 60,90 68,50 58,10 30,0", "62,6 4,95"}},
    {1, {"10,0 10,50 10,100"}},
    {1, {"0,28 30,0", "30,0 30,50 30,100"}},
    {1, {"2,20 26,0", "26,0 26,100", "0,100 52,100"}},
    {2, {"4,22 16,3 40,0 58,17 50,45 25,75 0,100", "0,100 30,98 64,100"}},
    {2, {"5,20 25,0 50,10 50,38 25,75 10,97 0,85 15,80 40,95 66,95"}},
    {3, {"3,10 25,0 50,10 48,34 22,46", "22,46 50,56 58,78 35,100 10,97 0,86"}},
    {3, {"0,2 50,2", "50,2 22,40", "22,40 50,50 54,80 30,100 0,90"}},
    {4, {"42,0 20,35 0,66", "0,66 66,66", "46,30 44,100"}},
    {4, {"6,0 3,30 10,50 50,50", "52,2 50,50 48,100"}},
    {4, {"44,0 0,68", "0,68 62,66", "44,0 45,100"}},
    {5, {"8,2 4,42", "4,42 30,36 56,55 50,88 24,100 0,90", "8,2 56,0"}},
    {6, {"46,0 20,20 3,60 8,90 30,100 52,86 50,64 28,54 7,70"}},
    {7, {"0,3 58,0", "58,0 38,40 22,100"}},
    {7, {"0,3 58,0", "58,0 38,40 22,100", "12,50 58,46"}},
    {8, {"46,10 25,0 6,14 14,38 42,58 50,82 27,100 4,84 12,58 42,34 46,10"}},
    {9, {"50,20 30,0 5,14 5,40 28,50 50,30 50,15", "50,15 50,50 46,100"}},
    {9, {"50,20 30,0 5,14 5,40 28,50 50,30", "50,10 52,60 35,95 8,96"}},
};

struct segment {
    float x, y, dx, dy, radius;
};

/* The digit in pixels. */
struct curve {
    struct segment segments[SEGMENTS];
    int count;
    float left, top, right, bottom;
};

static float catmull_rom(float a, float b, float c, float d, float t) {
    return b + 0.5F * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

/* One person's handwriting: slant, proportions, irregularity, pressure. */
struct hand {
    float height, width, slant, turn, unrest, pen, pressure, x, y;
};

/* Writes the points of a form as this person places them; returns their number. */
static int place_points(const char *points, const struct hand *hand, struct cn_random *random,
                        float ret_points[MAX_POINTS][2]) {
    int count = 0, right, down, length;
    for (; sscanf(points, "%d,%d%n", &right, &down, &length) == 2; points += length) {
        const float x =
            ((float)right / 100 - 0.3F) * hand->width + hand->unrest * cn_random_normal(random);
        const float y = (float)down / 100 - 0.5F + hand->unrest * cn_random_normal(random);
        const float slanted = x - hand->slant * y, c = cosf(hand->turn), s = sinf(hand->turn);
        ret_points[count][0] = hand->x + hand->height * (slanted * c - y * s);
        ret_points[count++][1] = hand->y + hand->height * (slanted * s + y * c);
    }
    return count;
}

static void add_stroke(const char *points, const struct hand *hand, struct cn_random *random,
                       struct curve *curve) {
    float moved[MAX_POINTS][2];
    const int count = place_points(points, hand, random, moved);
    for (int i = 0; i + 1 < count; i++) {
        const float *a = moved[i > 0 ? i - 1 : 0], *b = moved[i], *c = moved[i + 1];
        const float *d = moved[i + 2 < count ? i + 2 : count - 1];
        for (int step = 0; step < STEPS; step++) {
            const float t = (float)step / STEPS, u = (float)(step + 1) / STEPS;
            struct segment *segment = &curve->segments[curve->count++];
            segment->x = catmull_rom(a[0], b[0], c[0], d[0], t);
            segment->y = catmull_rom(a[1], b[1], c[1], d[1], t);
            segment->dx = catmull_rom(a[0], b[0], c[0], d[0], u) - segment->x;
            segment->dy = catmull_rom(a[1], b[1], c[1], d[1], u) - segment->y;
            segment->radius =
                hand->pen / 2 * (1 + hand->pressure * sinf(3 * ((float)i + t) + hand->turn * 20));
        }
    }
}

/* The share of the pixel at (x, y) that ink covers. */
static float ink_at(const struct curve *curve, float x, float y) {
    float best = -1e9F;
    for (int i = 0; i < curve->count; i++) {
        const struct segment *s = &curve->segments[i];
        if (fabsf(x - s->x) > fabsf(s->dx) + s->radius + 1 ||
            fabsf(y - s->y) > fabsf(s->dy) + s->radius + 1)
            continue;
        const float length = s->dx * s->dx + s->dy * s->dy;
        float t = ((x - s->x) * s->dx + (y - s->y) * s->dy) / fmaxf(length, 1e-6F);
        t = fminf(fmaxf(t, 0), 1);
        const float inside = s->radius - hypotf(x - s->x - t * s->dx, y - s->y - t * s->dy);
        best = fmaxf(best, inside);
    }
    return fminf(fmaxf(best + 0.5F, 0), 1);
}

/* The light and colours of the scene, 0 to 1. */
struct scene {
    float paper[3], ink[3], rule[3];
    float slope_x, slope_y, vignette, grain, opacity;
    float shadow, shadow_x, shadow_y, shadow_at,
        shadow_soft; /* share of the light that is lost beyond an edge */
    float rule_step, rule_width, rule_from;
    bool squares;
    float edge[4]; /* of the dark area around the paper: left, top, right, bottom */
    float table, sheet_width, sheet_height, sheet_angle; /* half the size of a sheet; 0: no sheet */
    float box[4], box_pen;                               /* left, top, right, bottom in pixels */
    int fall;                                            /* the drawing_dimming of a vignette */
    float fall_share, aspect;
};

static void choose_colors(struct cn_random *random, bool natural, struct scene *scene) {
    const bool light = natural || cn_random_below(random, 3) > 0;
    const float tint = cn_random_below(random, 2) ? cn_random_uniform(random, 0, 0.3F) : 0;
    const int hue = (int)cn_random_below(random, 3);
    const float page = natural                      ? cn_random_uniform(random, 0.65F, 1)
                       : cn_random_below(random, 2) ? 1
                                                    : cn_random_uniform(random, 0.7F, 1);
    const float ink = cn_random_uniform(random, 0, natural ? 0.35F : 0.5F);
    const int pen = (int)cn_random_below(random, 4); /* three colours, or none */
    for (int c = 0; c < 3; c++) {
        const float paper = page * (c == hue ? 1 : 1 - 0.3F * tint);
        const float pigment = c == pen ? fminf(ink + 0.4F, 0.8F) : ink;
        scene->paper[c] = light ? paper : 1 - paper;
        scene->ink[c] = light ? pigment : 1 - pigment;
        scene->rule[c] = paper * (c == 2 ? 0.93F : 0.72F);
    }
}

static void choose_light(struct cn_random *random, enum drawing_paper paper, struct scene *scene) {
    const float turn = cn_random_uniform(random, 0, 6.28F);
    scene->slope_x = cn_random_uniform(random, -0.35F, 0.35F);
    scene->slope_y = cn_random_uniform(random, -0.35F, 0.35F);
    scene->vignette = cn_random_uniform(random, 0, 0.5F);
    scene->grain = cn_random_uniform(random, 0.003F, 0.025F);
    if (paper != DRAWING_SHADOW)
        return;
    scene->shadow = cn_random_uniform(random, 0.2F, 0.5F);
    scene->shadow_x = cosf(turn);
    scene->shadow_y = sinf(turn);
    scene->shadow_at = cn_random_uniform(random, -0.3F, 0.3F);
    scene->shadow_soft = cn_random_uniform(random, 0.02F, 0.2F);
}

/* A table with a different brightness than the paper. */
static void choose_table(struct cn_random *random, struct scene *scene) {
    scene->table = cn_random_uniform(random, 0.1F, 0.45F);
    scene->sheet_width = cn_random_uniform(random, 0.3F, 0.42F);
    scene->sheet_height = cn_random_uniform(random, 0.3F, 0.42F);
    scene->sheet_angle = cn_random_uniform(random, -0.12F, 0.12F);
}

static void choose_box(struct cn_random *random, const struct hand *hand, struct scene *scene) {
    for (int side = 0; side < 4; side++) {
        const float middle = side % 2 == 0 ? hand->x : hand->y;
        scene->box[side] = middle + hand->height * (side < 2 ? -1.0F : 1.0F) *
                                        cn_random_uniform(random, 0.62F, 0.8F);
    }
    scene->box_pen = fmaxf(hand->height * cn_random_uniform(random, 0.01F, 0.03F), 1);
}

static void choose_scene(struct cn_random *random, enum drawing_paper paper, int side,
                         struct scene *scene) {
    memset(scene, 0, sizeof *scene);
    scene->opacity = paper == DRAWING_PLAIN ? 1 : cn_random_uniform(random, 0.8F, 1);
    choose_colors(random, paper >= DRAWING_LIT, scene);
    if (paper >= DRAWING_LIT)
        choose_light(random, paper, scene);
    if (paper == DRAWING_RULED) {
        scene->rule_step = (float)side * cn_random_uniform(random, 0.12F, 0.35F);
        scene->rule_width = fmaxf((float)side * 0.004F, 1);
        scene->rule_from = cn_random_uniform(random, 0, scene->rule_step);
        scene->squares = cn_random_below(random, 2);
    }
    if (paper == DRAWING_SHEET)
        choose_table(random, scene);
    if (paper == DRAWING_GRAINY)
        scene->grain = cn_random_uniform(random, 0.05F, 0.1F);
    for (int c = 0; paper == DRAWING_FAINT && c < 3; c++)
        scene->ink[c] = scene->paper[c] - cn_random_uniform(random, 0.14F, 0.2F);
    for (int i = 0; paper == DRAWING_FRAMED && i < 4; i++)
        if (cn_random_below(random, 2))
            scene->edge[i] = cn_random_uniform(random, 0.01F, 0.07F);
}

/* The light that remains with a vignette, by the distance from the middle; 1 is a corner. */
static float fall_at(const struct scene *scene, float x, float y) {
    const float corner = hypotf(scene->aspect, 1) / 2, share = scene->fall_share;
    const float distance = hypotf(x * scene->aspect, y) / corner;
    if (scene->fall == DRAWING_VIGNETTE_SQUARE)
        return 1 - share * distance * distance;
    if (scene->fall == DRAWING_VIGNETTE_CONE)
        return 1 - share * distance;
    const float most = tanf(acosf(powf(1 - share, 0.25F)));
    return powf(cosf(atanf(distance * most)), 4);
}

static float light_at(const struct scene *scene, float x, float y) { /* from -0.5 to 0.5 */
    float light = 1 + scene->slope_x * x + scene->slope_y * y - scene->vignette * (x * x + y * y);
    if (scene->shadow > 0) {
        const float depth =
            (x * scene->shadow_x + y * scene->shadow_y - scene->shadow_at) / scene->shadow_soft;
        light *= 1 - scene->shadow * fminf(fmaxf(depth + 0.5F, 0), 1);
    }
    if (scene->fall_share > 0)
        light *= fall_at(scene, x, y);
    return light;
}

static bool is_rule(const struct scene *scene, float along) {
    return scene->rule_step > 0 &&
           fmodf(along + scene->rule_from, scene->rule_step) < scene->rule_width;
}

static bool is_box(const struct scene *scene, float x, float y) {
    const float pen = scene->box_pen, *box = scene->box;
    return pen > 0 && x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3] &&
           (x < box[0] + pen || x > box[2] - pen || y < box[1] + pen || y > box[3] - pen);
}

static bool is_table(const struct scene *scene, float u, float v) {
    const float c = cosf(scene->sheet_angle), s = sinf(scene->sheet_angle);
    return scene->table > 0 && (fabsf(c * u + s * v) > scene->sheet_width ||
                                fabsf(c * v - s * u) > scene->sheet_height);
}

static uint8_t to_sample(float value) {
    return (uint8_t)lrintf(255 * fminf(fmaxf(value, 0), 1));
}

static void paint_pixel(const struct scene *scene, struct cn_random *random, float ink, float u,
                        float v, float x, float y, bool transparent, uint8_t *pixel) {
    const float light = light_at(scene, u, v);
    const bool rule = is_rule(scene, y) || (scene->squares && is_rule(scene, x));
    const bool dark = u + 0.5F < scene->edge[0] || v + 0.5F < scene->edge[1] ||
                      0.5F - u < scene->edge[2] || 0.5F - v < scene->edge[3];
    const float cover = (is_box(scene, x, y) ? 1 : ink) * scene->opacity;
    const bool table = is_table(scene, u, v);
    for (int c = 0; c < 3; c++) {
        const float paper = rule ? scene->rule[c] : scene->paper[c];
        float value = dark    ? 0.15F
                      : table ? scene->table * light
                              : (paper + cover * (scene->ink[c] - paper)) * light;
        if (scene->grain > 0)
            value += scene->grain * cn_random_normal(random);
        pixel[c] = to_sample(transparent ? scene->ink[c] : value);
    }
    pixel[3] = transparent ? to_sample(cover) : 255;
}

/* If the paper is only a part of the picture, digits are smaller and near the middle. */
static void choose_hand(struct cn_random *random, enum drawing_paper paper, int width, int height,
                        struct hand *hand) {
    const float side = (float)(width < height ? width : height);
    const bool part = paper == DRAWING_SHEET || paper == DRAWING_BOXED;
    hand->height = side * cn_random_uniform(random, 0.35F, 0.8F) * (part ? 0.55F : 1);
    hand->width = cn_random_uniform(random, 0.75F, 1.25F);
    hand->slant = cn_random_uniform(random, -0.15F, 0.35F);
    hand->turn = cn_random_uniform(random, -0.12F, 0.12F);
    hand->unrest = cn_random_uniform(random, 0, 0.02F);
    hand->pen = fmaxf(hand->height * expf(cn_random_uniform(random, -4.0F, -1.9F)), 1.0F);
    hand->pressure = cn_random_below(random, 2) ? 0 : 0.2F;
    const float room_x = part ? 0 : (float)width / 2 - hand->height * 0.62F;
    const float room_y = part ? 0 : (float)height / 2 - hand->height * 0.62F;
    hand->x = (float)width / 2 + fmaxf(room_x, 0) * cn_random_uniform(random, -0.8F, 0.8F);
    hand->y = (float)height / 2 + fmaxf(room_y, 0) * cn_random_uniform(random, -0.8F, 0.8F);
}

void drawing_make(uint64_t seed, struct drawing *ret_drawing) {
    struct cn_random random = cn_random_stream(seed, 0x647261, 0, 0);
    struct curve *curve = calloc(1, sizeof *curve);
    struct hand hand;
    struct scene scene;
    struct drawing drawing = {.paper = (enum drawing_paper)(seed % DRAWING_PAPERS)};
    const struct shape *shape = &shapes[cn_random_below(&random, sizeof shapes / sizeof *shapes)];
    /* Papers with uneven light or lines must be large enough to show them. */
    const float least = drawing.paper >= DRAWING_LIT ? 4.2F : 3.3F;
    const int width = (int)expf(cn_random_uniform(&random, least, 5.9F));
    const int height = (int)((float)width * cn_random_uniform(&random, 0.75F, 1.4F));
    drawing.label = shape->label;
    drawing.picture = (struct cn_picture){.width = width,
                                          .height = height,
                                          .channels = 4,
                                          .data = malloc((size_t)width * (size_t)height * 4)};
    choose_hand(&random, drawing.paper, width, height, &hand);
    choose_scene(&random, drawing.paper, width > height ? width : height, &scene);
    if (drawing.paper == DRAWING_BOXED)
        choose_box(&random, &hand, &scene);
    for (int i = 0; i < STROKES && shape->strokes[i] != NULL; i++)
        add_stroke(shape->strokes[i], &hand, &random, curve);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            paint_pixel(&scene, &random, ink_at(curve, (float)x, (float)y),
                        ((float)x + 0.5F) / (float)width - 0.5F,
                        ((float)y + 0.5F) / (float)height - 0.5F, (float)x, (float)y,
                        drawing.paper == DRAWING_TRANSPARENT,
                        drawing.picture.data + ((size_t)y * (size_t)width + (size_t)x) * 4);
    free(curve);
    *ret_drawing = drawing;
}

void drawing_make_dimmed(enum drawing_dimming dimming, float share, uint64_t seed, int width,
                         int height, struct drawing *ret_drawing) {
    struct cn_random random = cn_random_stream(seed, 0x64696d, 0, 0);
    struct curve *curve = calloc(1, sizeof *curve);
    const struct shape *shape = &shapes[cn_random_below(&random, sizeof shapes / sizeof *shapes)];
    struct hand hand;
    struct scene scene = {.opacity = 1, .grain = 0.006F, .aspect = (float)width / (float)height};
    const float paper = cn_random_uniform(&random, 0.8F, 0.98F);
    const float ink = cn_random_uniform(&random, 0.05F, 0.25F);
    const float turn = cn_random_uniform(&random, 0, 6.28F);
    for (int c = 0; c < 3; c++) {
        scene.paper[c] = paper;
        scene.ink[c] = ink;
    }
    choose_hand(&random, DRAWING_LIT, width, height, &hand);
    hand.pen = fmaxf(hand.pen, (float)height * 0.012F);
    if (dimming <= DRAWING_VIGNETTE_CONE) {
        scene.fall = (int)dimming;
        scene.fall_share = share;
    } else {
        scene.shadow = share;
        scene.shadow_x = cosf(turn);
        scene.shadow_y = sinf(turn);
        scene.shadow_at = cn_random_uniform(&random, -0.3F, 0.3F);
        scene.shadow_soft = dimming == DRAWING_SHADOW_HARD
                                ? 2.0F / (float)height
                                : cn_random_uniform(&random, 0.05F, 0.25F);
    }
    for (int i = 0; i < STROKES && shape->strokes[i] != NULL; i++)
        add_stroke(shape->strokes[i], &hand, &random, curve);
    struct cn_picture picture = {.width = width,
                                 .height = height,
                                 .channels = 4,
                                 .data = malloc((size_t)width * (size_t)height * 4)};
    const float reach = hand.height * 1.2F + hand.pen;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const bool near = fabsf((float)x - hand.x) < reach && fabsf((float)y - hand.y) < reach;
            paint_pixel(&scene, &random, near ? ink_at(curve, (float)x, (float)y) : 0,
                        ((float)x + 0.5F) / (float)width - 0.5F,
                        ((float)y + 0.5F) / (float)height - 0.5F, (float)x, (float)y, false,
                        picture.data + ((size_t)y * (size_t)width + (size_t)x) * 4);
        }
    free(curve);
    *ret_drawing = (struct drawing){.picture = picture, .label = shape->label};
}

void drawing_clear(struct drawing *drawing) {
    cn_picture_clear(&drawing->picture);
}
