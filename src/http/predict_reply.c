/* predict_reply.c: probabilities as JSON, CSV or NDJSON. Pure. */
#include <string.h>

#include "http/predict.h"

enum predict_format predict_format_of(const char *accept) {
    if (accept == NULL)
        return PREDICT_JSON;
    if (strcasestr(accept, "text/csv") != NULL)
        return PREDICT_CSV;
    return strcasestr(accept, "application/x-ndjson") != NULL ? PREDICT_NDJSON : PREDICT_JSON;
}

void predict_add_json(struct http_text *text, const struct prediction *prediction, size_t index) {
    const struct cn_model *model = prediction->model->model;
    const float *p = prediction->outputs + index * model->label_count;
    float confidence;
    const size_t count = model->label_count, best = cn_plan_answer(p, count, &confidence);
    http_text_add(text, "{\"class\":");
    http_text_add_size(text, best);
    http_text_add(text, ",\"label\":\"");
    http_text_add_json(text, model->labels[best]);
    http_text_add(text, "\",\"confidence\":");
    http_text_add_float(text, confidence);
    http_text_add(text, ",\"probabilities\":[");
    for (size_t i = 0; i < count; i++) {
        http_text_add(text, i > 0 ? "," : "");
        http_text_add_float(text, p[i]);
    }
    http_text_add(text, "]");
    picture_render(text, &prediction->options, &prediction->reports[index],
                   prediction->images + index * prediction->image_size,
                   &model->network->input_shape);
    http_text_add(text, "}");
}

/* RFC 4180: quoted when it must be, quotes doubled. */
static void add_csv_field(struct http_text *text, const char *field) {
    char one[2] = {0};
    if (strpbrk(field, "\",\r\n") == NULL) {
        http_text_add(text, field);
        return;
    }
    http_text_add(text, "\"");
    for (; *field != '\0'; field++) {
        one[0] = *field;
        http_text_add(text, *field == '"' ? "\"\"" : one);
    }
    http_text_add(text, "\"");
}

static void add_csv_head(struct http_text *text, const struct cn_model *model) {
    http_text_add(text, "class,label,confidence");
    for (size_t i = 0; i < model->label_count; i++) {
        http_text_add(text, ",p_");
        add_csv_field(text, model->labels[i]);
    }
    http_text_add(text, "\r\n");
}

static void add_csv(struct http_text *text, const struct cn_model *model, const float *p) {
    float confidence;
    const size_t best = cn_plan_answer(p, model->label_count, &confidence);
    http_text_add_size(text, best);
    http_text_add(text, ",");
    add_csv_field(text, model->labels[best]);
    http_text_add(text, ",");
    http_text_add_float(text, confidence);
    for (size_t i = 0; i < model->label_count; i++) {
        http_text_add(text, ",");
        http_text_add_float(text, p[i]);
    }
    http_text_add(text, "\r\n");
}

const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct http_text *text) {
    static const char *const types[] = {[PREDICT_JSON] = "application/json",
                                        [PREDICT_CSV] = "text/csv; header=present",
                                        [PREDICT_NDJSON] = "application/x-ndjson"};
    const struct cn_model *model = prediction->model->model;
    if (format == PREDICT_CSV)
        add_csv_head(text, model);
    if (format == PREDICT_JSON) {
        http_text_add(text, "{\"model\":\"");
        http_text_add_json(text, prediction->model->name);
        http_text_add(text, "\",\"predictions\":[");
    }
    for (size_t i = 0; i < prediction->count; i++) {
        if (format == PREDICT_CSV) {
            add_csv(text, model, prediction->outputs + i * model->label_count);
            continue;
        }
        if (format == PREDICT_JSON && i > 0)
            http_text_add(text, ",");
        predict_add_json(text, prediction, i);
        if (format == PREDICT_NDJSON)
            http_text_add(text, "\n");
    }
    if (format == PREDICT_JSON)
        http_text_add(text, "]}\n");
    return types[format];
}
