/* read_request.c: POST /read: finds the rows of digits in one picture. The preparer decodes and
 * reads the picture, since both may take milliseconds; the exchange's HTTP thread reads the query
 * and writes the answer. */
#include <stdlib.h>
#include <string.h>

#include "api/media_type.h"
#include "api/predict.h"
#include "api/routes.h"
#include "reading/reading_json.h"

/* The parts that are classified: 64, and one per 4 bytes of the body as it was sent. A dense page
 * of touching digits, black on white as PNG, has 1 per 8 bytes. */
enum { FREE_PARTS = 64, BYTES_PER_PART = 4 };

enum read_format { READ_JSON = 0, READ_TEXT, READ_CSV, READ_NDJSON };

/* The options of the request, and the result. */
struct read_request {
    const struct http_exchange *exchange;
    struct cn_reading_options options;
    enum read_format format;
    struct cn_workspace *workspace;
    struct cn_reading *reading;
};

static void read_request_free(void *data) {
    struct read_request *request = data;
    if (request == NULL)
        return;
    cn_reading_free(request->reading);
    cn_workspace_free(request->workspace);
    free(request);
}

/* ---- The query ---- */

static enum cn_status read_count(const struct http_exchange *exchange, const char *name,
                                 int *ret_count, struct cn_error *error) {
    const char *text = http_query(exchange, name);
    const size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    if (text == NULL)
        return CN_OK;
    *ret_count = digits > 0 && digits < 5 && text[digits] == '\0' ? atoi(text) : 0;
    return *ret_count > 0
               ? CN_OK
               : cn_fail(error, CN_INVALID, "%s is \"%.32s\"; it must be a number from 1 to 256",
                         name, text);
}

static enum cn_status read_flag(const struct http_exchange *exchange, const char *name,
                                bool *ret_flag, struct cn_error *error) {
    const char *text = http_query(exchange, name);
    *ret_flag = text != NULL && strcmp(text, "1") == 0;
    if (text == NULL || *ret_flag || strcmp(text, "0") == 0)
        return CN_OK;
    return cn_fail(error, CN_INVALID, "%s is \"%.32s\"; it must be 0 or 1", name, text);
}

static void read_accept(struct read_request *request) {
    static const struct {
        const char *type;
        enum read_format format;
    } formats[] = {
        {"text/plain", READ_TEXT}, {"text/csv", READ_CSV}, {"application/x-ndjson", READ_NDJSON}};
    const char *accept = http_header(request->exchange, "Accept");
    int best = http_accept_quality(accept, "application/json");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const int quality = http_accept_quality(accept, formats[i].type);
        if (quality > best) {
            best = quality;
            request->format = formats[i].format;
        }
    }
}

static enum cn_status read_options(struct read_request *request, struct cn_error *error) {
    struct cn_reading_options *options = &request->options;
    const char *pattern = http_query(request->exchange, "pattern");
    read_accept(request);
    enum cn_status status = read_count(request->exchange, "length", &options->length, error);
    if (status == CN_OK)
        status = read_count(request->exchange, "lines", &options->lines, error);
    if (status == CN_OK)
        status = read_flag(request->exchange, "separators", &options->separators, error);
    if (status != CN_OK)
        return status;
    if (pattern != NULL && (pattern[0] == '\0' || strlen(pattern) >= sizeof options->pattern))
        return cn_fail(error, CN_INVALID, "pattern has %zu characters; it must have 1 to %zu",
                       strlen(pattern), sizeof options->pattern - 1);
    if (pattern != NULL)
        memcpy(options->pattern, pattern, strlen(pattern) + 1);
    return cn_reading_options_check(options, error);
}

/* ---- On one of the preparer's threads ---- */

static void read_work(struct prediction *prediction) {
    struct read_request *request = prediction->protocol_state;
    struct cn_picture picture = {0};
    struct cn_error *error = &prediction->failure;
    enum cn_status status =
        cn_picture_decode(request->exchange->body, request->exchange->body_length,
                          &prediction->picture_limits, &picture, error);
    request->options.most_parts = FREE_PARTS + prediction->sent / BYTES_PER_PART;
    request->options.stop = prediction->picture_limits.stop;
    request->options.context = prediction->picture_limits.context;
    if (status == CN_OK)
        status = cn_read(prediction->model->model, prediction->model->plan, request->workspace,
                         &picture, &request->options, &request->reading, error);
    cn_picture_clear(&picture);
}

/* ---- The answer ---- */

static void add_json(struct cn_text *text, const struct prediction *prediction,
                     const struct cn_reading *reading) {
    const struct served_model *model = prediction->model;
    struct cn_text all = {0};
    for (size_t i = 0; i < reading->count; i++) {
        cn_text_add(&all, i > 0 ? "\n" : "");
        cn_text_add(&all, reading->lines[i].text);
    }
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "model", model->name);
    cn_json_add_string(text, "text", cn_text_string(&all));
    text->failed |= all.failed;
    free(all.bytes);
    cn_reading_add_lines(text, model->model, prediction->level, reading);
    cn_json_open(text, "preprocessing", '{');
    cn_json_add_bool(text, "inverted", reading->inverted);
    cn_text_add(text, "}}");
}

static void add_row(struct cn_text *text, const struct cn_reading_line *line) {
    cn_text_add_csv(text, line->text);
    cn_text_add(text, ",");
    cn_text_add_float(text, line->confidence);
    for (int i = 0; i < 4; i++) {
        cn_text_add(text, ",");
        cn_text_add_size(text, (size_t)line->box[i]);
    }
    cn_text_add(text, "\r\n");
}

static const char *read_render(struct http_exchange *exchange, struct cn_text *text) {
    static const char *const types[] = {[READ_JSON] = "application/json",
                                        [READ_TEXT] = "text/plain; charset=utf-8",
                                        [READ_CSV] = "text/csv; header=present",
                                        [READ_NDJSON] = "application/x-ndjson"};
    const struct prediction *prediction = exchange->state;
    const struct read_request *request = prediction->protocol_state;
    const struct cn_reading *reading = request->reading;
    if (reading == NULL)
        return NULL;
    if (request->format == READ_JSON)
        add_json(text, prediction, reading);
    if (request->format == READ_CSV)
        cn_text_add(text, "text,confidence,x,y,width,height\r\n");
    for (size_t i = 0; i < reading->count; i++) {
        const struct cn_reading_line *line = &reading->lines[i];
        if (request->format == READ_CSV)
            add_row(text, line);
        if (request->format == READ_NDJSON)
            cn_reading_add_line(text, prediction->model->model, prediction->level, line);
        if (request->format == READ_TEXT)
            cn_text_add(text, line->text);
        if (request->format == READ_TEXT || request->format == READ_NDJSON)
            cn_text_add(text, "\n");
    }
    (void)cn_text_room(text,
                       1); /* a picture without ink gives an empty text, which is not a failure */
    return types[request->format];
}

/* The media type tells the form, or else the bytes do. */
static enum cn_status read_body(struct http_exchange *exchange, struct cn_error *error) {
    const char *type = http_header(exchange, "Content-Type");
    if (exchange->body_length == 0)
        return cn_fail(error, CN_INVALID, "the body is empty; send a picture");
    if (cn_picture_recognize(exchange->body, exchange->body_length))
        return CN_OK;
    return cn_fail(
        error, CN_UNSUPPORTED,
        "the body of %zu bytes, Content-Type \"%.80s\", is not a picture; /read accepts one "
        "picture as it is",
        exchange->body_length, type != NULL ? type : "");
}

static enum cn_status read_prepare(struct http_exchange *exchange, struct prediction *prediction,
                                   struct cn_error *error) {
    struct read_request *request = calloc(1, sizeof *request);
    prediction->protocol_state = request;
    prediction->protocol_state_free = read_request_free;
    if (request == NULL || prediction_add(prediction, error) == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the request");
    request->exchange = exchange;
    if (!cn_reading_possible(prediction->model->model))
        return cn_fail(
            error, CN_UNSUPPORTED,
            "the model %s cannot read rows: its preprocessing is not that of digits (fit mnist)",
            prediction->model->name);
    enum cn_status status = read_options(request, error);
    if (status == CN_OK)
        status = prediction_read_error(exchange, error);
    if (status == CN_OK)
        status = cn_workspace_create(prediction->model->plan, &request->workspace, error);
    return status;
}

enum http_outcome api_read(struct http_exchange *exchange) {
    struct cn_error error = {0};
    if (!prediction_begin_pictures(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    prediction->max_images = 1;
    prediction->work = read_work;
    return read_prepare(exchange, prediction, &error) == CN_OK
               ? prediction_run(exchange, read_body, read_render)
               : http_reply_failure(exchange, &error);
}
