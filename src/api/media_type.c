/* media_type.c: see media_type.h. Endpoints choose the answer's type, not this file. No state. */
#include "api/media_type.h"

#include <string.h>
#include <strings.h>

/* Parses a quality in thousandths: "0.75" is 750. A malformed quality counts as 1, the default. */
static int quality_of(const char *text) {
    if (*text != '0' && *text != '1')
        return 1000;
    int quality = (*text - '0') * 1000;
    if (text[1] != '.')
        return quality;
    int unit = 100;
    for (text += 2; unit > 0 && *text >= '0' && *text <= '9'; text++, unit /= 10)
        quality += (*text - '0') * unit;
    return quality <= 1000 ? quality : 1000;
}

/* The quality among the parameters between `at` and the end of this element. */
static int element_quality(const char *at, const char *end) {
    while ((at = memchr(at, ';', (size_t)(end - at))) != NULL) {
        at++;
        at += strspn(at, " \t");
        if (end - at > 2 && strncasecmp(at, "q=", 2) == 0)
            return quality_of(at + 2);
    }
    return 1000;
}

int http_accept_quality(const char *accept, const char *type) {
    const size_t length = strlen(type);
    while (accept != NULL && *accept != '\0') {
        accept += strspn(accept, " \t,");
        const char *end = accept + strcspn(accept, ",");
        if (strncasecmp(accept, type, length) == 0 && strchr("; \t,", accept[length]) != NULL)
            return element_quality(accept + length, end);
        accept = end;
    }
    return 0;
}
