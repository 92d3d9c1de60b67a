/* predict_json.c: {"images": [...]} straight into floats: one heap node a pixel would cost more
 * than the network. An image is nested numbers [height][width] or [height][width][channels], a flat
 * list of them, or a base64 PNG. Numbers are samples from 0 to 255, as raw bytes are; with "range":
 * 1 they are from 0 to 1. Strict RFC 8259; bounded depth; runs on the exchange's HTTP thread. */
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "http/predict.h"

enum { MAX_DEPTH = 32 }; /* of values that are skipped */

struct scanner {
    const char *text, *at; /* ends with a NUL */
    size_t length;
    struct cn_error *error;
};

static enum cn_status fail(struct scanner *s, const char *expected) {
    const size_t offset = (size_t)(s->at - s->text);
    if (offset >= s->length)
        return cn_fail(s->error, CN_MALFORMED, "the JSON ends at byte %zu, where %s is expected",
                       offset, expected);
    const unsigned char byte = (unsigned char)*s->at;
    return cn_fail(s->error, CN_MALFORMED,
                   byte >= 0x20 && byte < 0x7f
                       ? "the JSON has '%c' at byte %zu, where %s is expected"
                       : "the JSON has byte %d at byte %zu, where %s is "
                         "expected",
                   byte, offset, expected);
}

static char peek(struct scanner *s) {
    while (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')
        s->at++;
    return *s->at;
}

static bool take(struct scanner *s, char c) {
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Moves past a number of RFC 8259's grammar; false if there is none. */
static bool skip_number(struct scanner *s) {
    const char *p = s->at;
    p += *p == '-';
    if (!is_digit(*p))
        return false;
    if (*p == '0')
        p++;
    else
        while (is_digit(*p))
            p++;
    if (*p == '.') {
        if (!is_digit(*++p))
            return false;
        while (is_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return false;
        while (is_digit(*p))
            p++;
    }
    s->at = p;
    return true;
}

static enum cn_status read_number(struct scanner *s, float *ret_value) {
    (void)peek(s);
    const char *begin = s->at;
    unsigned value = 0;
    while (is_digit(*s->at) && s->at - begin < 4)
        value = 10 * value + (unsigned)(*s->at++ - '0');
    const bool whole = s->at > begin && (*begin != '0' || s->at == begin + 1) &&
                       !is_digit(*s->at) && *s->at != '.' && *s->at != 'e' && *s->at != 'E';
    if (whole) { /* nearly every sample is a small whole number */
        *ret_value = (float)value;
        return CN_OK;
    }
    s->at = begin;
    if (!skip_number(s))
        return fail(s, "a number");
    *ret_value = strtof(begin, NULL);
    return CN_OK;
}

/* Moves past a string; returns its inside, still escaped. */
static enum cn_status read_string(struct scanner *s, const char **ret_begin, size_t *ret_length) {
    if (!take(s, '"'))
        return fail(s, "a string");
    const char *begin = s->at;
    while (*s->at != '"') {
        if ((unsigned char)*s->at < 0x20)
            return fail(s, "the end of a string");
        if (*s->at == '\\') {
            s->at++;
            if (*s->at == '\0' || strchr("\"\\/bfnrtu", *s->at) == NULL)
                return fail(s, "an escape");
            for (int i = 0; *s->at == 'u' && i < 4; i++)
                if (strchr("0123456789abcdefABCDEF", s->at[1 + i]) == NULL || s->at[1 + i] == '\0')
                    return fail(s, "four hexadecimal digits");
        }
        s->at++;
    }
    *ret_begin = begin;
    *ret_length = (size_t)(s->at - begin);
    s->at++;
    return CN_OK;
}

static enum cn_status skip_value(struct scanner *s, int depth);

static enum cn_status skip_members(struct scanner *s, char close, int depth) {
    const char *begin = NULL;
    size_t length = 0;
    enum cn_status status = CN_OK;
    s->at++;
    if (take(s, close))
        return CN_OK;
    do {
        if (close == '}') {
            status = read_string(s, &begin, &length);
            if (status == CN_OK && !take(s, ':'))
                status = fail(s, "':'");
        }
        if (status == CN_OK)
            status = skip_value(s, depth + 1);
    } while (status == CN_OK && take(s, ','));
    if (status == CN_OK && !take(s, close))
        return fail(s, close == '}' ? "',' or '}'" : "',' or ']'");
    return status;
}

static enum cn_status skip_value(struct scanner *s, int depth) {
    static const char *const words[] = {"true", "false", "null"};
    const char *begin = NULL;
    size_t length = 0;
    if (depth > MAX_DEPTH)
        return cn_fail(s->error, CN_LIMIT, "the JSON is nested over %d deep", MAX_DEPTH);
    switch (peek(s)) {
    case '{':
        return skip_members(s, '}', depth);
    case '[':
        return skip_members(s, ']', depth);
    case '"':
        return read_string(s, &begin, &length);
    default:
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strncmp(s->at, words[i], strlen(words[i])) == 0) {
                s->at += strlen(words[i]);
                return CN_OK;
            }
        return skip_number(s) ? CN_OK : fail(s, "a value");
    }
}

/* Reads exactly `count` numbers after '['; `what` and `image` are for the message. */
static enum cn_status read_numbers(struct scanner *s, float *values, size_t count, const char *what,
                                   size_t image) {
    size_t got = 0;
    if (!take(s, ']')) {
        do {
            float value = 0;
            const enum cn_status status = read_number(s, &value);
            if (status != CN_OK)
                return status;
            if (got < count)
                values[got] = value;
            got++;
        } while (take(s, ','));
        if (!take(s, ']'))
            return fail(s, "',' or ']'");
    }
    if (got == count)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has %s of %zu numbers; the model takes %zu",
                   image, what, got, count);
}

/* One row after '[': numbers (one channel) or pixels. */
static enum cn_status read_row(struct scanner *s, float *values, const struct cn_shape *shape,
                               size_t image) {
    const size_t width = (size_t)shape->dims[1], channels = (size_t)shape->dims[2];
    size_t got = 0;
    if (channels == 1 && peek(s) != '[')
        return read_numbers(s, values, width, "a row", image);
    do {
        if (!take(s, '['))
            return fail(s, "'['");
        float *pixel = values + (got < width ? got : width - 1) * channels;
        const enum cn_status status = read_numbers(s, pixel, channels, "a pixel", image);
        if (status != CN_OK)
            return status;
        got++;
    } while (take(s, ','));
    if (!take(s, ']'))
        return fail(s, "',' or ']'");
    if (got == width)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has a row of %zu pixels; the model takes %zu",
                   image, got, width);
}

/* An image of numbers after '['. */
static enum cn_status read_image(struct scanner *s, struct prediction *p) {
    const struct cn_shape *shape = &p->model->model->network->input_shape;
    float *values = prediction_add(p, s->error);
    const size_t image = p->count;
    size_t rows = 0;
    if (values == NULL)
        return CN_LIMIT;
    if (peek(s) != '[' || shape->rank != 3)
        return read_numbers(s, values, p->image_size, "a list", image);
    const size_t height = (size_t)shape->dims[0], row = p->image_size / height;
    do {
        if (!take(s, '['))
            return fail(s, "'['");
        const enum cn_status status =
            read_row(s, values + (rows < height ? rows : height - 1) * row, shape, image);
        if (status != CN_OK)
            return status;
        rows++;
    } while (take(s, ','));
    if (!take(s, ']'))
        return fail(s, "',' or ']'");
    if (rows == height)
        return CN_OK;
    return cn_fail(s->error, CN_INVALID, "image %zu has %zu rows; the model takes %zu", image, rows,
                   height);
}

static enum cn_status read_base64(struct scanner *s, struct prediction *p) {
    const char *begin = NULL;
    size_t length = 0, decoded = 0;
    struct base64_decode_ctx context;
    enum cn_status status = read_string(s, &begin, &length);
    if (status != CN_OK)
        return status;
    uint8_t *bytes = malloc(BASE64_DECODE_LENGTH(length) + 1);
    if (bytes == NULL)
        return cn_fail(s->error, CN_MEMORY, "no memory for a picture");
    base64_decode_init(&context);
    if (base64_decode_update(&context, &decoded, bytes, length, begin) != 1 ||
        base64_decode_final(&context) != 1)
        status =
            cn_fail(s->error, CN_MALFORMED, "image %zu is a string, but not base64", p->count + 1);
    else
        status = prediction_add_png(p, bytes, decoded, s->error);
    free(bytes);
    return status;
}

/* Samples of image `index` as read to floats in [0, 1], the raw bytes' own bits for whole numbers.
 */
static enum cn_status scale(struct scanner *s, struct prediction *p, size_t index, float range) {
    float *values = p->images + index * p->image_size;
    for (size_t i = 0; i < p->image_size; i++) {
        if (!(values[i] >= 0 && values[i] <= range))
            return cn_fail(s->error, CN_INVALID, "image %zu holds %g; samples are from 0 to %g%s",
                           index + 1, (double)values[i], (double)range,
                           range > 1 ? " (or 0 to 1 with \"range\": 1)" : "");
        values[i] /= range;
    }
    return CN_OK;
}

/* The list after "images":. numeric[i] is set for images that still need scaling. */
static enum cn_status read_images(struct scanner *s, struct prediction *p, bool **numeric) {
    enum cn_status status = CN_OK;
    if (!take(s, '['))
        return fail(s, "'[', the list of images");
    if (take(s, ']'))
        return cn_fail(s->error, CN_INVALID, "\"images\" is empty");
    do {
        const bool string = peek(s) == '"';
        if ((p->count & (p->count + 1)) == 0) { /* at 0, 1, 3, 7 ...: room for twice as many */
            bool *grown = realloc(*numeric, 2 * p->count + 2);
            if (grown == NULL)
                return cn_fail(s->error, CN_MEMORY, "no memory for the images");
            *numeric = grown;
        }
        (*numeric)[p->count] = !string;
        if (!string && !take(s, '['))
            return fail(s, "an image: '[' or a base64 string");
        status = string ? read_base64(s, p) : read_image(s, p);
    } while (status == CN_OK && take(s, ','));
    if (status == CN_OK && !take(s, ']'))
        return fail(s, "',' or ']'");
    return status;
}

static enum cn_status read_range(struct scanner *s, float *range) {
    const enum cn_status status = read_number(s, range);
    if (status == CN_OK && *range != 1 && *range != 255)
        return cn_fail(s->error, CN_INVALID, "\"range\" is %g; it must be 1 or 255",
                       (double)*range);
    return status;
}

static bool is_key(const char *key, size_t length, const char *name) {
    return length == strlen(name) && memcmp(key, name, length) == 0;
}

static enum cn_status read_request(struct scanner *s, struct prediction *p, float *range,
                                   bool **numeric) {
    enum cn_status status = CN_OK;
    bool seen = false;
    if (!take(s, '{'))
        return fail(s, "'{'");
    if (peek(s) != '}')
        do {
            const char *key = NULL;
            size_t length = 0;
            status = read_string(s, &key, &length);
            if (status == CN_OK && !take(s, ':'))
                status = fail(s, "':'");
            if (status != CN_OK)
                return status;
            if (is_key(key, length, "images")) {
                status = seen ? cn_fail(s->error, CN_MALFORMED, "\"images\" is there twice")
                              : read_images(s, p, numeric);
                seen = true;
            } else if (is_key(key, length, "range")) {
                status = read_range(s, range);
            } else {
                status = skip_value(s, 1);
            }
        } while (status == CN_OK && take(s, ','));
    if (status == CN_OK && !take(s, '}'))
        status = fail(s, "',' or '}'");
    if (status == CN_OK && (peek(s) != '\0' || s->at != s->text + s->length))
        status = fail(s, "the end");
    if (status == CN_OK && !seen)
        status = cn_fail(s->error, CN_INVALID, "the JSON object has no \"images\"");
    return status;
}

enum cn_status prediction_add_json(struct prediction *p, const char *text, size_t length,
                                   struct cn_error *error) {
    struct cn_error local = {0};
    struct scanner scanner = {text, text, length, error != NULL ? error : &local};
    bool *numeric = NULL;
    float range = 255;
    const size_t first = p->count;
    enum cn_status status = read_request(&scanner, p, &range, &numeric);
    for (size_t i = first; i < p->count && status == CN_OK; i++)
        if (numeric[i])
            status = scale(&scanner, p, i, range);
    free(numeric);
    return status;
}
