/* polarity.c: decides which of a picture's two sides is the page and which the drawing. page.c
 * inverts a dark page; the measures over a surface are surface.c's. Changes nothing. Thread-safe.
 */
#include <string.h>

#include "image/levels.h"
#include "image/polarity.h"
#include "image/surface.h"

enum {
    NEAR = 24,          /* in grey levels; pixels farther from the page are not part of it */
    SURELY_LIGHT = 200, /* in grey levels; no ink on a dark page is much lighter */
    USUALLY_LIGHT = 100 /* in grey levels; typical of lit paper, not of a lit blackboard */
};

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
        const uint8_t *row = cn_levels_row(plane, y);
        const bool inside = y >= frame && y < plane->height - frame && plane->width > 2 * frame;
        for (int x = 0; x < plane->width; x++) {
            if (inside && x == frame)
                x = plane->width - frame;
            ret_levels[row[x]]++;
        }
    }
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
                lighter += cn_levels_row(plane, ys[corner / 2] + y)[xs[corner % 2] + x] > middle;
        corners += 2 * lighter > frame * frame;
    }
    return corners;
}

/* True for a drawing that was cut out along its ink, so that its frame shows both ink and page: in
 * two levels or, in a small picture, with greys between them. The page is then what the corners
 * show, which a drawing seldom reaches, or else the larger part of the whole. */
static bool is_cut_close(const struct cn_plane *plane, const size_t levels[256],
                         const size_t frame[256], bool *ret_light) {
    const int low = cn_levels_quantile(levels, 256, 0.0),
              high = cn_levels_quantile(levels, 256, 0.9999);
    const size_t total = cn_levels_between(frame, 0, 255);
    const size_t sharp =
        cn_levels_between(frame, low, low + NEAR) + cn_levels_between(frame, high - NEAR, high);
    const bool grey = cn_levels_small(plane) && sharp * 20 < total * 19;
    const int near = grey ? (high - low) / 3 : NEAR;
    const size_t dark = cn_levels_between(frame, low, low + near);
    const size_t light = cn_levels_between(frame, high - near, high), least = grey ? 16 : 3;
    if (high - low <= 4 * NEAR || (dark + light) * 20 < total * (grey ? 8 : 19) ||
        dark * least < total || light * least < total)
        return false;
    const int corners = count_light_corners(plane, (low + high) / 2);
    *ret_light = corners != 2 ? corners > 2
                              : cn_levels_between(levels, high - near, high) >
                                    cn_levels_between(levels, low, low + near);
    return true;
}

/* True if, because of the lighting, many pixels are neither as light as the frame nor like the
 * pixels that differ most from it. The broad glow of a lamp would otherwise be taken for the
 * drawing. */
static bool is_glowing(const size_t levels[256], int frame) {
    const int low = cn_levels_quantile(levels, 256, 0.005),
              high = cn_levels_quantile(levels, 256, 0.995);
    const size_t far = frame - low > high - frame ? cn_levels_between(levels, 0, low + 2 * NEAR)
                                                  : cn_levels_between(levels, high - 2 * NEAR, 255);
    const size_t near = cn_levels_between(levels, frame - CN_LEVELS_FLAT, frame + CN_LEVELS_FLAT);
    return (near + far) * 10 < cn_levels_between(levels, 0, 255) * 8;
}

/* True if the page is light, judged by the frame. */
static bool is_framed_light(const struct cn_plane *plane, const size_t levels[256], int level) {
    double darker = 0.0, lighter = 0.0;
    const size_t total = cn_levels_between(levels, 0, 255);
    if (cn_levels_between(levels, 0, level - NEAR) * 10 >= total * 6)
        return false;
    if (cn_levels_between(levels, level + NEAR, 255) * 10 >= total * 6)
        return true;
    for (int value = 0; value < 256; value++) {
        const double distance = value - level;
        *(value < level ? &darker : &lighter) += distance * distance * (double)levels[value];
    }
    if (darker > lighter)
        return true;
    /* Uneven light may weigh more than the drawing. */
    return !cn_levels_small(plane) && level >= USUALLY_LIGHT / 2 &&
           cn_surface_drawing_is_dark(plane) &&
           (is_glowing(levels, level) || cn_surface_is_light(plane));
}

bool cn_polarity_is_light(const struct cn_plane *plane, const size_t levels[256]) {
    size_t frame[256];
    bool light;
    count_frame(plane, frame);
    if (is_cut_close(plane, levels, frame, &light))
        return light;
    const int level = cn_levels_quantile(frame, 256, 0.5);
    if (level >= SURELY_LIGHT && cn_levels_between(levels, 0, level - NEAR) > 0)
        return true;
    if (cn_levels_between(frame, level - CN_LEVELS_FLAT, level + CN_LEVELS_FLAT) * 5 <
        cn_levels_between(frame, 0, 255) * 3)
        return level >= USUALLY_LIGHT || cn_surface_is_light(plane); /* photographs of paper */
    return is_framed_light(plane, levels, level) ||
           (!cn_levels_small(plane) && cn_surface_has_lit_part(plane, level) &&
            cn_surface_is_light(plane));
}
