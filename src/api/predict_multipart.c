/* predict_multipart.c: multipart/form-data (RFC 7578) over a body that is whole in memory: each
 * part is a picture. Of a part's headers only its type is looked at. No state. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/predict.h"

/* "\r\n--" + the boundary (RFC 2046: at most 70 bytes); false if there is none. */
static bool delimiter_of(const char *content_type, char delimiter[static 80]) {
    const char *at = strcasestr(content_type, "boundary=");
    if (at == NULL)
        return false;
    at += strlen("boundary=");
    const bool quoted = *at == '"';
    at += quoted;
    const size_t length = strcspn(at, quoted ? "\"" : "; \t");
    if (length == 0 || length > 70)
        return false;
    (void)snprintf(delimiter, 80, "\r\n--%.*s", (int)length, at);
    return true;
}

/* Does the part say that it holds bytes, as curl does of a file whose kind it does not know? */
static bool part_is_octets(const unsigned char *head, size_t length) {
    static const char type[] = "content-type:", octets[] = "application/octet-stream";
    const char *line = (const char *)head, *end = line + length;
    for (; line != NULL && end - line > (ptrdiff_t)sizeof type; line++) {
        if (strncasecmp(line, type, sizeof type - 1) == 0) {
            line += sizeof type - 1;
            line += strspn(line, " \t");
            return end - line >= (ptrdiff_t)sizeof octets - 1 &&
                   strncasecmp(line, octets, sizeof octets - 1) == 0;
        }
        line = memchr(line, '\n', (size_t)(end - line));
        if (line == NULL)
            return false;
    }
    return false;
}

static enum cn_status add_part(struct prediction *p, const unsigned char *part, size_t length,
                               struct cn_error *error) {
    const unsigned char *data = memmem(part, length, "\r\n\r\n", 4);
    if (data == NULL)
        return cn_fail(error, CN_MALFORMED, "part %zu of the multipart body has no blank line",
                       p->count + 1);
    const bool octets = part_is_octets(part, (size_t)(data - part));
    data += 4;
    length -= (size_t)(data - part);
    if (cn_picture_recognize(data, length))
        return prediction_add_picture(p, data, length, NULL, error);
    if (octets && length == p->image_size)
        return prediction_add_raw(p, data, length, error);
    return cn_fail(
        error, CN_INVALID,
        "part %zu has %zu bytes; it must be a picture, or one raw image of %zu bytes with "
        "Content-Type: application/octet-stream",
        p->count + 1, length, p->image_size);
}

enum cn_status prediction_add_multipart(struct prediction *p, const char *content_type,
                                        const unsigned char *body, size_t length,
                                        struct cn_error *error) {
    char delimiter[80];
    if (!delimiter_of(content_type, delimiter))
        return cn_fail(error, CN_MALFORMED,
                       "multipart/form-data needs a boundary of 1 to 70 bytes");
    const size_t size = strlen(delimiter);
    const unsigned char *end = body + length;
    /* The first delimiter may begin the body, without its line break. */
    const unsigned char *at = length >= size - 2 && memcmp(body, delimiter + 2, size - 2) == 0
                                  ? body + size - 2
                                  : memmem(body, length, delimiter, size);
    if (at == NULL)
        return cn_fail(error, CN_MALFORMED, "the multipart body does not hold its boundary");
    if (at != body + size - 2)
        at += size;
    while ((size_t)(end - at) < 2 || memcmp(at, "--", 2) != 0) {
        const unsigned char *next = memmem(at, (size_t)(end - at), delimiter, size);
        if (next == NULL)
            return cn_fail(error, CN_MALFORMED,
                           "the multipart body does not end with its boundary");
        const enum cn_status status = add_part(p, at, (size_t)(next - at), error);
        if (status != CN_OK)
            return status;
        at = next + size;
    }
    if (p->count == 0)
        return cn_fail(error, CN_INVALID, "the multipart body has no parts");
    return CN_OK;
}
