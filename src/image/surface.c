/* surface.c: a page's brightness on a coarse grid. A cell's level is that of its lighter pixels, so
 * that a stroke through it has no effect. A paraboloid is fitted to the levels with decreasing
 * weight on those below it; then grey closing (dilation, erosion: Serra 1982) of the remainder
 * keeps its broad parts. Fixed memory, thread-safe. */
#include <math.h>
#include <string.h>

#include "image/surface.h"

enum {
    CELLS = CN_SURFACE_GRID * CN_SURFACE_GRID,
    TERMS = 6,
    ROUNDS = 4,
    MOST_PASSES = 16,
    COARSE = 5 /* samples; smaller cells contain only edges of strokes */
};

static const double cell_share =
    0.8;                           /* the quantile of a cell's pixels that is taken as its page */
static const double broad = 0.34;  /* of the longer side: all strokes are narrower */
static const double narrow = 0.14; /* most strokes are narrower than this */
static const float shadow_share = 0.5; /* of the light is left in a shadow, and less in ink */
static const float beside_ink = 1.3F,
                   lighter_than_ink =
                       24; /* a shadow is lighter than ink by this factor and this difference */
static const float least_shade = 2; /* in grey levels */
static const float shadow_step =
    0.1F; /* of the smooth light; a cell that differs by more is in a shadow */
static const float sharp_step = 10; /* grey levels between neighbouring cells */
#define BEYOND 1e6F                 /* greater than any level */

static const float uneven_levels = 24; /* grey levels between the surface's ends */

static void set_grid(struct cn_surface *surface, const struct cn_plane *plane) {
    const int longer = plane->width > plane->height ? plane->width : plane->height;
    surface->cell = (longer + CN_SURFACE_GRID - 1) / CN_SURFACE_GRID;
    surface->columns = (plane->width + surface->cell - 1) / surface->cell;
    surface->rows = (plane->height + surface->cell - 1) / surface->cell;
    surface->uneven = false;
}

/* Measures the level of each cell. Returns that of the darkest ink. */
static float measure_cells(struct cn_surface *surface, const struct cn_plane *plane) {
    int darkest[256] = {0};
    uint16_t histograms[CN_SURFACE_GRID][256];
    const int cell = surface->cell,
              step = cell >= 6 ? 2 : 1; /* half of a large cell's rows are enough */
    for (int row = 0; row < surface->rows; row++) {
        const int end = (row + 1) * cell < plane->height ? (row + 1) * cell : plane->height;
        memset(histograms, 0, (size_t)surface->columns * sizeof histograms[0]);
        for (int y = row * cell; y < end; y += step) {
            const uint8_t *samples = plane->samples + (size_t)y * (size_t)plane->width;
            for (int column = 0, x = 0; column < surface->columns; column++)
                for (int stop = x + cell < plane->width ? x + cell : plane->width; x < stop; x++)
                    histograms[column][samples[x]]++;
        }
        for (int column = 0; column < surface->columns; column++) {
            const int left = column * cell;
            const int width = plane->width - left < cell ? plane->width - left : cell;
            const int lines = (end - row * cell + step - 1) / step;
            const double target = (1.0 - cell_share) * width * lines;
            int level = 255, above = histograms[column][255];
            while (above <= target && level > 0)
                above += histograms[column][--level];
            surface->levels[row * surface->columns + column] = (float)level;
            int dark = 0, below = histograms[column][0];
            while (below * 20 <= width * lines && dark < 255)
                below += histograms[column][++dark];
            darkest[dark]++;
        }
    }
    const int count = surface->rows * surface->columns;
    int dark = 0, below = darkest[0];
    while (below * 100 <= count && dark < 255)
        below += darkest[++dark];
    return (float)dark;
}

/* 1, x, y, x^2, x y, y^2 with x and y from -1 to 1 over the grid. */
static void terms_at(const struct cn_surface *surface, int column, int row, double terms[TERMS]) {
    const double x = surface->columns > 1 ? 2.0 * column / (surface->columns - 1) - 1.0 : 0.0;
    const double y = surface->rows > 1 ? 2.0 * row / (surface->rows - 1) - 1.0 : 0.0;
    memcpy(terms, (double[TERMS]){1.0, x, y, x * x, x * y, y * y}, TERMS * sizeof *terms);
}

/* Solves the symmetric positive definite a x = b by Gaussian elimination; x replaces b. */
static void solve(double a[TERMS][TERMS], double b[TERMS]) {
    for (int i = 0; i < TERMS; i++)
        for (int k = i + 1; k < TERMS; k++) {
            const double factor = a[k][i] / a[i][i];
            for (int j = i; j < TERMS; j++)
                a[k][j] -= factor * a[i][j];
            b[k] -= factor * b[i];
        }
    for (int i = TERMS - 1; i >= 0; i--) {
        for (int j = i + 1; j < TERMS; j++)
            b[i] -= a[i][j] * b[j];
        b[i] /= a[i][i];
    }
}

/* Weighted least squares of the levels; a little weight on flatness keeps small grids solvable. */
static void fit_once(const struct cn_surface *surface, const float *weights, double ret_b[TERMS]) {
    double a[TERMS][TERMS] = {{0}}, terms[TERMS];
    /* A quarter of a large grid's cells is enough. */
    const int step = surface->rows + surface->columns > CN_SURFACE_GRID ? 2 : 1;
    memset(ret_b, 0, TERMS * sizeof *ret_b);
    for (int row = 0; row < surface->rows; row += step)
        for (int column = 0; column < surface->columns; column += step) {
            const int cell = row * surface->columns + column;
            terms_at(surface, column, row, terms);
            for (int i = 0; i < TERMS; i++) {
                const double weighted = (double)weights[cell] * terms[i];
                for (int j = i; j < TERMS; j++)
                    a[i][j] += weighted * terms[j];
                ret_b[i] += weighted * (double)surface->levels[cell];
            }
        }
    for (int i = 0; i < TERMS; i++) {
        a[i][i] += i == 0 ? 1e-6 : 0.01 * surface->rows * surface->columns / (step * step);
        for (int j = 0; j < i; j++)
            a[i][j] = a[j][i];
    }
    solve(a, ret_b);
}

static float median(const float *values, int count) {
    int histogram[256] = {0}, below = 0, level = 0;
    for (int i = 0; i < count; i++)
        histogram[(int)fminf(fmaxf(values[i], 0.0F), 255.0F)]++;
    while ((below + histogram[level]) * 2 < count)
        below += histogram[level++];
    return (float)level;
}

/* Fits the paraboloid to the page, without the drawing: ret_fit [rows, columns]. */
static void fit_light(const struct cn_surface *surface, float *ret_fit) {
    const int count = surface->rows * surface->columns;
    float weights[CELLS], distances[CELLS];
    double b[TERMS], terms[TERMS];
    const float middle = median(surface->levels, count);
    for (int i = 0; i < count; i++)
        weights[i] = surface->levels[i] >= middle ? 1.0F : 0.1F;
    for (int round = 0; round < ROUNDS; round++) {
        fit_once(surface, weights, b);
        for (int row = 0, cell = 0; row < surface->rows; row++)
            for (int column = 0; column < surface->columns; column++, cell++) {
                terms_at(surface, column, row, terms);
                ret_fit[cell] = (float)(b[0] + b[1] * terms[1] + b[2] * terms[2] + b[3] * terms[3] +
                                        b[4] * terms[4] + b[5] * terms[5]);
                distances[cell] = fabsf(surface->levels[cell] - ret_fit[cell]);
            }
        const float scale = fmaxf(2.0F * median(distances, count), 4.0F);
        for (int i = 0; i < count; i++) {
            const float below = (ret_fit[i] - surface->levels[i]) / scale;
            weights[i] = below <= 1.0F ? 1.0F : 1.0F / (below * below * below);
        }
    }
}

/* Sliding maximum (sign 1) or minimum (sign -1) over windows of 2 * radius + 1 cells, cut at the
 * grid's edges, along one axis. Windows grow by doubling, so the number of steps is logarithmic. */
static void slide(const struct cn_surface *surface, float *values, int radius, float sign,
                  bool vertical) {
    enum { PADDED = 3 * CN_SURFACE_GRID };
    const int lines = vertical ? surface->columns : surface->rows;
    const int length = vertical ? surface->rows : surface->columns;
    const int step = vertical ? surface->columns : 1, window = 2 * radius + 1;
    float line[PADDED];
    for (int i = 0; i < lines; i++) {
        float *start = values + i * (vertical ? 1 : surface->columns);
        for (int k = 0; k < length + 2 * radius; k++)
            line[k] = -BEYOND;
        for (int k = 0; k < length; k++)
            line[k + radius] = sign * start[k * step];
        int reach = 1; /* line[k] is the largest of k .. k + reach - 1 */
        for (; reach * 2 <= window; reach *= 2)
            for (int k = 0; k + reach < length + 2 * radius; k++)
                line[k] = line[k] > line[k + reach] ? line[k] : line[k + reach];
        for (int k = 0; k < length; k++) {
            const float other = line[k + window - reach];
            start[k * step] = sign * (line[k] > other ? line[k] : other);
        }
    }
}

static void dilate(const struct cn_surface *surface, float *values, int radius) {
    slide(surface, values, radius, 1.0F, false);
    slide(surface, values, radius, 1.0F, true);
}

static void erode(const struct cn_surface *surface, float *values, int radius) {
    slide(surface, values, radius, -1.0F, false);
    slide(surface, values, radius, -1.0F, true);
}

/* Replaces each cell by the mean of 3 x 3 cells. */
static void smooth(struct cn_surface *surface) {
    float values[CELLS];
    memcpy(values, surface->levels, sizeof values);
    for (int row = 0; row < surface->rows; row++)
        for (int column = 0; column < surface->columns; column++) {
            float sum = 0.0F, count = 0.0F;
            for (int v = row > 0 ? row - 1 : 0; v <= row + 1 && v < surface->rows; v++)
                for (int u = column > 0 ? column - 1 : 0; u <= column + 1 && u < surface->columns;
                     u++) {
                    sum += values[v * surface->columns + u];
                    count += 1.0F;
                }
            surface->levels[row * surface->columns + column] = sum / count;
        }
}

static int radius_of(const struct cn_surface *surface, double share) {
    const int longer = surface->columns > surface->rows ? surface->columns : surface->rows;
    const int radius = (int)lround(share * longer / 2.0);
    return radius > 1 ? radius : 1;
}

/* Grey closing of values above the paraboloid `fit`, by windows of `share` of the longer side. */
static void close_over(const struct cn_surface *surface, const float *fit, double share,
                       float *values) {
    const int count = surface->rows * surface->columns, radius = radius_of(surface, share);
    for (int i = 0; i < count; i++)
        values[i] -= fit[i];
    dilate(surface, values, radius);
    erode(surface, values, radius);
    for (int i = 0; i < count; i++)
        values[i] += fit[i];
}

/* Marks the cells where `fine` is darker and that are connected with the border. */
static void find_shadows(const struct cn_surface *surface, const float *fine, bool *ret_shadows) {
    const int columns = surface->columns, rows = surface->rows;
    uint16_t stack[CELLS];
    int depth = 0;
    for (int cell = 0; cell < columns * rows; cell++) {
        const int x = cell % columns, y = cell / columns;
        ret_shadows[cell] = (x == 0 || y == 0 || x == columns - 1 || y == rows - 1) &&
                            surface->levels[cell] - fine[cell] >= least_shade;
        if (ret_shadows[cell])
            stack[depth++] = (uint16_t)cell;
    }
    while (depth > 0) {
        const int cell = stack[--depth], x = cell % columns, y = cell / columns;
        for (int v = y > 0 ? y - 1 : 0; v <= y + 1 && v < rows; v++)
            for (int u = x > 0 ? x - 1 : 0; u <= x + 1 && u < columns; u++) {
                const int next = v * columns + u;
                if (!ret_shadows[next] && surface->levels[next] - fine[next] >= least_shade) {
                    ret_shadows[next] = true;
                    stack[depth++] = (uint16_t)next;
                }
            }
    }
}

/* One cell of a reconstruction: it becomes no lighter than a neighbour and no darker than `least`.
 * True if it became darker. */
static bool darken(const struct cn_surface *surface, const float *least, int column, int row,
                   float *values) {
    const int columns = surface->columns, cell = row * columns + column;
    float value = values[cell];
    if (column > 0)
        value = fminf(value, values[cell - 1]);
    if (column + 1 < columns)
        value = fminf(value, values[cell + 1]);
    if (row > 0)
        value = fminf(value, values[cell - columns]);
    if (row + 1 < surface->rows)
        value = fminf(value, values[cell + columns]);
    value = fmaxf(value, least[cell]);
    const bool darker = value < values[cell];
    values[cell] = value;
    return darker;
}

/* Closing by reconstruction (Vincent 1993): where `closed` has filled the corners and points of a
 * shadow, they are restored, since they are connected with it at its own `levels`. */
static void reconstruct(const struct cn_surface *surface, const float *levels, float *closed) {
    bool changed = true;
    for (int pass = 0; pass < MOST_PASSES && changed; pass++) {
        changed = false;
        for (int row = 0; row < surface->rows; row++)
            for (int column = 0; column < surface->columns; column++)
                changed = darken(surface, levels, column, row, closed) || changed;
        for (int row = surface->rows - 1; row >= 0; row--)
            for (int column = surface->columns - 1; column >= 0; column--)
                changed = darken(surface, levels, column, row, closed) || changed;
    }
}

/* True if a part of the page is so far from its smooth light that a shadow lies on it. */
static bool is_shadowed(const struct cn_surface *surface, const float *fit) {
    const int count = surface->rows * surface->columns;
    int apart = 0;
    for (int i = 0; i < count; i++)
        apart += fabsf(surface->levels[i] - fit[i]) > shadow_step * fit[i];
    return apart * 50 > count;
}

void cn_surface_fit(struct cn_surface *surface, const struct cn_plane *plane) {
    float fit[CELLS], fine[CELLS], measured[CELLS], joined[CELLS], low = 255.0F, high = 0.0F;
    bool shadows[CELLS];
    set_grid(surface, plane);
    const float ink = measure_cells(surface, plane);
    const int count = surface->rows * surface->columns;
    fit_light(surface, fit);
    memcpy(measured, surface->levels, (size_t)count * sizeof *measured);
    memcpy(fine, surface->levels, (size_t)count * sizeof *fine);
    close_over(surface, fit, broad, surface->levels);
    close_over(surface, fit, narrow, fine);
    /* A cell that is connected with a shadow and as light belongs to the shadow; a stroke is
     * darker, or ends on the page. */
    memcpy(joined, surface->levels, (size_t)count * sizeof *joined);
    reconstruct(surface, measured, joined);
    for (int i = 0; i < count; i++)
        shadows[i] = measured[i] >= joined[i] - least_shade;
    for (int i = 0; i < count; i++)
        joined[i] = shadows[i] ? joined[i] : surface->levels[i];
    find_shadows(surface, joined, shadows);
    const bool shadowed = surface->cell >= COARSE && is_shadowed(surface, fit);
    for (int i = 0; i < count && shadowed; i++)
        if (shadows[i])
            surface->levels[i] = joined[i];
    /* An area that only the wide window closes is a thick stroke if it is dark, or begins and ends
     * on the page; else it is a shadow. */
    find_shadows(surface, fine, shadows);
    for (int i = 0; i < count; i++)
        if (shadows[i] && (fine[i] > shadow_share * surface->levels[i] ||
                           (fine[i] > ink * beside_ink && fine[i] - ink > lighter_than_ink)))
            surface->levels[i] = fine[i];
    /* At a shadow's edge the darker side is right: the lighter one would make the shadow ink. */
    erode(surface, surface->levels, 1);
    memcpy(fine, surface->levels, (size_t)count * sizeof *fine);
    smooth(surface);
    for (int i = 0; i < count; i++) {
        if (surface->levels[i] - fine[i] > sharp_step) /* keeps a shadow's edge sharp */
            surface->levels[i] = fine[i];
        surface->levels[i] = fminf(fmaxf(surface->levels[i], 0.0F), 255.0F);
        low = fminf(low, surface->levels[i]);
        high = fmaxf(high, surface->levels[i]);
    }
    surface->uneven = high - low > uneven_levels;
    surface->median = median(surface->levels, count);
}

void cn_surface_row(const struct cn_surface *surface, int y, int width, float *ret_page) {
    const float cell = (float)surface->cell;
    const float v = fminf(fmaxf(((float)y + 0.5F) / cell - 0.5F, 0.0F), (float)surface->rows - 1);
    const int top = (int)v, bottom = top + 1 < surface->rows ? top + 1 : top;
    const float *upper = surface->levels + top * surface->columns;
    const float *lower = surface->levels + bottom * surface->columns;
    const float weight = v - (float)top;
    float line[CN_SURFACE_GRID + 1];
    for (int i = 0; i < surface->columns; i++)
        line[i] = upper[i] + weight * (lower[i] - upper[i]);
    line[surface->columns] = line[surface->columns - 1];
    /* The surface is linear between the centres of two cells. */
    const int half = surface->cell / 2;
    int x = 0;
    for (; x < half && x < width; x++)
        ret_page[x] = line[0];
    for (int i = 0; x < width; i++) {
        const float slope = (line[i + 1 < surface->columns ? i + 1 : i] - line[i]) / cell;
        const float start = line[i] + (half * 2 == surface->cell ? 0.5F * slope : 0.0F);
        for (int k = 0; k < surface->cell && x < width; k++, x++)
            ret_page[x] = start + slope * (float)k;
    }
}

/* The mean of each cell. */
static void average_cells(struct cn_surface *surface, const struct cn_plane *plane) {
    const int cell = surface->cell;
    for (int row = 0; row < surface->rows; row++)
        for (int column = 0; column < surface->columns; column++) {
            int sum = 0, size = 0;
            for (int y = row * cell; y < (row + 1) * cell && y < plane->height; y++)
                for (int x = column * cell; x < (column + 1) * cell && x < plane->width; x++) {
                    sum += plane->samples[(size_t)y * (size_t)plane->width + (size_t)x];
                    size++;
                }
            surface->levels[row * surface->columns + column] = (float)sum / (float)size;
        }
}

bool cn_surface_drawing_is_dark(const struct cn_plane *plane) {
    struct cn_surface surface;
    float weights[CELLS], distances[CELLS], apart[CELLS];
    double b[TERMS], terms[TERMS], darker = 0.0, lighter = 0.0;
    set_grid(&surface, plane);
    average_cells(&surface, plane);
    const int count = surface.rows * surface.columns;
    for (int i = 0; i < count; i++)
        weights[i] = 1.0F;
    for (int round = 0; round < 2 * ROUNDS; round++) {
        fit_once(&surface, weights, b);
        for (int row = 0, cell = 0; row < surface.rows; row++)
            for (int column = 0; column < surface.columns; column++, cell++) {
                terms_at(&surface, column, row, terms);
                double fit = b[0];
                for (int i = 1; i < TERMS; i++)
                    fit += b[i] * terms[i];
                apart[cell] = surface.levels[cell] - (float)fit;
                distances[cell] = fabsf(apart[cell]);
            }
        const float scale = fmaxf(3.0F * median(distances, count), 6.0F);
        for (int i = 0; i < count; i++) {
            const float share = distances[i] / scale;
            weights[i] = share >= 1.0F ? 0.0F : (1 - share * share) * (1 - share * share);
        }
    }
    for (int i = 0; i < count; i++)
        *(apart[i] < 0.0F ? &darker : &lighter) += (double)(apart[i] * apart[i]);
    return darker >= lighter;
}

bool cn_surface_has_lit_part(const struct cn_plane *plane, int level) {
    struct cn_surface surface;
    float opened[CELLS];
    double all = 0.0, left = 0.0;
    set_grid(&surface, plane);
    average_cells(&surface, plane);
    const int count = surface.rows * surface.columns, radius = radius_of(&surface, broad);
    memcpy(opened, surface.levels, (size_t)count * sizeof *opened);
    erode(&surface, opened, radius);
    dilate(&surface, opened, radius);
    for (int i = 0; i < count; i++) {
        const double above = fmax((double)surface.levels[i] - level, 0.0);
        const double still = fmax((double)opened[i] - level, 0.0);
        all += above * above;
        left += still * still;
    }
    return left * 2.0 > all;
}

/* The median of the cells around each one, by a histogram that slides along the row: ret_medians
 * [rows, columns]. */
static void find_medians(const struct cn_surface *surface, const uint8_t *levels, int radius,
                         uint8_t *ret_medians) {
    const int rows = surface->rows, columns = surface->columns;
    for (int row = 0; row < rows; row++) {
        const int top = row > radius ? row - radius : 0;
        const int bottom = row + radius < rows ? row + radius : rows - 1;
        int histogram[256] = {0}, count = 0, below = 0, level = 0;
        for (int entering = 0; entering < columns + radius; entering++) {
            const int column = entering - radius, leaving = column - radius - 1;
            for (int y = top; y <= bottom && entering < columns; y++) {
                const int value = levels[y * columns + entering];
                histogram[value]++;
                below += value < level;
                count++;
            }
            for (int y = top; y <= bottom && leaving >= 0; y++) {
                const int value = levels[y * columns + leaving];
                histogram[value]--;
                below -= value < level;
                count--;
            }
            while (below * 2 > count)
                below -= histogram[--level];
            while ((below + histogram[level]) * 2 < count)
                below += histogram[level++];
            if (column >= 0)
                ret_medians[row * columns + column] = (uint8_t)level;
        }
    }
}

/* The amount of ink that is darker than its surroundings and not part of anything broad. */
static double weigh_strokes(const struct cn_surface *surface) {
    const int count = surface->rows * surface->columns, radius = radius_of(surface, broad);
    float closed[CELLS];
    uint8_t levels[CELLS], medians[CELLS];
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        levels[i] = (uint8_t)lrintf(surface->levels[i]);
    find_medians(surface, levels, 2 * radius_of(surface, narrow), medians);
    memcpy(closed, surface->levels, (size_t)count * sizeof *closed);
    dilate(surface, closed, radius);
    erode(surface, closed, radius);
    reconstruct(surface, surface->levels, closed);
    for (int i = 0; i < count; i++) {
        const float page = fminf(closed[i], (float)medians[i]);
        const double below = (double)fmaxf(page - surface->levels[i], 0.0F);
        sum += below * below;
    }
    return sum;
}

bool cn_surface_is_light(const struct cn_plane *plane) {
    struct cn_surface surface;
    set_grid(&surface, plane);
    average_cells(&surface, plane);
    const double darker = weigh_strokes(&surface);
    for (int i = 0; i < surface.rows * surface.columns; i++)
        surface.levels[i] = 255.0F - surface.levels[i];
    return darker >= weigh_strokes(&surface);
}
