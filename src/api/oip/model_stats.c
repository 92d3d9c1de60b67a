/* model_stats.c: the protocol's statistics extension: the counts of /metrics under Triton's names,
 * per model and version. Runs on the exchange's HTTP thread. */
#include <string.h>

#include "api/models.h"
#include "api/routes.h"
#include "http/exchange.h"
#include "json/write.h"

/* "queue":{"count":1,"ns":2} */
static void add_pair(struct cn_text *text, const char *key, uint64_t count, double seconds) {
    cn_json_open(text, key, '{');
    cn_json_add_size(text, "count", count);
    cn_json_add_size(text, "ns", (size_t)(seconds * 1e9));
    cn_json_close(text, '}');
}

static void add_stage(struct cn_text *text, const char *name, const struct statistics_model *model,
                      enum statistics_histogram stage) {
    const struct statistics_total total = statistics_total(model, stage);
    add_pair(text, name, total.count, total.sum);
}

/* There is no cache, and the time of failures is not counted apart: it is in "success". */
static void add_model(struct cn_text *text, const struct registry_row *row) {
    const struct statistics_model *model = row->statistics;
    const struct statistics_total request = statistics_total(model, STATISTICS_REQUEST_SECONDS);
    const struct statistics_total images = statistics_total(model, STATISTICS_REQUEST_IMAGES);
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", row->name);
    cn_json_add_size_string(text, "version", row->version);
    cn_json_add_size(text, "last_inference", statistics_model_last_answer(model));
    cn_json_add_size(text, "inference_count", (size_t)images.sum);
    cn_json_add_size(text, "execution_count",
                     statistics_total(model, STATISTICS_BATCH_IMAGES).count);
    cn_json_open(text, "inference_stats", '{');
    add_pair(text, "success", statistics_model_count(model, STATISTICS_MODEL_OK), request.sum);
    add_pair(text, "fail", statistics_model_count(model, STATISTICS_MODEL_FAILED), 0);
    add_stage(text, "queue", model, STATISTICS_QUEUE_SECONDS);
    add_stage(text, "compute_input", model, STATISTICS_DECODE_SECONDS);
    add_stage(text, "compute_infer", model, STATISTICS_COMPUTE_SECONDS);
    add_stage(text, "compute_output", model, STATISTICS_ENCODE_SECONDS);
    add_pair(text, "cache_hit", 0, 0);
    add_pair(text, "cache_miss", 0, 0);
    cn_json_close(text, '}');
    cn_json_open(text, "batch_stats", '[');
    cn_text_add(text, "]}");
}

/* Answers for all names if `name` is NULL, and for all versions if `version` is 0. */
static enum http_outcome stats_answer(struct http_exchange *exchange, const char *name,
                                      unsigned version) {
    struct cn_text text = {0};
    size_t count = 0;
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    text.failed = rows == NULL && count > 0;
    cn_json_open(&text, NULL, '{');
    cn_json_open(&text, "model_stats", '[');
    for (size_t i = 0; rows != NULL && i < count; i++) {
        if ((name != NULL && strcmp(rows[i].name, name) != 0) ||
            (version != 0 && rows[i].version != version))
            continue;
        add_model(&text, &rows[i]);
    }
    cn_text_add(&text, "]}\n");
    registry_list_free(rows, count);
    return http_reply_text(exchange, 200, "application/json", &text);
}

enum http_outcome api_v2_stats(struct http_exchange *exchange) {
    const char *name = exchange->arguments.values[0], *version = exchange->arguments.values[1];
    if (name == NULL)
        return stats_answer(exchange, NULL, 0);
    struct served_model *model = api_find_model(exchange, name, version);
    if (model == NULL)
        return HTTP_REPLIED;
    const unsigned number = version != NULL ? model->version : 0;
    served_model_release(model);
    return stats_answer(exchange, name, number);
}
