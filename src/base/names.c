/* names.c: see names.h. */
#include <stdio.h>
#include <string.h>

#include "base/names.h"

int cn_name_index(const char *const *names, const char *name) {
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *cn_name_list(const char *const *names, char *text, size_t size) {
    static const char rest[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; names[i] != NULL; i++) {
        const char *between = i > 0 ? ", " : "";
        const size_t more = names[i + 1] != NULL ? sizeof rest - 1 : 0;
        if (used + strlen(between) + strlen(names[i]) + more >= size) {
            (void)snprintf(text + used, size - used, "%s", rest + (i > 0 ? 0 : 2));
            break;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", between, names[i]);
    }
    return text;
}

const char *cn_name_next(const char **rest, size_t *ret_length) {
    const char *begin = *rest + strspn(*rest, ", ");
    *ret_length = strcspn(begin, ", ");
    *rest = begin + *ret_length;
    return *ret_length > 0 ? begin : NULL;
}

bool cn_name_ends(const char *name, const char *ending) {
    const size_t length = strlen(name), end = strlen(ending);
    return length > end && strcmp(name + length - end, ending) == 0;
}
