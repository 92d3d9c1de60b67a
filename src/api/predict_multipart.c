/* predict_multipart.c: multipart/form-data (RFC 7578) in a body that is whole in memory. Each part
 * is a picture, an archive of pictures, or another form field, which is skipped. Only the type and
 * the names are read from a part's headers. No state. */
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

/* The value of a part's header, up to its line's end; NULL: it has none. */
static const char *part_header(const unsigned char *head, size_t length, const char *name,
                               size_t *ret_length) {
    const size_t name_length = strlen(name);
    const char *line = (const char *)head, *end = line + length;
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const size_t size = (size_t)((next != NULL ? next : end) - line);
        if (size > name_length && strncasecmp(line, name, name_length) == 0) {
            line += name_length;
            *ret_length = size - name_length;
            return line;
        }
        line += size + 1;
    }
    return NULL;
}

/* True if the part is declared as bytes, as curl does for files of unknown type. */
static bool part_is_octets(const unsigned char *head, size_t length) {
    static const char octets[] = "application/octet-stream";
    size_t size = 0;
    const char *type = part_header(head, length, "content-type:", &size);
    while (type != NULL && size > 0 && (*type == ' ' || *type == '\t'))
        type++, size--;
    return type != NULL && size >= sizeof octets - 1 &&
           strncasecmp(type, octets, sizeof octets - 1) == 0;
}

/* A parameter's value in `; name="value"`, without its quotes; NULL: it is not there. */
static const char *disposition_value(const char *at, size_t length, const char *name,
                                     size_t *ret_length) {
    const char *end = at + length;
    const size_t name_length = strlen(name);
    while (at < end && (at = memchr(at, ';', (size_t)(end - at))) != NULL) {
        for (at++; at < end && (*at == ' ' || *at == '\t'); at++)
            continue;
        const bool here = (size_t)(end - at) > name_length &&
                          strncasecmp(at, name, name_length) == 0 && at[name_length] == '=';
        while (at < end && *at != '=' && *at != ';')
            at++;
        const bool quoted = end - at > 1 && at[0] == '=' && at[1] == '"';
        const char *value = at + (at < end && *at == '=') + quoted;
        for (at = value; at < end && (quoted ? *at != '"' : *at != ';' && *at != '\r'); at++)
            at += quoted && *at == '\\' && end - at > 1;
        *ret_length = here ? (size_t)(at - value) : 0;
        if (here)
            return value;
    }
    return NULL;
}

/* One part of a form. */
struct part {
    const unsigned char *data;
    size_t length;
    bool octets,
        is_file; /* is_octets: declared as bytes; is_file: has a file name, perhaps an empty one */
    const char *name; /* the file's, or else the field's; NULL */
    size_t name_length;
};

static bool part_read(const unsigned char *bytes, size_t length, struct part *ret_part) {
    const unsigned char *data = memmem(bytes, length, "\r\n\r\n", 4);
    size_t size = 0, name_length = 0;
    if (data == NULL)
        return false;
    const size_t head = (size_t)(data - bytes);
    const char *disposition = part_header(bytes, head, "content-disposition:", &size);
    *ret_part = (struct part){
        .data = data + 4, .length = length - head - 4, .octets = part_is_octets(bytes, head)};
    const char *file =
        disposition != NULL ? disposition_value(disposition, size, "filename", &name_length) : NULL;
    ret_part->is_file = file != NULL;
    ret_part->name = file;
    ret_part->name_length = name_length;
    if (disposition != NULL && name_length == 0)
        ret_part->name = disposition_value(disposition, size, "name", &ret_part->name_length);
    return true;
}

static enum cn_status add_part(struct prediction *p, const unsigned char *bytes, size_t length,
                               struct cn_error *error) {
    struct cn_error fault = {0};
    struct part part;
    enum cn_status status = CN_OK;
    if (!part_read(bytes, length, &part))
        return cn_fail(error, CN_MALFORMED, "part %zu of the multipart body has no blank line",
                       p->count + 1);
    if (cn_archive_recognize(part.data, part.length))
        return prediction_add_archive(p, part.data, part.length, error);
    const size_t image = p->count;
    if (cn_picture_recognize(part.data, part.length)) {
        status = prediction_add_picture(p, part.data, part.length, NULL, error);
    } else if (part.octets && part.length == p->image_size) {
        status = prediction_add_raw(p, part.data, part.length, error);
    } else if (!part.octets && !part.is_file && part.name != NULL) {
        return CN_OK; /* a form field that is not a file */
    } else if (part.is_file && part.length == 0) {
        return CN_OK; /* a file field in which no file was chosen */
    } else {
        (void)cn_fail(&fault, CN_INVALID,
                      "part %zu has %zu bytes; it must be a picture, or one raw image of %zu bytes "
                      "with Content-Type: application/octet-stream",
                      p->count + 1, part.length, p->image_size);
        if (!p->lenient || prediction_add(p, error) == NULL)
            return cn_fail(error, fault.status, "%s", fault.text);
        status = prediction_record_failure(p, image, &fault, error);
    }
    if (status == CN_OK)
        prediction_name(p, part.name, part.name_length);
    return status;
}

enum cn_status prediction_add_multipart(struct prediction *p, const char *content_type,
                                        const unsigned char *body, size_t length,
                                        struct cn_error *error) {
    char delimiter[80];
    if (!delimiter_of(content_type, delimiter))
        return cn_fail(error, CN_MALFORMED,
                       "multipart/form-data needs a boundary of 1 to 70 bytes");
    const size_t size = strlen(delimiter);
    p->many = true;
    const unsigned char *end = body + length;
    /* The first delimiter may be at the start of the body, without a line break before it. */
    const unsigned char *at = length >= size - 2 && memcmp(body, delimiter + 2, size - 2) == 0
                                  ? body + size - 2
                                  : memmem(body, length, delimiter, size);
    if (at == NULL)
        return cn_fail(error, CN_MALFORMED, "the multipart body does not contain its boundary");
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
        return cn_fail(
            error, CN_INVALID,
            "the multipart body has no part that is a picture; curl sends a file with -F "
            "NAME=@FILE");
    return CN_OK;
}
