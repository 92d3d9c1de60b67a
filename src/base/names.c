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
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; names[i] != NULL && used < size; i++) {
        const int wrote = snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", names[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return text;
}
