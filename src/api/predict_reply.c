/* predict_reply.c: writes the network's outputs as JSON, CSV, NDJSON or, for a map, PNG. Pure. */
#include <string.h>

#include "api/media_type.h"
#include "api/predict.h"
#include "model/outputs.h"

enum predict_format predict_format_of(const char *accept) {
    if (accept == NULL)
        return PREDICT_JSON;
    if (strcasestr(accept, "text/csv") != NULL)
        return PREDICT_CSV;
    if (strcasestr(accept, "application/x-ndjson") != NULL)
        return PREDICT_NDJSON;
    return http_accept_quality(accept, "image/png") >
                   http_accept_quality(accept, "application/json")
               ? PREDICT_PNG
               : PREDICT_JSON;
}

/* Raw images and numbers have no report. */
static int others_of(const struct picture_report *report) {
    return report->is_picture ? report->done.others : 0;
}

void predict_add_json(struct cn_text *text, const struct prediction *prediction, size_t index) {
    const struct cn_model *model = prediction->model->model;
    const float *p = prediction_outputs(prediction, index);
    const struct prediction_item *item = &prediction->items[index];
    if (prediction->many)
        cn_json_add_size(text, "index", index);
    if (item->name != NULL)
        cn_json_add_string(text, "file", item->name);
    if (item->failure != NULL) {
        cn_json_add_string(text, "error", item->failure);
        return;
    }
    const int others = others_of(&prediction->reports[index]);
    cn_outputs_add_json(text, model, p, others);
    if (prediction->level != NULL)
        cn_outputs_add_set_json(text, model, prediction->level, p);
    if (others > 0) {
        cn_json_add_size(text, "others", (size_t)others);
        cn_json_add_string(text, "see", "/read");
    }
    picture_render(text, &prediction->options, &prediction->reports[index], model,
                   prediction->images + index * prediction->image_size);
}

/* The columns are the same for every form of a request. */
static void add_csv_row(struct cn_text *text, const struct prediction *prediction, size_t index) {
    const struct cn_model *model = prediction->model->model;
    const struct prediction_item *item = &prediction->items[index];
    cn_text_add(text, "\r\n");
    cn_text_add_size(text, index);
    cn_text_add(text, ",");
    cn_text_add_csv(text, item->name != NULL ? item->name : "");
    cn_text_add(text, ",");
    if (item->failure == NULL)
        cn_outputs_add_csv(text, model, prediction_outputs(prediction, index),
                           others_of(&prediction->reports[index]));
    else
        cn_outputs_add_csv_empty(text, model);
    if (prediction->level != NULL && item->failure == NULL)
        cn_outputs_add_set_csv(text, model, prediction->level,
                               prediction_outputs(prediction, index));
    else if (prediction->level != NULL)
        cn_text_add(text, CN_OUTPUTS_SET_CSV_EMPTY);
    cn_text_add(text, ",");
    cn_text_add_csv(text, item->failure != NULL ? item->failure : "");
}

const char *predict_render(const struct prediction *prediction, enum predict_format format,
                           struct cn_text *text) {
    static const char *const types[] = {[PREDICT_JSON] = "application/json",
                                        [PREDICT_CSV] = "text/csv; header=present",
                                        [PREDICT_NDJSON] = "application/x-ndjson",
                                        [PREDICT_PNG] = "image/png"};
    const struct cn_model *model = prediction->model->model;
    if (format == PREDICT_PNG && prediction->count == 1 && cn_outputs_is_picture(model)) {
        cn_outputs_add_png(text, model, prediction->outputs);
        return types[format];
    }
    if (format == PREDICT_PNG) /* only a single map can be a PNG, not classes and not two maps */
        format = PREDICT_JSON;
    if (format == PREDICT_CSV) {
        cn_text_add(text, "index,file,");
        cn_outputs_add_csv_head(text, model);
        cn_text_add(text, prediction->level != NULL ? CN_OUTPUTS_SET_CSV_HEAD : "");
        cn_text_add(text, ",error");
    }
    if (format == PREDICT_JSON) {
        cn_json_open(text, NULL, '{');
        cn_json_add_string(text, "model", prediction->model->name);
        cn_json_open(text, "predictions", '[');
    }
    for (size_t i = 0; i < prediction->count; i++) {
        if (format == PREDICT_CSV) {
            add_csv_row(text, prediction, i);
            continue;
        }
        cn_json_open(text, NULL, '{');
        predict_add_json(text, prediction, i);
        cn_json_close(text, '}');
        if (format == PREDICT_NDJSON)
            cn_text_add(text, "\n");
    }
    if (format == PREDICT_JSON)
        cn_text_add(text, "]}\n");
    if (format == PREDICT_CSV)
        cn_text_add(text, "\r\n");
    return types[format];
}
