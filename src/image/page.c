/* page.c: separates a drawing from its page. A page without lighting (drawn, rendered, scanned to
 * pure white) has one level; any other page is a surface, see surface.h. Pixels that are darker
 * than the page by more than its grain are ink. A dark page is inverted first. Works in place and
 * in fixed memory whatever the plane's size. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/levels.h"
#include "image/page.h"
#include "image/polarity.h"
#include "image/surface.h"

enum {
    ZERO = 255,               /* the bin of residual 0 */
    RESIDUALS = 511,          /* -255 .. 255 */
    PURE_PERCENT = 20,        /* a page of one level has at least this share of the pixels */
    LEAST_PURE_PERCENT = 4,   /* or this share, in a small picture */
    SHADE_PERCENT = 25,       /* at most this share of its pixels are a little darker than it */
    SHADE = 80,               /* grey levels; ink differs from such a page by at least this */
    LEAST_SHADOW_PERCENT = 5, /* a shadow has at least this share of the pixels */
    DARKEST_PAGE = 48, /* levels are not divided by darker pages, since grain would become ink */
    FEW_ROWS = 128,    /* rows; pages with more are sampled */
    SMOOTHINGS = 2,    /* times to smooth if grain hides the ink */
    GRAINY = 40,       /* samples per side; below this, strokes are as fine as grain */
    GRAINY_BUT_CLEAR = 120 /* samples per side; below this, they are nearly so */
};

/* Multiples of the grain's standard deviation, from which on ink stands out: without smoothing;
 * after smoothing, which leaves coarser grain; and so far that no smoothing is needed. */
static const double clear = 6.0, clear_when_smooth = 10.0, crisp = 12.0;

/* Counts the pixels of each level. Four counters per level avoid waiting for the last increment. */
static void count_levels(const struct cn_plane *plane, size_t ret_levels[256]) {
    uint32_t counts[4][256] = {{0}};
    const size_t count = (size_t)plane->width * (size_t)plane->height;
    const uint8_t *samples = plane->samples;
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t lane = 0; lane < 4; lane++)
            counts[lane][samples[i + lane]]++;
    for (; i < count; i++)
        counts[0][samples[i]]++;
    for (int level = 0; level < 256; level++)
        ret_levels[level] =
            (size_t)counts[0][level] + counts[1][level] + counts[2][level] + counts[3][level];
}

/* Inverts a dark page. */
static void invert(struct cn_plane *plane, size_t levels[256]) {
    const size_t count = (size_t)plane->width * (size_t)plane->height;
    for (size_t i = 0; i < count; i++)
        plane->samples[i] = (uint8_t)(255 - plane->samples[i]);
    for (int level = 0; level < 128; level++) {
        const size_t other = levels[level];
        levels[level] = levels[255 - level];
        levels[255 - level] = other;
    }
}

/* The level of a page without lighting; -1: it has no single level. */
static int find_pure_level(const struct cn_plane *plane, const size_t levels[256]) {
    const size_t total = cn_levels_between(levels, 0, 255);
    const int lightest = cn_levels_quantile(levels, 256, 0.9999);
    int level = 255;
    /* A digit that fills a small picture leaves little of the page, and has greys around it. */
    if (cn_levels_small(plane) &&
        cn_levels_between(levels, lightest - 1, lightest) * 100 >= total * LEAST_PURE_PERCENT)
        return lightest;
    while (level >= 0 &&
           cn_levels_between(levels, level - 1, level + 1) * 100 < total * PURE_PERCENT)
        level--;
    if (level > 0 && levels[level - 1] > levels[level])
        level--;
    if (level < 0 ||
        cn_levels_between(levels, level - SHADE, level - 4) * 100 > total * SHADE_PERCENT)
        return -1;
    /* A little grain does not matter, except beside faint ink. */
    const bool grainy =
        cn_levels_between(levels, level - 1, level + 1) * 10 <
        cn_levels_between(levels, level - CN_LEVELS_FLAT, level + CN_LEVELS_FLAT) * 9;
    return grainy && level - cn_levels_quantile(levels, 256, 0.001) < SHADE ? -1 : level;
}

/* True if the darker pixels on a page of one level are a shadow, which is broad, and not ink. */
static bool is_shaded(const struct cn_plane *plane, int pure, const size_t levels[256]) {
    struct cn_surface surface;
    const int smaller = plane->width < plane->height ? plane->width : plane->height;
    if (smaller < CN_LEVELS_SIDE || smaller * 3 < plane->width + plane->height - smaller ||
        cn_levels_between(levels, 0, pure - SHADE / 2) * 100 <
            cn_levels_between(levels, 0, 255) * LEAST_SHADOW_PERCENT)
        return false;
    cn_surface_fit(&surface, plane);
    return surface.uneven;
}

/* Computes for one row, with its grain, how far below the page each pixel is, as bins. Light pages
 * are scaled to 255 wherever they are in the shade. */
static void find_residuals(const struct cn_plane *plane, const float *page, int y, bool light,
                           uint16_t *ret_row) {
    const uint8_t *row = cn_levels_row(plane, y);
    for (int x = 0; x < plane->width; x++) {
        const float below = page[x] - (float)row[x];
        const float level = page[x] > DARKEST_PAGE ? page[x] : (float)DARKEST_PAGE;
        const float ink = light ? below * (255.0F / level) : below;
        ret_row[x] = (uint16_t)((ink > -255.0F ? ink : -255.0F) + (ZERO + 0.5F));
    }
}

/* The residuals from which on ink begins, and from which on it is full. */
struct levels {
    int zero, least, full; /* in residuals */
    double grain;          /* standard deviation of the residuals on the page */
};

/* The residual that 15 % of the ink which begins at `first` exceeds; residuals count from `zero`.
 */
static int find_full(const size_t *histogram, int zero, int first) {
    double weight = 0.0, target = 0.0;
    int full = RESIDUALS - 1;
    for (int i = RESIDUALS - 1; i >= first; i--)
        target += 0.15 * (double)histogram[i] * (i - ZERO - zero);
    for (; full >= first; full--) {
        weight += (double)histogram[full] * (full - ZERO - zero);
        if (weight > target)
            break;
    }
    return full - ZERO - zero;
}

/* The standard deviation of the grain, from the page's lighter half, which contains no ink. */
static double find_spread(const size_t *histogram) {
    return (cn_levels_quantile(histogram, RESIDUALS, 0.25) -
            cn_levels_quantile(histogram, RESIDUALS, 0.05)) /
           0.97;
}

/* Finds the levels in the histogram of residuals, where the page's own lie around `zero`. */
static struct levels find_levels(const size_t *histogram, int zero, double grain,
                                 int *ret_contrast) {
    const int first = ZERO + zero + (int)fmax(ceil(4.0 * grain), 5.0) + 1;
    int most = RESIDUALS - 1;
    while (most > ZERO + zero && histogram[most] == 0)
        most--;
    *ret_contrast = most - ZERO - zero;
    int full = find_full(histogram, zero, first);
    /* Little ink is lost in much grain: then the darkest pixels decide. */
    if (*ret_contrast > 9.0 * grain && full < clear * grain)
        full = find_full(histogram, zero, ZERO + zero + *ret_contrast / 2);
    const double least = fmax(fmax(4.0 * grain, 5.0), 0.17 * full);
    return (struct levels){zero, (int)lround(least), full, grain};
}

/* Makes the table from bins of residuals to ink. */
static void make_map(const struct levels *levels, uint8_t map[RESIDUALS]) {
    for (int i = 0; i < RESIDUALS; i++) {
        const int ink = i - ZERO - levels->zero;
        const int scaled = (ink * 255 + levels->full / 2) / levels->full;
        map[i] = (uint8_t)(ink < levels->least ? 0 : scaled > 255 ? 255 : scaled);
    }
}

static bool extract_from_level(struct cn_plane *plane, int page, const size_t levels[256],
                               int *ret_contrast) {
    size_t histogram[RESIDUALS] = {0};
    uint8_t map[RESIDUALS];
    for (int level = 0; level < 256; level++)
        histogram[ZERO + page - level] = levels[level];
    const struct levels found = find_levels(histogram, 0, 0.0, ret_contrast);
    if (found.full < CN_PAGE_LEAST_CONTRAST)
        return false;
    make_map(&found, map);
    const uint8_t *ink = map + ZERO + page;
    const size_t count = (size_t)plane->width * (size_t)plane->height;
    for (size_t i = 0; i < count; i++)
        plane->samples[i] = ink[-(int)plane->samples[i]];
    *ret_contrast = found.full;
    return true;
}

/* Averages 3 x 3 samples. */
static void smooth(struct cn_plane *plane) {
    uint8_t above[CN_SURFACE_SIDE_LIMIT], here[CN_SURFACE_SIDE_LIMIT];
    uint16_t sums[CN_SURFACE_SIDE_LIMIT];
    const int width = plane->width, height = plane->height;
    const size_t size = (size_t)width;
    memcpy(above, plane->samples, size);
    for (int y = 0; y < height; y++) {
        uint8_t *row = cn_levels_row(plane, y);
        const uint8_t *below = cn_levels_row(plane, y + 1 < height ? y + 1 : y);
        memcpy(here, row, size);
        for (int x = 0; x < width; x++)
            sums[x] = (uint16_t)(above[x] + here[x] + below[x]);
        for (int x = 0; x < width; x++) {
            const int left = x > 0 ? x - 1 : x, right = x + 1 < width ? x + 1 : x;
            row[x] = (uint8_t)((sums[left] + sums[x] + sums[right] + 4) / 9);
        }
        memcpy(above, here, size);
    }
}

/* Histograms of a surface's residuals. */
struct residuals {
    size_t all[RESIDUALS], shaded[RESIDUALS]; /* `shaded`: those in the darker half */
    size_t differences[RESIDUALS];            /* between pixels that are two apart */
};

static void count_residuals(const struct cn_surface *surface, const struct cn_plane *plane,
                            bool light, struct residuals *ret_residuals) {
    /* Alternating counters avoid waiting for the last increment; pixels in the light and in the
     * shade. */
    uint32_t counts[2][2][RESIDUALS] = {{{0}}}, differences[2][RESIDUALS] = {{0}};
    uint16_t row[CN_SURFACE_SIDE_LIMIT];
    float page[CN_SURFACE_SIDE_LIMIT];
    const int step = plane->height > FEW_ROWS ? 2 : 1;
    for (int y = 0; y < plane->height; y += step) {
        cn_surface_row(surface, y, plane->width, page);
        find_residuals(plane, page, y, light, row);
        for (int x = 0; x < plane->width; x++)
            counts[x % 2][page[x] < surface->median][row[x]]++;
        for (int x = 2; x < plane->width; x += 2)
            differences[x / 2 % 2][abs(row[x] - row[x - 2])]++;
    }
    for (int i = 0; i < RESIDUALS; i++) {
        const size_t shaded = (size_t)counts[0][1][i] + counts[1][1][i];
        ret_residuals->shaded[i] = shaded;
        ret_residuals->all[i] = shaded + counts[0][0][i] + counts[1][0][i];
        ret_residuals->differences[i] = (size_t)differences[0][i] + differences[1][i];
    }
}

static struct levels measure_surface(const struct cn_surface *surface, const struct cn_plane *plane,
                                     bool light, int *ret_contrast) {
    struct residuals residuals;
    count_residuals(surface, plane, light, &residuals);
    /* Grain differs from pixel to pixel, the rest of the lighting does not: the median difference
     * of two pixels is 0.95 standard deviations. A factor of 1.5 allows for coarser grain. */
    const double most_grain =
        1.5 * cn_levels_quantile(residuals.differences, RESIDUALS, 0.5) / 0.95 + 1.0;
    const double spread = find_spread(residuals.all);
    const int zero =
        cn_levels_quantile(residuals.all, RESIDUALS, 0.25) - ZERO + (int)lround(0.67 * spread);
    /* There is more grain in the shade, and at white it is clipped. */
    const double shade = surface->uneven ? find_spread(residuals.shaded) : 0.0;
    return find_levels(residuals.all, zero, fmin(fmax(spread, shade), most_grain), ret_contrast);
}

static bool extract_from_surface(struct cn_plane *plane, bool light, bool *ret_uneven,
                                 int *ret_contrast) {
    uint8_t map[RESIDUALS];
    uint16_t row[CN_SURFACE_SIDE_LIMIT];
    struct cn_surface surface;
    const int smaller = plane->width < plane->height ? plane->width : plane->height;
    double least = clear;
    cn_surface_fit(&surface, plane);
    struct levels found = measure_surface(&surface, plane, light, ret_contrast);
    if (found.full < clear * found.grain)
        least = clear_when_smooth;
    /* Grain differs from sample to sample, but averages of it differ little. */
    for (int i = 0; i < SMOOTHINGS && *ret_contrast >= CN_PAGE_LEAST_CONTRAST; i++) {
        if (smaller < (found.full < clear * found.grain ? GRAINY : GRAINY_BUT_CLEAR) ||
            found.full >= crisp * found.grain)
            break;
        smooth(plane);
        cn_surface_fit(&surface, plane);
        found = measure_surface(&surface, plane, light, ret_contrast);
    }
    *ret_uneven = surface.uneven;
    if (found.full < CN_PAGE_LEAST_CONTRAST || found.full < least * found.grain)
        return false;
    make_map(&found, map);
    float page[CN_SURFACE_SIDE_LIMIT];
    for (int y = 0; y < plane->height; y++) {
        uint8_t *target = cn_levels_row(plane, y);
        cn_surface_row(&surface, y, plane->width, page);
        find_residuals(plane, page, y, light, row);
        for (int x = 0; x < plane->width; x++)
            target[x] = map[row[x]];
    }
    *ret_contrast = found.full;
    return true;
}

bool cn_page_extract_ink(struct cn_plane *plane, bool may_be_light, struct cn_page *ret_page) {
    size_t levels[256];
    struct cn_page page = {0};
    count_levels(plane, levels);
    page.light = may_be_light && cn_polarity_is_light(plane, levels);
    if (!page.light)
        invert(plane, levels);
    int pure = find_pure_level(plane, levels);
    if (pure >= 0 && page.light && is_shaded(plane, pure, levels))
        pure = -1;
    const bool found = pure >= 0
                           ? extract_from_level(plane, pure, levels, &page.contrast)
                           : extract_from_surface(plane, page.light, &page.uneven, &page.contrast);
    *ret_page = page;
    return found;
}
