/* load.c: see load.h. Foreign text in a message is made printable here, so that a hostile file
 * cannot write escape sequences into a log. No state but jansson's hash seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/load.h"

const char *cn_text_show(const char *string, char text[static CN_JSON_TEXT]) {
    size_t i = 0;
    for (; string[i] != '\0' && i + 1 < CN_JSON_TEXT; i++)
        text[i] = (char)(string[i] >= 0x20 && string[i] < 0x7f ? string[i] : '?');
    text[i] = '\0';
    if (string[i] != '\0')
        memcpy(text + i - 3, "...", 3);
    return text;
}

const char *cn_json_show(const json_t *value, char text[static CN_JSON_TEXT]) {
    char *dump = NULL;
    if (value == NULL)
        return strcpy(text, "nothing");
    dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    (void)cn_text_show(dump != NULL ? dump : "?", text);
    free(dump);
    return text;
}

enum cn_status cn_json_parse(const char *text, size_t length, const char *what, const char *source,
                             long long base, json_t **ret_json, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    json_error_t problem;
    if (length > CN_JSON_MAX_LENGTH)
        return cn_fail_at(error, CN_LIMIT, source, base, "the %s has %zu bytes; the limit is %d",
                          what, length, CN_JSON_MAX_LENGTH);
    json_t *json = cn_json_load(text, length, &problem);
    if (json == NULL && problem.text[0] == '\0')
        return cn_fail_at(error, CN_MEMORY, source, base, "no memory to parse the %s", what);
    if (json == NULL)
        return cn_fail_at(error, CN_MALFORMED, source, base >= 0 ? base + problem.position : -1,
                          "the %s is not valid JSON: line %d, column %d: %s", what, problem.line,
                          problem.column, cn_text_show(problem.text, shown));
    *ret_json = json;
    return CN_OK;
}

json_t *cn_json_ints(const int *values, int count) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        if (json_array_append_new(list, json_integer(values[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

void cn_error_set_source(struct cn_error *error, const char *source) {
    if (error != NULL && error->status != CN_OK && error->source[0] == '\0')
        (void)snprintf(error->source, sizeof error->source, "%s", source != NULL ? source : "");
}
