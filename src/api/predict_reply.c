/* predict_reply.c: probabilities as JSON, CSV or NDJSON. Pure. */
#include <string.h>

#include "api/predict.h"

enum predict_format predict_format_of(const char *accept) {
    if (accept == NULL)
        return PREDICT_JSON;
    if (strcasestr(accept, "text/csv") != NULL)
        return PREDICT_CSV;
    return strcasestr(accept, "application/x-ndjson") != NULL ? PREDICT_NDJSON : PREDICT_JSON;
}

void predict_add_json(struct cn_text *text, const struct prediction *prediction, size_t index) {
    const struct cn_model *model = prediction->model->model;
    const float *p = prediction->outputs + index * model->label_count;
    float confidence;
    const size_t count = model->label_count, best = cn_plan_answer(p, count, &confidence);
    cn_text_add(text, "{\"class\":");
    cn_text_add_size(text, best);
    cn_text_add(text, ",\"label\":\"");
    cn_text_add_json(text, model->labels[best]);
    cn_text_add(text, "\",\"confidence\":");
    cn_text_add_float(text, confidence);
    cn_text_add(text, ",\"probabilities\":[");
    for (size_t i = 0; i < count; i++) {
        cn_text_add(text, i > 0 ? "," : "");
        cn_text_add_float(text, p[i]);
    }
    cn_text_add(text, "]");
    picture_render(text, &prediction->options, &prediction->reports[index], model,
                   prediction->images + index * prediction->image_size);
    cn_text_add(text, "}");
}

static void add_csv_head(struct cn_text *text, const struct cn_model *model) {
    cn_text_add(text, "class,label,confidence");
    for (size_t i = 0; i < model->label_count; i++) {
        cn_text_add(text, ",p_");
        cn_text_add_csv(text, model->labels[i]);
    }
    cn_text_add(text, "\r\n");
}

static void add_csv(struct cn_text *text, const struct cn_model *model, const float *p) {
    float confidence;
    const size_t best = cn_plan_answer(p, model->label_count, &confidence);
    cn_text_add_size(text, best);
    cn_text_add(text, ",");
    cn_text_add_csv(text, model->labels[best]);
    cn_text_add(text, ",");
    cn_text_add_float(text, confidence);
    for (size_t i = 0; i < model->label_count; i++) {
        cn_text_add(text, ",");
        cn_text_add_float(text, p[i]);
    }
    cn_text_add(text, "\r\n");
}

const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct cn_text *text) {
    static const char *const types[] = {[PREDICT_JSON] = "application/json",
                                        [PREDICT_CSV] = "text/csv; header=present",
                                        [PREDICT_NDJSON] = "application/x-ndjson"};
    const struct cn_model *model = prediction->model->model;
    if (format == PREDICT_CSV)
        add_csv_head(text, model);
    if (format == PREDICT_JSON) {
        cn_text_add(text, "{\"model\":\"");
        cn_text_add_json(text, prediction->model->name);
        cn_text_add(text, "\",\"predictions\":[");
    }
    for (size_t i = 0; i < prediction->count; i++) {
        if (format == PREDICT_CSV) {
            add_csv(text, model, prediction->outputs + i * model->label_count);
            continue;
        }
        if (format == PREDICT_JSON && i > 0)
            cn_text_add(text, ",");
        predict_add_json(text, prediction, i);
        if (format == PREDICT_NDJSON)
            cn_text_add(text, "\n");
    }
    if (format == PREDICT_JSON)
        cn_text_add(text, "]}\n");
    return types[format];
}
