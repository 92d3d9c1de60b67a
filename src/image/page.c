/* page.c: separates a drawing from its page. A page without lighting (drawn, rendered, scanned to
 * pure white) has one level; any other page is a surface, see surface.h. Pixels that are darker
 * than the page by more than its grain are ink. A dark page is inverted first. Works in place and
 * in fixed memory whatever the plane's size. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/page.h"
#include "image/surface.h"

enum {
    ZERO = 255,               /* the bin of residual 0 */
    RESIDUALS = 511,          /* -255 .. 255 */
    FLAT = 12,                /* the pixels of an even page lie within this many grey levels */
    NEAR = 24,                /* in grey levels; pixels farther from the page are not part of it */
    PURE_PERCENT = 20,        /* of the pixels are the page, if it has one level; */
    LEAST_PURE_PERCENT = 4,   /* of a small picture's pixels */
    SHADE_PERCENT = 25,       /* at most, for such a page, are a little darker */
    SHADE = 80,               /* in grey levels: darker pixels are ink; */
    SHADED = 48,              /* samples per side; smaller pictures are not photographs */
    LEAST_SHADOW_PERCENT = 5, /* or a shadow, if so many pixels are darker */
    DARKEST_PAGE = 48,     /* darker pages are not divided by, since their grain would become ink */
    SURELY_LIGHT = 200,    /* in grey levels; no ink on a dark page is much lighter */
    USUALLY_LIGHT = 100,   /* in grey levels; typical of lit paper, not of a lit blackboard */
    FEW_ROWS = 128,        /* rows; pages with more are sampled */
    SMOOTHINGS = 2,        /* for grain that hides the ink */
    GRAINY = 40,           /* samples per side; below this, strokes are as fine as grain, */
    GRAINY_BUT_CLEAR = 120 /* or nearly so below this */
};

/* Multiples of the grain's standard deviation: ink that stands out from it, the same after
 * smoothing, which leaves coarser grain, and ink that does not need smoothing. */
static const double clear = 6.0, clear_when_smooth = 10.0, crisp = 12.0;

static uint8_t *row_of(const struct cn_plane *plane, int y) {
    return plane->samples + (size_t)y * (size_t)plane->width;
}

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

/* True for a picture too small for a photograph: it was drawn, or scanned and cut out. */
static bool is_small(const struct cn_plane *plane) {
    return plane->width < SHADED && plane->height < SHADED;
}

/* The width of the frame: a twentieth of the side. */
static int frame_width(const struct cn_plane *plane) {
    const int smaller = plane->width < plane->height ? plane->width : plane->height;
    return smaller / 20 > 1 ? smaller / 20 : 1;
}

/* Counts the levels of a frame of that width. */
static void count_frame(const struct cn_plane *plane, size_t ret_levels[256]) {
    const int frame = frame_width(plane);
    memset(ret_levels, 0, 256 * sizeof *ret_levels);
    for (int y = 0; y < plane->height; y++) {
        const uint8_t *row = row_of(plane, y);
        const bool inside = y >= frame && y < plane->height - frame && plane->width > 2 * frame;
        for (int x = 0; x < plane->width; x++) {
            if (inside && x == frame)
                x = plane->width - frame;
            ret_levels[row[x]]++;
        }
    }
}

static size_t count_between(const size_t *levels, int from, int to) {
    size_t count = 0;
    for (int i = from < 0 ? 0 : from; i <= to && i < 256; i++)
        count += levels[i];
    return count;
}

/* The bin that a `share` of the histogram's values do not exceed. */
static int quantile(const size_t *histogram, int bins, double share) {
    size_t total = 0, below = 0;
    int bin = 0;
    for (int i = 0; i < bins; i++)
        total += histogram[i];
    const double target = share * (double)total;
    while (bin < bins - 1 && (double)(below + histogram[bin]) <= target)
        below += histogram[bin++];
    return bin;
}

/* Counts the corners of the frame that are mostly lighter than `middle`. */
static int count_light_corners(const struct cn_plane *plane, int middle) {
    const int frame = frame_width(plane);
    const int xs[] = {0, plane->width - frame}, ys[] = {0, plane->height - frame};
    int corners = 0;
    for (int corner = 0; corner < 4; corner++) {
        int lighter = 0;
        for (int y = 0; y < frame; y++)
            for (int x = 0; x < frame; x++)
                lighter += row_of(plane, ys[corner / 2] + y)[xs[corner % 2] + x] > middle;
        corners += 2 * lighter > frame * frame;
    }
    return corners;
}

/* True for a drawing that was cut out along its ink, so that its frame shows both ink and page: in
 * two levels or, in a small picture, with greys between them. The page is then what the corners
 * show, which a drawing seldom reaches, or else the larger part of the whole. */
static bool is_cut_close(const struct cn_plane *plane, const size_t levels[256],
                         const size_t frame[256], bool *ret_light) {
    const int low = quantile(levels, 256, 0.0), high = quantile(levels, 256, 0.9999);
    const size_t total = count_between(frame, 0, 255);
    const size_t sharp =
        count_between(frame, low, low + NEAR) + count_between(frame, high - NEAR, high);
    const bool grey = is_small(plane) && sharp * 20 < total * 19;
    const int near = grey ? (high - low) / 3 : NEAR;
    const size_t dark = count_between(frame, low, low + near);
    const size_t light = count_between(frame, high - near, high), least = grey ? 16 : 3;
    if (high - low <= 4 * NEAR || (dark + light) * 20 < total * (grey ? 8 : 19) ||
        dark * least < total || light * least < total)
        return false;
    const int corners = count_light_corners(plane, (low + high) / 2);
    *ret_light = corners != 2 ? corners > 2
                              : count_between(levels, high - near, high) >
                                    count_between(levels, low, low + near);
    return true;
}

/* True if, because of the lighting, many pixels are neither as light as the frame nor like the
 * pixels that differ most from it. The broad glow of a lamp would otherwise be taken for the
 * drawing. */
static bool is_glowing(const size_t levels[256], int frame) {
    const int low = quantile(levels, 256, 0.005), high = quantile(levels, 256, 0.995);
    const size_t far = frame - low > high - frame ? count_between(levels, 0, low + 2 * NEAR)
                                                  : count_between(levels, high - 2 * NEAR, 255);
    const size_t near = count_between(levels, frame - FLAT, frame + FLAT);
    return (near + far) * 10 < count_between(levels, 0, 255) * 8;
}

/* True if the page is light, judged by the frame. */
static bool is_framed_light(const struct cn_plane *plane, const size_t levels[256], int level) {
    double darker = 0.0, lighter = 0.0;
    const size_t total = count_between(levels, 0, 255);
    if (count_between(levels, 0, level - NEAR) * 10 >= total * 6)
        return false;
    if (count_between(levels, level + NEAR, 255) * 10 >= total * 6)
        return true;
    for (int value = 0; value < 256; value++) {
        const double distance = value - level;
        *(value < level ? &darker : &lighter) += distance * distance * (double)levels[value];
    }
    return darker > lighter || (!is_small(plane) && level >= USUALLY_LIGHT / 2 &&
                                is_glowing(levels, level) && cn_surface_drawing_is_dark(plane));
}

/* True if the lighter of the two sides is the page. The frame decides, unless it has no single
 * level, nearly all else is on one side of it, or it is a shadow. */
static bool is_light(const struct cn_plane *plane, const size_t levels[256]) {
    size_t frame[256];
    bool light;
    count_frame(plane, frame);
    if (is_cut_close(plane, levels, frame, &light))
        return light;
    const int level = quantile(frame, 256, 0.5);
    if (level >= SURELY_LIGHT && count_between(levels, 0, level - NEAR) > 0)
        return true;
    if (count_between(frame, level - FLAT, level + FLAT) * 5 < count_between(frame, 0, 255) * 3)
        return level >= USUALLY_LIGHT || cn_surface_is_light(plane); /* photographs of paper */
    return is_framed_light(plane, levels, level) ||
           (!is_small(plane) && cn_surface_has_lit_part(plane, level) &&
            cn_surface_is_light(plane));
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
    const size_t total = count_between(levels, 0, 255);
    const int lightest = quantile(levels, 256, 0.9999);
    int level = 255;
    /* A digit that fills a small picture leaves little of the page, and has greys around it. */
    if (is_small(plane) &&
        count_between(levels, lightest - 1, lightest) * 100 >= total * LEAST_PURE_PERCENT)
        return lightest;
    while (level >= 0 && count_between(levels, level - 1, level + 1) * 100 < total * PURE_PERCENT)
        level--;
    if (level > 0 && levels[level - 1] > levels[level])
        level--;
    if (level < 0 || count_between(levels, level - SHADE, level - 4) * 100 > total * SHADE_PERCENT)
        return -1;
    /* A little grain does not matter, except beside faint ink. */
    const bool grainy = count_between(levels, level - 1, level + 1) * 10 <
                        count_between(levels, level - FLAT, level + FLAT) * 9;
    return grainy && level - quantile(levels, 256, 0.001) < SHADE ? -1 : level;
}

/* True if the darker pixels on a page of one level are a shadow, which is broad, and not ink. */
static bool is_shaded(const struct cn_plane *plane, int pure, const size_t levels[256]) {
    struct cn_surface surface;
    const int smaller = plane->width < plane->height ? plane->width : plane->height;
    if (smaller < SHADED || smaller * 3 < plane->width + plane->height - smaller ||
        count_between(levels, 0, pure - SHADE / 2) * 100 <
            count_between(levels, 0, 255) * LEAST_SHADOW_PERCENT)
        return false;
    cn_surface_fit(&surface, plane);
    return surface.uneven;
}

/* Computes for one row, with its grain, how far below the page each pixel is, as bins. Light pages
 * are scaled to 255 wherever they are in the shade. */
static void find_residuals(const struct cn_plane *plane, const float *page, int y, bool light,
                           uint16_t *ret_row) {
    const uint8_t *row = row_of(plane, y);
    for (int x = 0; x < plane->width; x++) {
        const float below = page[x] - (float)row[x];
        const float level = page[x] > DARKEST_PAGE ? page[x] : (float)DARKEST_PAGE;
        const float ink = light ? below * (255.0F / level) : below;
        ret_row[x] = (uint16_t)((ink > -255.0F ? ink : -255.0F) + (ZERO + 0.5F));
    }
}

/* Where ink begins, and where it is full. */
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
    return (quantile(histogram, RESIDUALS, 0.25) - quantile(histogram, RESIDUALS, 0.05)) / 0.97;
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
        uint8_t *row = row_of(plane, y);
        const uint8_t *below = row_of(plane, y + 1 < height ? y + 1 : y);
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
    const double most_grain = 1.5 * quantile(residuals.differences, RESIDUALS, 0.5) / 0.95 + 1.0;
    const double spread = find_spread(residuals.all);
    const int zero = quantile(residuals.all, RESIDUALS, 0.25) - ZERO + (int)lround(0.67 * spread);
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
        uint8_t *target = row_of(plane, y);
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
    page.light = may_be_light && is_light(plane, levels);
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
