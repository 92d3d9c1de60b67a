/* plane.c: resolves alpha, gamma and colour, before ink is looked for. A drawing on a transparent
 * page needs a page of the other brightness: white under dark ink, black under light ink.
 * Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/plane.h"

enum {
    WHITE = 255,
    OPAQUE = 255,
    VARIED = 96,  /* grey levels between the darkest and the lightest pixel of a page with ink */
    SAMPLES = 64, /* samples per side, for finding the ink's colour */
    LEAST_COLOUR = 40, /* a difference above noise */
    ROW_BLOCK = 512    /* pixels converted at a time */
};

/* The conversion of pixels to brightness. */
struct mixer {
    int channels;
    bool opaque;
    int paper;          /* level of the paper under transparent pixels */
    bool curved;        /* the gamma differs from sRGB's, so samples pass through `curve` first */
    uint8_t curve[256]; /* the level in sRGB's gamma for each sample */
    bool by_colour; /* ink and page are equally bright, so pixels are projected on the ink's colour
                     */
    float page[3];  /* the page's colour */
    float direction[3]; /* the unit vector from it to the ink's colour */
};

static uint8_t luminance(int red, int green, int blue) {
    /* 0.2126, 0.7152 and 0.0722 in parts of 256; a grey stays exactly what it is. */
    const int light = 54 * red * red + 183 * green * green + 19 * blue * blue;
    return (uint8_t)(sqrtf((float)light) * (1.0F / 16.0F) + 0.5F);
}

static uint8_t brightness_of(const struct mixer *mixer, const uint8_t *pixel) {
    if (mixer->channels < 3)
        return mixer->curve[pixel[0]];
    return luminance(mixer->curve[pixel[0]], mixer->curve[pixel[1]], mixer->curve[pixel[2]]);
}

bool cn_picture_is_plain(const struct cn_picture *picture) {
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    const uint8_t *pixel = picture->data;
    unsigned different = 0;
    switch (picture->channels) {
    case 1:
        return true;
    case 2:
        for (size_t i = 0; i < count; i++)
            different |= pixel[2 * i + 1] ^ (unsigned)OPAQUE;
        break;
    case 3:
        for (size_t i = 0; i < count; i++)
            different |= (unsigned)(pixel[3 * i] ^ pixel[3 * i + 1]) |
                         (unsigned)(pixel[3 * i] ^ pixel[3 * i + 2]);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            different |= (unsigned)(pixel[4 * i] ^ pixel[4 * i + 1]) |
                         (unsigned)(pixel[4 * i] ^ pixel[4 * i + 2]) |
                         (pixel[4 * i + 3] ^ (unsigned)OPAQUE);
        break;
    }
    return different == 0;
}

static bool is_opaque(const struct cn_picture *picture) {
    const size_t channels = (size_t)picture->channels;
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    unsigned all = OPAQUE;
    if (channels % 2 != 0)
        return true;
    for (size_t i = channels - 1; i < count * channels && all == OPAQUE; i += channels)
        all &= picture->data[i];
    return all == OPAQUE;
}

/* The level of the paper under transparent pixels, derived from the opaque ones; -1 if there are
 * none. */
static int find_paper(const struct cn_picture *picture, const struct mixer *mixer) {
    const int channels = picture->channels;
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    uint64_t cover = 0, sum = 0;
    size_t solid = 0;
    int low = 255, high = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = picture->data + i * (size_t)channels;
        const unsigned alpha = pixel[channels - 1];
        if (alpha == 0)
            continue;
        const int value = brightness_of(mixer, pixel);
        cover += alpha;
        sum += alpha * (unsigned)value;
        if (alpha >= 128) {
            solid++;
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    }
    if (cover == 0)
        return -1;
    const bool bright = sum >= 128 * cover;
    /* If most pixels are opaque and varied, the page itself is in the picture (for example with
     * rounded corners), and the transparent pixels continue it. Otherwise the opaque pixels are the
     * ink. */
    const bool page_inside = solid > count / 2 && high - low > VARIED;
    return bright == page_inside ? WHITE : 0;
}

static void over_paper(const struct mixer *mixer, const uint8_t *pixel, float ret_color[3]) {
    const bool has_alpha = mixer->channels % 2 == 0;
    const float alpha = has_alpha ? (float)pixel[mixer->channels - 1] / OPAQUE : 1.0F;
    for (int c = 0; c < 3; c++)
        ret_color[c] = alpha * (float)mixer->curve[pixel[mixer->channels < 3 ? 0 : c]] +
                       (1.0F - alpha) * (float)mixer->paper;
}

/* Pixel (x, y) of the SAMPLES x SAMPLES that represent the picture. */
static const uint8_t *sample_at(const struct cn_picture *picture, int x, int y) {
    const size_t column = (size_t)x * (size_t)(picture->width - 1) / (SAMPLES - 1);
    const size_t row = (size_t)y * (size_t)(picture->height - 1) / (SAMPLES - 1);
    return picture->data + (row * (size_t)picture->width + column) * (size_t)picture->channels;
}

/* The page's colour: the median of the outermost samples, channel by channel. */
static void find_page_color(const struct cn_picture *picture, struct mixer *mixer) {
    size_t histogram[3][256] = {{0}};
    for (int i = 0; i < SAMPLES; i++) {
        const uint8_t *const edge[4] = {
            sample_at(picture, i, 0), sample_at(picture, i, SAMPLES - 1), sample_at(picture, 0, i),
            sample_at(picture, SAMPLES - 1, i)};
        for (int side = 0; side < 4; side++) {
            float color[3];
            over_paper(mixer, edge[side], color);
            for (int c = 0; c < 3; c++)
                histogram[c][lrintf(color[c])]++;
        }
    }
    for (int c = 0; c < 3; c++) {
        size_t below = 0;
        int value = 0;
        while ((below + histogram[c][value]) * 2 <= 4 * SAMPLES)
            below += histogram[c][value++];
        mixer->page[c] = (float)value;
    }
}

/* Sets `by_colour` if the ink is about as bright as the page but has another colour: yellow on
 * white, red on green. */
static void find_ink_color(const struct cn_picture *picture, struct mixer *mixer) {
    float most = 0.0F, sum[3] = {0}, color[3], norm = 0.0F;
    size_t count = 0;
    find_page_color(picture, mixer);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < SAMPLES * SAMPLES; i++) {
            float distance = 0.0F;
            over_paper(mixer, sample_at(picture, i % SAMPLES, i / SAMPLES), color);
            for (int c = 0; c < 3; c++)
                distance = fmaxf(distance, fabsf(color[c] - mixer->page[c]));
            most = pass == 0 ? fmaxf(most, distance) : most;
            if (pass == 0 || distance < 0.6F * most)
                continue;
            count++;
            for (int c = 0; c < 3; c++)
                sum[c] += color[c] - mixer->page[c];
        }
        if (most < LEAST_COLOUR)
            return;
    }
    most = 0.0F;
    for (int c = 0; c < 3; c++) {
        mixer->direction[c] = sum[c] / (float)count;
        most = fmaxf(most, fabsf(mixer->direction[c]));
        color[c] = fminf(fmaxf(mixer->page[c] + mixer->direction[c], 0.0F), 255.0F);
        norm += mixer->direction[c] * mixer->direction[c];
    }
    const int contrast = luminance((int)color[0], (int)color[1], (int)color[2]) -
                         luminance((int)mixer->page[0], (int)mixer->page[1], (int)mixer->page[2]);
    mixer->by_colour = most >= LEAST_COLOUR && (float)abs(contrast) < 0.4F * most;
    for (int c = 0; c < 3; c++)
        mixer->direction[c] /= sqrtf(norm);
}

/* The brightness of `count` pixels, over the paper. */
static void mix_row(const struct mixer *mixer, const uint8_t *pixels, int count, uint8_t *target) {
    const int channels = mixer->channels;
    if (mixer->by_colour) {
        for (int i = 0; i < count; i++, pixels += channels) {
            float color[3], along = 0.0F;
            over_paper(mixer, pixels, color);
            for (int c = 0; c < 3; c++)
                along += mixer->direction[c] * (color[c] - mixer->page[c]);
            target[i] = (uint8_t)(WHITE - lrintf(fminf(fmaxf(along, 0.0F), (float)WHITE)));
        }
        return;
    }
    if (channels == 3 && !mixer->curved)
        for (int i = 0; i < count; i++)
            target[i] = luminance(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
    else if (channels == 4 && !mixer->curved)
        for (int i = 0; i < count; i++)
            target[i] = luminance(pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2]);
    else
        for (int i = 0; i < count; i++)
            target[i] = brightness_of(mixer, pixels + i * channels);
    for (int i = 0; !mixer->opaque && i < count; i++) {
        const int alpha = pixels[(i + 1) * channels - 1];
        target[i] =
            (uint8_t)((target[i] * alpha + mixer->paper * (OPAQUE - alpha) + OPAQUE / 2) / OPAQUE);
    }
}

/* Makes one row of the plane from `reduction` rows of the picture, averaged over squares. */
static void reduce_rows(const struct cn_picture *picture, const struct mixer *mixer, int first,
                        struct cn_plane *plane, uint32_t *sums, uint8_t *target) {
    const int by = plane->reduction;
    const int last = first + by < picture->height ? first + by : picture->height;
    uint8_t block[ROW_BLOCK];
    memset(sums, 0, (size_t)plane->width * sizeof *sums);
    for (int y = first; y < last; y++) {
        const uint8_t *pixels =
            picture->data + (size_t)y * (size_t)picture->width * (size_t)picture->channels;
        /* A block has whole squares only. */
        const int step = ROW_BLOCK / by * by;
        for (int x = 0; x < picture->width; x += step) {
            const int count = picture->width - x < step ? picture->width - x : step;
            mix_row(mixer, pixels + (size_t)x * (size_t)picture->channels, count, block);
            uint32_t *sum = sums + x / by;
            for (int i = 0; i < count; sum++)
                for (int end = i + by < count ? i + by : count; i < end; i++)
                    *sum += block[i];
        }
    }
    for (int x = 0; x < plane->width; x++) {
        const int columns = (x + 1) * by <= picture->width ? by : picture->width - x * by;
        const uint32_t count = (uint32_t)(columns * (last - first));
        target[x] = (uint8_t)((sums[x] + count / 2) / count);
    }
}

static enum cn_status fill_grey(const struct cn_picture *picture, const struct mixer *mixer,
                                struct cn_plane *plane, struct cn_error *error) {
    const size_t width = (size_t)plane->width;
    if (plane->reduction == 1) {
        for (int y = 0; y < plane->height; y++)
            mix_row(mixer, picture->data + (size_t)y * width * (size_t)picture->channels,
                    plane->width, plane->samples + (size_t)y * width);
        return CN_OK;
    }
    uint32_t *sums = malloc(width * sizeof *sums);
    if (sums == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a row of %zu sums", width);
    for (int y = 0; y < plane->height; y++)
        reduce_rows(picture, mixer, y * plane->reduction, plane, sums,
                    plane->samples + (size_t)y * width);
    free(sums);
    return CN_OK;
}

/* Keeps colours, or makes greys by ITU-R 601's weights, as PIL, OpenCV and TensorFlow do. */
static void fill_as_seen(const struct cn_picture *picture, const struct mixer *mixer, int channels,
                         uint8_t *target) {
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; i < count; i++) {
        float color[3];
        over_paper(mixer, picture->data + i * (size_t)picture->channels, color);
        if (channels == 1)
            *target++ = (uint8_t)lrintf(0.299F * color[0] + 0.587F * color[1] + 0.114F * color[2]);
        for (int c = 0; c < channels && channels == 3; c++)
            *target++ = (uint8_t)lrintf(color[c]);
    }
}

/* sRGB's gamma is 1 / 2.2; a file with another gamma is converted to it. */
static void set_curve(struct mixer *mixer, double gamma) {
    mixer->curved = gamma > 0.0 && fabs(gamma * 2.2 - 1.0) > 0.05;
    for (int i = 0; i < 256; i++)
        mixer->curve[i] =
            (uint8_t)(mixer->curved ? lround(255.0 * pow(i / 255.0, 1.0 / (gamma * 2.2))) : i);
}

/* Determines the mixer for the picture, and allocates the plane. */
static enum cn_status plane_begin(const struct cn_picture *picture, struct mixer *mixer,
                                  struct cn_plane *plane, struct cn_error *error) {
    *mixer = (struct mixer){.channels = picture->channels};
    set_curve(mixer, picture->gamma);
    mixer->opaque = is_opaque(picture);
    if (!mixer->opaque)
        mixer->paper = find_paper(picture, mixer);
    if (mixer->paper < 0)
        return cn_fail(error, CN_UNUSABLE, "the picture is blank: every pixel is transparent");
    plane->samples = malloc((size_t)plane->width * (size_t)plane->height * (size_t)plane->channels);
    if (plane->samples == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %d x %d pixels", plane->width,
                       plane->height);
    return CN_OK;
}

enum cn_status cn_plane_create(const struct cn_picture *picture, int side_limit,
                               struct cn_plane *ret_plane, struct cn_error *error) {
    struct mixer mixer;
    const int longer = picture->width > picture->height ? picture->width : picture->height;
    const int by =
        side_limit > 0 && longer > side_limit ? (longer + side_limit - 1) / side_limit : 1;
    struct cn_plane plane = {(picture->width + by - 1) / by, (picture->height + by - 1) / by, 1, by,
                             NULL};
    const int of_file = by * (picture->reduction > 1 ? picture->reduction : 1);
    enum cn_status status = plane_begin(picture, &mixer, &plane, error);
    if (status != CN_OK)
        return status;
    if (picture->channels >= 3)
        find_ink_color(picture, &mixer);
    status = fill_grey(picture, &mixer, &plane, error);
    plane.reduction = of_file;
    if (status == CN_OK)
        *ret_plane = plane;
    else
        free(plane.samples);
    return status;
}

enum cn_status cn_plane_create_as_seen(const struct cn_picture *picture, int channels,
                                       struct cn_plane *ret_plane, struct cn_error *error) {
    struct mixer mixer;
    struct cn_plane plane = {picture->width, picture->height, channels, 1, NULL};
    const enum cn_status status = plane_begin(picture, &mixer, &plane, error);
    if (status != CN_OK)
        return status;
    fill_as_seen(picture, &mixer, channels, plane.samples);
    *ret_plane = plane;
    return CN_OK;
}

void cn_plane_clear(struct cn_plane *plane) {
    free(plane->samples);
    *plane = (struct cn_plane){0};
}
