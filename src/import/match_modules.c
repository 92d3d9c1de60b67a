/* match_modules.c: matches PyTorch's modules, whose names are free, with the network's layers: by
 * name, by the module before, by the order in the file. Where shapes do not tell two modules apart
 * and neither names nor the order do, it refuses. One thread. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "import/match.h"
#include "json/load.h"

/* The evidence by which a module was found, the most certain first. */
enum evidence {
    BY_WHOLE_NAME,
    BY_NAME_END,
    BY_PARTNER_NAME, /* from here on layer by layer */
    BY_FOLLOWING,
    BY_SHAPE,
    EVIDENCES
};

/* A layer with weights, and the module that it takes them from. */
struct place {
    size_t layer;
    size_t kind; /* the first place whose weights have the same shapes */
    enum evidence evidence;
    const char *group; /* borrowed; NULL: none yet */
    size_t position;   /* of the module in the file */
};

struct modules {
    const struct import_matcher *matcher;
    struct place *places;
    size_t count;
    size_t agreeing, contrary; /* pairs of places of different kinds: their order in the file */
    bool numbered;             /* the modules are sorted by name, so that only numbers count */
};

/* True if the group of tensor `first` fits this layer. Fills `chosen`. */
static bool group_fits(const struct import_matcher *matcher, const struct cn_layer *layer,
                       size_t first, struct import_tensor *chosen[CN_LAYER_MAX_TENSORS]) {
    const struct import_source *source = matcher->source;
    const char *group = source->tensors[first].group;
    size_t count = 0;
    for (size_t i = 0; i < source->tensor_count; i++)
        count += strcmp(source->tensors[i].group, group) == 0 &&
                 !import_match_counter(&source->tensors[i]);
    if (count != layer->tensor_count)
        return false;
    for (size_t k = 0; k < layer->tensor_count; k++) {
        chosen[k] = NULL;
        for (size_t i = 0; i < source->tensor_count && chosen[k] == NULL; i++) {
            struct import_tensor *tensor = &source->tensors[i];
            if (!tensor->used && strcmp(tensor->group, group) == 0 &&
                import_match_named(tensor, layer->tensors[k].name) &&
                import_match_fits(matcher, tensor, &layer->tensors[k]))
                chosen[k] = tensor;
        }
        if (chosen[k] == NULL)
            return false;
    }
    return true;
}

/* ---- Names ---- */

static bool is_joint(char c) {
    return c == '.' || c == '_' || c == '/';
}

/* True if the names are equal, without distinction of dots, underscores and slashes. */
static bool same_name(const char *group, const char *layer) {
    for (; *group != '\0' && (*group == *layer || (is_joint(*group) && is_joint(*layer))); group++)
        layer++;
    return *group == '\0' && *layer == '\0';
}

static bool same_end(const char *group, const char *layer) {
    for (const char *dot = strchr(group, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
        if (same_name(dot + 1, layer))
            return true;
    return false;
}

/* If `word` is at the start of *text, moves *text behind it and returns true. */
static bool skip_word(const char **text, const char *word) {
    const size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0)
        return false;
    *text += length;
    return true;
}

/* True if the names say that module `second` normalises what `first` computes: "a.bn2" after
 * "a.conv2", or "a.1" after "a.0". */
static bool are_partners(const char *first, const char *second) {
    static const char *const norms[] = {"bn", "norm", "batchnorm", "batch_norm"};
    const char *dot = strrchr(first, '.');
    const size_t length = dot != NULL ? (size_t)(dot - first) + 1 : 0;
    if (strncmp(first, second, length) != 0)
        return false;
    first += length;
    second += length;
    if (isdigit((unsigned char)first[0]) && isdigit((unsigned char)second[0])) {
        char *first_end, *second_end;
        const unsigned long number = strtoul(first, &first_end, 10);
        return strtoul(second, &second_end, 10) == number + 1 && *first_end == '\0' &&
               *second_end == '\0';
    }
    if (!skip_word(&first, "conv"))
        return false;
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
        const char *rest = second;
        if (skip_word(&rest, norms[i]) && strcmp(first, rest) == 0)
            return true;
    }
    return false;
}

/* The order of two modules by the first number in which their names differ: "conv2" comes before
 * "conv10". 0: they differ in something else. */
static int number_order(const char *first, const char *second) {
    size_t i = 0;
    while (first[i] != '\0' && first[i] == second[i])
        i++;
    while (i > 0 && isdigit((unsigned char)first[i - 1]))
        i--;
    if (!isdigit((unsigned char)first[i]) || !isdigit((unsigned char)second[i]))
        return 0;
    const unsigned long a = strtoul(first + i, NULL, 10), b = strtoul(second + i, NULL, 10);
    return a < b ? -1 : a > b;
}

/* ---- Finding a layer's module ---- */

/* The group right behind `group` in the file; NULL: it is the last one. */
static const char *group_behind(const struct import_source *source, const char *group) {
    for (size_t i = 0; i + 1 < source->tensor_count; i++)
        if (strcmp(source->tensors[i].group, group) == 0 &&
            strcmp(source->tensors[i + 1].group, group) != 0)
            return source->tensors[i + 1].group;
    return NULL;
}

/* The module of the layer that this one reads; NULL: none. */
static const char *group_before(const struct modules *m, const struct place *place) {
    const struct cn_layer *layer = &m->matcher->network->layers[place->layer];
    const size_t inputs = m->matcher->network->input_count;
    for (size_t p = 0; layer->input_count == 1 && p < m->count; p++)
        if (m->places[p].layer + inputs == layer->inputs[0].value)
            return m->places[p].group;
    return NULL;
}

static bool has_evidence(const struct modules *m, const struct place *place, const char *before,
                         const char *behind, const char *group) {
    const char *path = m->matcher->paths[place->layer], *leaf = import_match_leaf(path);
    switch (place->evidence) {
    case BY_WHOLE_NAME:
        return same_name(group, path) || same_name(group, leaf);
    case BY_NAME_END:
        return same_end(group, leaf);
    case BY_PARTNER_NAME:
        return before != NULL && are_partners(before, group);
    case BY_FOLLOWING:
        return behind != NULL && strcmp(behind, group) == 0;
    default:
        return true;
    }
}

/* Gives the place the first free module that fits it and for which there is the evidence; none if
 * several names end alike. */
static enum cn_status place_fill(const struct modules *m, struct place *place,
                                 enum evidence evidence) {
    const struct import_source *source = m->matcher->source;
    const struct cn_layer *layer = &m->matcher->network->layers[place->layer];
    const char *before = group_before(m, place);
    const char *behind = before != NULL ? group_behind(source, before) : NULL;
    struct import_tensor *chosen[CN_LAYER_MAX_TENSORS], *other[CN_LAYER_MAX_TENSORS];
    size_t found = SIZE_MAX;
    enum cn_status status = CN_OK;
    place->evidence = evidence;
    for (size_t i = 0; i < source->tensor_count; i++) {
        const struct import_tensor *tensor = &source->tensors[i];
        if (tensor->used || import_match_counter(tensor) ||
            (found != SIZE_MAX && strcmp(source->tensors[found].group, tensor->group) == 0) ||
            !has_evidence(m, place, before, behind, tensor->group) ||
            !group_fits(m->matcher, layer, i, found == SIZE_MAX ? chosen : other))
            continue;
        if (found != SIZE_MAX)
            return CN_OK;
        found = i;
        if (evidence != BY_NAME_END)
            break;
    }
    if (found == SIZE_MAX)
        return CN_OK;
    place->group = source->tensors[found].group;
    place->position = found;
    for (size_t k = 0; k < layer->tensor_count && status == CN_OK; k++)
        status = import_match_give(m->matcher, layer, k, chosen[k]);
    return status;
}

/* Matches by names first, for all layers; then by modules that are already matched; then by the
 * order in the file. */
static enum cn_status places_fill(const struct modules *m) {
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < m->matcher->source->tensor_count; i++)
        m->matcher->source->tensors[i].used = false;
    for (size_t p = 0; p < m->count; p++)
        m->places[p].group = NULL;
    for (int e = BY_WHOLE_NAME; e < BY_PARTNER_NAME; e++)
        for (size_t p = 0; p < m->count && status == CN_OK; p++)
            if (m->places[p].group == NULL)
                status = place_fill(m, &m->places[p], (enum evidence)e);
    for (size_t p = 0; p < m->count && status == CN_OK; p++) {
        struct place *place = &m->places[p];
        for (int e = BY_PARTNER_NAME; e < EVIDENCES && status == CN_OK && place->group == NULL; e++)
            status = place_fill(m, place, (enum evidence)e);
        if (status == CN_OK && place->group == NULL)
            status = cn_fail(
                m->matcher->error, CN_INVALID,
                "layer \"%s\" (%s): no module that is left in the file has its weights' shapes",
                m->matcher->paths[place->layer],
                cn_layer_type_name(m->matcher->network->layers[place->layer].type));
    }
    return status;
}

/* ---- How certain the result is ---- */

/* True if the shapes are equal without axes of length 1, in which PyTorch's differ. */
static bool same_shape(const struct cn_tensor_spec *a, const struct cn_tensor_spec *b) {
    int i = 0, k = 0;
    while (i < a->rank || k < b->rank) {
        if (i < a->rank && a->dims[i] == 1)
            i++;
        else if (k < b->rank && b->dims[k] == 1)
            k++;
        else if (i == a->rank || k == b->rank || a->dims[i++] != b->dims[k++])
            return false;
    }
    return true;
}

static bool same_kind(const struct cn_layer *a, const struct cn_layer *b) {
    bool same = a->tensor_count == b->tensor_count;
    for (size_t t = 0; same && t < a->tensor_count; t++)
        same = same_shape(&a->tensors[t], &b->tensors[t]);
    return same;
}

static void kinds_find(const struct modules *m) {
    const struct cn_layer *layers = m->matcher->network->layers;
    for (size_t p = 0; p < m->count; p++) {
        size_t kind = 0;
        while (!same_kind(&layers[m->places[p].layer], &layers[m->places[kind].layer]))
            kind++;
        m->places[p].kind = kind;
    }
}

/* Compares the file's order with the network's, by the places that shapes tell apart. */
static void order_measure(struct modules *m) {
    m->agreeing = m->contrary = 0;
    for (size_t p = 0; p < m->count; p++)
        for (size_t q = p + 1; q < m->count; q++)
            if (m->places[p].kind != m->places[q].kind) {
                m->agreeing += m->places[p].position < m->places[q].position;
                m->contrary += m->places[p].position > m->places[q].position;
            }
}

static bool are_alike(const struct place *p, const struct place *q) {
    return p->kind == q->kind && p->evidence > BY_PARTNER_NAME && q->evidence > BY_PARTNER_NAME;
}

/* Refuses the result, or notes a doubt, if two modules are alike and their order is no evidence. */
static enum cn_status order_check(const struct modules *m) {
    bool doubtful = false;
    for (size_t i = 0; i < m->count; i++)
        for (size_t k = i + 1; k < m->count; k++) {
            const struct place *p = &m->places[i], *q = &m->places[k];
            if (!are_alike(p, q))
                continue;
            char first[CN_JSON_TEXT], second[CN_JSON_TEXT];
            char *const *paths = m->matcher->paths;
            const int order = number_order(p->group, q->group);
            (void)cn_text_show(p->group, first);
            (void)cn_text_show(q->group, second);
            if (m->numbered ? order >= 0 : order > 0 && (m->contrary > 0 || m->agreeing == 0))
                return cn_fail(m->matcher->error, CN_INVALID,
                               "the modules \"%s\" and \"%s\" have weights of the same shapes, and "
                               "their order in the file does not tell which are those of layer "
                               "\"%s\" and which of \"%s\"; give the layers of the architecture "
                               "the modules' names, with \"_\" for dots",
                               first, second, paths[p->layer], paths[q->layer]);
            if (!m->numbered && order == 0 && m->contrary > 0 && !doubtful) {
                doubtful = true;
                import_note(m->matcher->report->notes,
                            "warning: %s and %s have weights of the same shapes, and only their "
                            "order says which are those of %s and which of %s, while other modules "
                            "are not in the architecture's order; compare the numbers, or give the "
                            "layers the modules' names, with \"_\" for dots",
                            first, second, paths[p->layer], paths[q->layer]);
            }
        }
    return CN_OK;
}

/* ---- Files that are sorted by name ---- */

static int tensor_compare(const void *a, const void *b) {
    const struct import_tensor *first = a, *second = b;
    const int groups = strverscmp(first->group, second->group);
    return groups != 0 ? groups : strcmp(first->name, second->name);
}

static void sort_by_name(struct modules *m) {
    qsort(m->matcher->source->tensors, m->matcher->source->tensor_count,
          sizeof *m->matcher->source->tensors, tensor_compare);
    m->numbered = true;
}

/* True if the tensors are in the order of their names, as the safetensors library writes them, and
 * not in the modules', where a bias comes after its weight. */
static bool is_sorted(const struct import_source *source) {
    const struct import_tensor *before = NULL;
    bool bias_first = false;
    for (size_t i = 0; i < source->tensor_count; i++) {
        const struct import_tensor *tensor = &source->tensors[i];
        if (import_match_counter(tensor)) /* it lies elsewhere, by its type */
            continue;
        const int groups = before != NULL ? strcmp(before->group, tensor->group) : -1;
        if (groups > 0 || (groups == 0 && strcmp(before->name, tensor->name) > 0))
            return false;
        bias_first = bias_first || (groups == 0 && strcmp(before->name, "bias") == 0);
        before = tensor;
    }
    return bias_first;
}

static enum cn_status modules_match(struct modules *m) {
    enum cn_status status = CN_OK;
    kinds_find(m);
    if (is_sorted(m->matcher->source))
        sort_by_name(m);
    status = places_fill(m);
    if (status == CN_OK)
        order_measure(m);
    if (status == CN_OK && !m->numbered && m->contrary > m->agreeing) {
        sort_by_name(m);
        status = places_fill(m);
    }
    if (status == CN_OK)
        status = order_check(m);
    for (size_t p = 0; p < m->count && status == CN_OK; p++)
        import_note(m->matcher->report->notes, "%s takes the weights of %s",
                    m->matcher->paths[m->places[p].layer],
                    m->places[p].group[0] != '\0' ? m->places[p].group : "the outermost module");
    return status;
}

enum cn_status import_match_modules(const struct import_matcher *matcher) {
    const struct cn_network *network = matcher->network;
    struct modules modules = {.matcher = matcher};
    modules.places = calloc(network->layer_count + 1, sizeof *modules.places);
    if (modules.places == NULL)
        return cn_fail(matcher->error, CN_MEMORY, "no memory for the modules");
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].tensor_count > 0)
            modules.places[modules.count++].layer = l;
    const enum cn_status status = modules_match(&modules);
    free(modules.places);
    return status;
}
