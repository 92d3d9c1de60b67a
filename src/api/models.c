/* models.c: finds the model that a request asks for, or answers that there is none, in the same way
 * for all protocols. Runs on the exchange's HTTP thread. */
#include <stdlib.h>
#include <string.h>

#include "api/models.h"
#include "http/exchange.h"
#include "json/write.h"

enum { NAMES_SHOWN = 16 };

/* The version's number, or 0 if the text is none. */
static unsigned version_of(const char *text) {
    unsigned value = 0;
    if (text[0] == '0' || strlen(text) > 9)
        return 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        value = value * 10 + (unsigned)(*text - '0');
    }
    return value;
}

/* "a, b": the names of all models or, with `name`, the versions of that model. NULL if memory runs
 * out; caller frees with free(). */
static char *list_names(struct registry *models, const char *name) {
    size_t count = 0, shown = 0, length = 0;
    struct registry_row *rows = registry_list(models, &count);
    struct cn_text text = {0};
    for (size_t i = 0; i < count && shown < NAMES_SHOWN; i++) {
        if (name != NULL ? strcmp(rows[i].name, name) != 0
                         : i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
            continue;
        cn_text_add(&text, shown++ > 0 ? ", " : "");
        if (name != NULL)
            cn_text_add_size(&text, rows[i].version);
        else
            cn_text_add(&text, rows[i].name);
    }
    registry_list_free(rows, count);
    cn_text_add(&text, shown > 0 ? "" : "none");
    if (cn_text_room(&text, 1) != NULL)
        text.bytes[text.length] = '\0';
    return cn_text_take(&text, &length);
}

struct served_model *api_find_model(struct http_exchange *exchange, const char *name,
                                    const char *version) {
    struct registry *models = exchange->context->models;
    enum registry_answer answer;
    unsigned number = version != NULL ? version_of(version) : 0;
    struct served_model *model = registry_acquire(models, name, number, &answer);
    if (model != NULL && (version == NULL || number != 0))
        return model;
    if (model != NULL) {
        served_model_release(model);
        answer = REGISTRY_NO_VERSION; /* the text is not a number */
    }
    char *names = list_names(models, answer == REGISTRY_NO_VERSION ? name : NULL);
    const char *there = names != NULL ? names : "(no memory)";
    if (name == NULL)
        (void)http_reply_error(exchange, 503, "no model is loaded");
    else if (answer == REGISTRY_NO_MODEL)
        (void)http_reply_error(exchange, 404, "there is no model \"%.64s\"; the models are %s",
                               name, there);
    else if (answer == REGISTRY_NO_VERSION)
        (void)http_reply_error(exchange, 404,
                               "model \"%.64s\" has no version \"%.20s\"; its versions are %s",
                               name, version, there);
    else
        (void)http_reply_error(exchange, 503, "model \"%.64s\" is not loaded", name);
    free(names);
    return NULL;
}

struct served_model *api_find_path_model(struct http_exchange *exchange) {
    const struct http_arguments *arguments = &exchange->arguments;
    return api_find_model(exchange, arguments->values[0], arguments->values[1]);
}
