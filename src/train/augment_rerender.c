/* augment_rerender.c: shows a digit as somebody might draw and photograph it, with another pen,
 * another paper and uneven light, and then preprocesses the picture as the server does. So the
 * network is trained with strokes as the preprocessing delivers them. */
#include <math.h>

#include "train/augment.h"

/* Draws with a hard-edged pen: the plane cut at `level`, with an edge of `1 / steepness` of ink. */
static void redraw(float level, float steepness, float *plane, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float ink = (plane[i] - level) * steepness + 0.5f;
        plane[i] = cn_augment_clip(ink);
    }
}

/* The appearance of a page: brightness of paper and ink, light that decreases across it, grain. */
struct page {
    float paper, ink, slope_x, slope_y, grain;
};

static struct page draw_page(struct cn_random *random) {
    const float contrast = cn_random_uniform(random, 0.3f, 1);
    const float base = cn_random_uniform(random, 0, 1 - contrast);
    const bool light =
        cn_random_below(random, 4) != 0; /* three of four people draw dark on light */
    const float fall = 0.1f * contrast;
    const bool clean = cn_random_below(random, 2) == 0; /* for example drawn on a screen */
    struct page page = {.paper = light ? base + contrast : base,
                        .ink = light ? base : base + contrast};
    if (!clean) {
        page.slope_x = cn_random_uniform(random, -fall, fall);
        page.slope_y = cn_random_uniform(random, -fall, fall);
        page.grain = cn_random_uniform(random, 0, 0.03f * contrast);
    }
    return page;
}

static void paint(const struct page *page, struct cn_random *random, float *plane, int height,
                  int width, uint8_t *pixels) {
    for (int y = 0; y < height; y++) {
        const float down = (float)y / (float)height - 0.5f;
        for (int x = 0; x < width; x++, plane++) {
            const float light =
                page->slope_x * ((float)x / (float)width - 0.5f) + page->slope_y * down;
            *plane = page->paper + *plane * (page->ink - page->paper) + light;
        }
    }
    plane -= (size_t)height * (size_t)width;
    cn_augment_noise(page->grain, random, plane, (size_t)height * (size_t)width);
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        pixels[i] = (uint8_t)lrintf(255 * fminf(fmaxf(plane[i], 0), 1));
}

bool cn_rerender(struct cn_random *random, const struct cn_preprocessing *preprocessing,
                 const struct cn_shape *shape, const struct cn_canvas *canvas, float *to) {
    const struct page page = draw_page(random);
    const struct cn_picture picture = {
        .width = canvas->width, .height = canvas->height, .channels = 1, .data = canvas->pixels};
    const float level = cn_random_uniform(random, 0.3f, 0.6f);
    const float steepness = cn_random_uniform(random, 1.5f, 6);
    const float wider = cn_random_uniform(random, -0.6f, 0.8f); /* in pixels of the input */
    redraw(level, steepness, canvas->plane, (size_t)canvas->height * (size_t)canvas->width);
    cn_augment_stroke(wider * canvas->factor, canvas->plane, canvas->height, canvas->width,
                      canvas->scratch);
    paint(&page, random, canvas->plane, canvas->height, canvas->width, canvas->pixels);
    return cn_preprocess(preprocessing, &picture, shape, to, NULL, NULL) == CN_OK;
}
