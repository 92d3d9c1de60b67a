/* orientation.c: reads the orientation tag of an EXIF block, and rotates and mirrors pictures.
 * Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include "image/orientation.h"

enum { TAG_ORIENTATION = 274, TYPE_SHORT = 3, ENTRY = 12, UPRIGHT = 1, LAST = 8 };

/* An EXIF block and its byte order. */
struct exif {
    const unsigned char *bytes;
    size_t length;
    bool big;
};

static unsigned read_u16(const struct exif *exif, size_t at) {
    const unsigned char *b = exif->bytes + at;
    return exif->big ? (unsigned)(b[0] << 8 | b[1]) : (unsigned)(b[1] << 8 | b[0]);
}

static size_t read_u32(const struct exif *exif, size_t at) {
    const size_t first = read_u16(exif, at), second = read_u16(exif, at + 2);
    return exif->big ? first << 16 | second : second << 16 | first;
}

int cn_orientation_read(const unsigned char *bytes, size_t length) {
    if (length < 14 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0))
        return UPRIGHT;
    const struct exif exif = {bytes, length, bytes[0] == 'M'};
    const size_t directory = read_u32(&exif, 4);
    if (directory > length - 2)
        return UPRIGHT;
    const size_t count = read_u16(&exif, directory);
    for (size_t i = 0; i < count; i++) {
        const size_t entry = directory + 2 + i * ENTRY;
        if (entry + ENTRY > length)
            break;
        if (read_u16(&exif, entry) == TAG_ORIENTATION && read_u16(&exif, entry + 2) == TYPE_SHORT) {
            const int orientation = (int)read_u16(&exif, entry + 8);
            return orientation >= UPRIGHT && orientation <= LAST ? orientation : UPRIGHT;
        }
    }
    return UPRIGHT;
}

enum cn_status cn_orientation_apply(int orientation, struct cn_picture *picture,
                                    struct cn_error *error) {
    /* 2 to 4 mirror and rotate by 180 degrees; 5 to 8 swap rows and columns as well. */
    const bool swapped = orientation >= 5;
    const bool from_right =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const size_t channels = (size_t)picture->channels;
    const int width = swapped ? picture->height : picture->width;
    const int height = swapped ? picture->width : picture->height;
    if (orientation <= UPRIGHT || orientation > LAST)
        return CN_OK;
    uint8_t *turned = malloc((size_t)width * (size_t)height * channels);
    if (turned == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a picture of %d x %d", width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const int u = swapped ? y : x, v = swapped ? x : y;
            const int column = from_right ? picture->width - 1 - u : u;
            const int row = from_bottom ? picture->height - 1 - v : v;
            memcpy(turned + ((size_t)y * (size_t)width + (size_t)x) * channels,
                   picture->data +
                       ((size_t)row * (size_t)picture->width + (size_t)column) * channels,
                   channels);
        }
    free(picture->data);
    picture->data = turned;
    picture->width = width;
    picture->height = height;
    if (swapped) {
        const int full_width = picture->full_width;
        picture->full_width = picture->full_height;
        picture->full_height = full_width;
    }
    return CN_OK;
}
