/* compute.c: how a prediction is computed: where its body and pictures are read (at once or by the
 * preparer), in which lane its images are computed, how it waits, and its answer. It knows no
 * protocol: it reads and writes through the prediction's `read` and `render`. Runs on the
 * exchange's HTTP thread, except for what the preparer and the batch lane call while the exchange
 * is deferred. */
#include <stdlib.h>
#include <string.h>

#include "api/models.h"
#include "api/predict.h"
#include "base/memory.h"
#include "base/time.h"

enum {
    /* The HTTP thread itself reads a body or pictures up to this size; that takes a few
       milliseconds. */
    SMALL_BODY = 512 * 1024,
    SMALL_PIXELS = 256 * 256,
    BYTES_PER_PIXEL = 1, /* of memory, about, while a picture is decoded and reduced */
    FREE_IMAGES = 16,
    NUMBERS_PER_BYTE = 64, /* of the network's input, for each byte of a compressed body */
    PICTURE_BYTES = 256    /* even a tiny picture has so many */
};

void prediction_clear(struct prediction *prediction) {
    for (size_t i = 0; i < prediction->source_count; i++) {
        free(prediction->sources[i].owned);
        free(prediction->sources[i].member);
    }
    for (size_t i = 0; i < prediction->count; i++) {
        free(prediction->items[i].name);
        free(prediction->items[i].failure);
    }
    free(prediction->items);
    free(prediction->sources);
    free(prediction->images);
    free(prediction->outputs);
    free(prediction->reports);
    if (prediction->protocol_state_free != NULL)
        prediction->protocol_state_free(prediction->protocol_state);
}

static void prediction_free(void *data) {
    struct prediction *prediction = data;
    if (prediction == NULL)
        return;
    prediction_clear(prediction);
    served_model_release(prediction->model);
    free(prediction);
}

static double observe_since(const struct http_exchange *exchange,
                            enum statistics_histogram histogram, uint64_t begun) {
    const struct prediction *prediction = exchange->state;
    const double seconds = cn_seconds_since(begun);
    statistics_observe(prediction->model->statistics, histogram, seconds);
    return seconds;
}

/* The error level whose label sets the statistics count: the one that the request asked for, or by
 * default an error of 0.01, or the next smaller one that the model has. */
static const struct cn_error_level *level_to_count(const struct prediction *prediction) {
    const struct cn_error_level *level = prediction->level;
    if (level == NULL)
        (void)cn_model_error_level(prediction->model->model, 0.01, &level, NULL);
    return level;
}

/* A change in the distribution of these shows drift; the server never learns which answers were
 * right. */
static void observe_answers(const struct prediction *prediction) {
    const struct cn_model *model = prediction->model->model;
    struct statistics_model *statistics = prediction->model->statistics;
    const struct cn_error_level *level = level_to_count(prediction);
    size_t rejected = 0, undecided = 0;
    for (size_t i = 0; prediction->work == NULL && i < prediction->count; i++) {
        const float *outputs = prediction_outputs(prediction, i);
        const struct cn_answer answer = cn_model_answer(model, outputs);
        if (!answer.is_probable || prediction->items[i].failure != NULL)
            continue;
        statistics_observe(statistics, STATISTICS_CONFIDENCE, (double)answer.confidence);
        const size_t labels = level != NULL ? cn_model_label_set(model, level, outputs).count : 1;
        rejected += labels == 0;
        undecided += labels > 1;
    }
    statistics_model_add(statistics, STATISTICS_MODEL_REJECTED, rejected);
    statistics_model_add(statistics, STATISTICS_MODEL_UNDECIDED, undecided);
}

/* ---- Answers ---- */

static enum http_outcome answer_result(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    struct cn_text text = {0};
    const uint64_t begun = cn_clock_nanoseconds();
    const char *type = prediction->render(exchange, &text);
    (void)observe_since(exchange, STATISTICS_ENCODE_SECONDS, begun);
    if (type == NULL) {
        free(text.bytes);
        return http_reply_failure(exchange, &prediction->failure);
    }
    statistics_observe(prediction->model->statistics, STATISTICS_REQUEST_IMAGES,
                       (double)prediction->count);
    observe_answers(prediction);
    return http_reply_text(exchange, 200, type, &text);
}

static enum http_outcome answer_late(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_DEADLINE, 1);
    return http_reply_error(exchange, 504,
                            "the request's deadline passed before its %zu images were computed",
                            prediction->count);
}

static enum http_outcome answer_full(struct http_exchange *exchange, size_t images) {
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_QUEUE_FULL, 1);
    return http_reply_error(exchange, 503, "the queue has no room for %zu more images", images);
}

static enum http_outcome answer_closed(struct http_exchange *exchange) {
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_SHUTDOWN, 1);
    return http_reply_error(exchange, 503, "the server is shutting down");
}

static enum http_outcome answer_failure(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    if (prediction->failure.status == CN_MEMORY)
        statistics_add(exchange->context->statistics, STATISTICS_REJECTED_MEMORY, 1);
    return http_reply_failure(exchange, &prediction->failure);
}

static enum http_outcome answer_job(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    exchange->work.queue_seconds = prediction->job.queue_seconds;
    exchange->work.compute_seconds = prediction->job.compute_seconds;
    switch (prediction->job.outcome) {
    case JOB_DONE:
        break;
    case JOB_EXPIRED:
        return answer_late(exchange);
    case JOB_DROPPED:
        return http_reply_error(exchange, 499, "the client has disconnected");
    case JOB_FAILED:
        statistics_add(exchange->context->statistics, STATISTICS_REJECTED_MEMORY, 1);
        return http_reply_error(exchange, 503, "no memory for the model's workspaces");
    case JOB_REFUSED_FULL:
        return answer_full(exchange, prediction->count);
    case JOB_REFUSED_CLOSED:
        return answer_closed(exchange);
    }
    statistics_observe(prediction->model->statistics, STATISTICS_QUEUE_SECONDS,
                       prediction->job.queue_seconds);
    statistics_observe(prediction->model->statistics, STATISTICS_COMPUTE_SECONDS,
                       prediction->job.compute_seconds);
    return answer_result(exchange);
}

/* Answers after a deferral. Runs on the HTTP thread. */
static enum http_outcome compute_finish(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    exchange->work.images = prediction->count;
    if (prediction->failure.status != CN_OK)
        return answer_failure(exchange);
    switch (prediction->preparation.outcome) {
    case PREPARATION_DONE:
        break;
    case PREPARATION_EXPIRED:
        return answer_late(exchange);
    case PREPARATION_DROPPED:
        statistics_add(exchange->context->statistics, STATISTICS_REJECTED_GONE, 1);
        return http_reply_error(exchange, 499, "the client has disconnected");
    case PREPARATION_CANCELED:
    case PREPARATION_REFUSED:
        return answer_closed(exchange);
    }
    return prediction->work != NULL ? answer_result(exchange) : answer_job(exchange);
}

/* ---- The batch lane ---- */

static void job_done(struct job *job) {
    const struct http_exchange *exchange = job->data;
    /* Counted here, since libmicrohttpd may end the exchange of a client that is gone at any time.
     */
    if (job->outcome == JOB_DROPPED)
        statistics_add(exchange->context->statistics, STATISTICS_REJECTED_GONE, 1);
    http_resume(job->data);
}

/* Runs on the compute thread. */
static bool job_abandoned(struct job *job) {
    return !http_peer_waits(job->data);
}

/* Runs on any thread while the exchange is deferred. False: the exchange must be resumed. */
static bool job_submit(struct http_exchange *exchange, void *data) {
    struct prediction *prediction = exchange->state;
    (void)data;
    prediction->job = (struct job){.model = prediction->model,
                                   .images = prediction->images,
                                   .outputs = prediction->outputs,
                                   .count = prediction->count,
                                   .client = http_client_number(exchange),
                                   .deadline = {.at = prediction->deadline},
                                   .abandoned = job_abandoned,
                                   .done = job_done,
                                   .data = exchange};
    switch (lane_submit(exchange->context->lane, &prediction->job)) {
    case LANE_ACCEPTED:
        return true;
    case LANE_FULL:
        prediction->job.outcome = JOB_REFUSED_FULL;
        return false;
    case LANE_CLOSED:
        break;
    }
    prediction->job.outcome = JOB_REFUSED_CLOSED;
    return false;
}

static enum cn_status outputs_allocate(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    const size_t floats = prediction->count * cn_plan_output_row(prediction->model->plan);
    (void)observe_since(exchange, STATISTICS_DECODE_SECONDS, prediction->begun_nanoseconds);
    prediction->outputs =
        http_hold(exchange, floats * sizeof(float)) ? cn_floats_allocate(floats) : NULL;
    return prediction->outputs != NULL
               ? CN_OK
               : cn_fail(error, CN_MEMORY, "no memory for %zu images", prediction->count);
}

/* ---- The preparer: bodies and pictures that are not small ---- */

/* The most images of a compressed body: equal images compress to a few bytes, and each must be
 * computed. MNIST's digits have at most 12 numbers per byte as gzip, those of two colours 36, and
 * 59 where all are ones. */
static size_t coded_images(size_t image_size, size_t sent) {
    const size_t fair = image_size / NUMBERS_PER_BYTE;
    return FREE_IMAGES + sent / (fair < 1 ? 1 : fair < PICTURE_BYTES ? fair : PICTURE_BYTES);
}

static enum cn_status read_body(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    prediction->is_read = true;
    prediction->sent = exchange->body_length;
    prediction->picture_limits.max_pixels =
        picture_allowance(prediction->model->model, prediction->sent);
    const size_t most = coded_images(prediction->image_size, prediction->sent);
    if (exchange->coded && most < prediction->max_images) {
        prediction->coded = true;
        prediction->max_images = most;
    }
    enum cn_status status = http_body_inflate(exchange, error);
    if (status == CN_OK)
        status = prediction->read(exchange, error);
    return status == CN_OK ? prediction_check_only(prediction, error) : status;
}

/* Decodes the next picture. */
static enum cn_status decode_next(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    struct picture_source *source = &prediction->sources[prediction->decoded++];
    const size_t bytes =
        source->member != NULL ? source->member->size : source->pixels * BYTES_PER_PIXEL;
    if (!http_hold(exchange, bytes))
        return cn_fail(error, CN_MEMORY, "no memory for a picture, %zu bytes", bytes);
    const enum cn_status status = prediction_decode(prediction, source, error);
    http_release(exchange, bytes);
    free(source->owned);
    source->owned = NULL;
    return status;
}

/* One step: first the body, then one picture per step, then the work that needs no lane. */
static bool preparation_step(struct preparation *preparation) {
    struct http_exchange *exchange = preparation->data;
    struct prediction *prediction = exchange->state;
    struct cn_error *error = &prediction->failure;
    enum cn_status status = CN_OK;
    if (!prediction->is_read) {
        status = read_body(exchange, error);
    } else if (prediction->decoded < prediction->source_count) {
        status = decode_next(exchange, error);
    } else if (prediction->work != NULL) {
        prediction->work(prediction);
        status = prediction->failure.status;
        prediction->work_ended = true;
    }
    if (status == CN_CANCELED) /* the reason is in what preparer_must_stop found */
        prediction->failure = (struct cn_error){0};
    return status == CN_OK && (prediction->decoded < prediction->source_count ||
                               (prediction->work != NULL && !prediction->work_ended));
}

static bool preparation_abandoned(struct preparation *preparation) {
    return !http_peer_waits(preparation->data);
}

static void preparation_done(struct preparation *preparation) {
    struct http_exchange *exchange = preparation->data;
    struct prediction *prediction = exchange->state;
    const bool succeeded = preparation->outcome == PREPARATION_DONE &&
                           prediction->failure.status == CN_OK && prediction->work == NULL &&
                           outputs_allocate(exchange, &prediction->failure) == CN_OK;
    if (!succeeded || !job_submit(exchange, NULL))
        http_resume(exchange);
}

static bool preparation_submit(struct http_exchange *exchange, void *data) {
    struct prediction *prediction = exchange->state;
    (void)data;
    prediction->preparation = (struct preparation){.client = http_client_number(exchange),
                                                   .deadline = {.at = prediction->deadline},
                                                   .step = preparation_step,
                                                   .abandoned = preparation_abandoned,
                                                   .done = preparation_done,
                                                   .data = exchange};
    if (preparer_submit(exchange->context->preparer, &prediction->preparation))
        return true;
    prediction->preparation.outcome = PREPARATION_REFUSED;
    return false;
}

/* Decoders call this between rows. */
static bool preparation_must_stop(void *data) {
    return preparer_must_stop(data);
}

static enum http_outcome compute_prepared(struct http_exchange *exchange) {
    struct prediction *prediction = exchange->state;
    prediction->picture_limits.stop = preparation_must_stop;
    prediction->picture_limits.context = &prediction->preparation;
    return http_defer(exchange, preparation_submit, compute_finish, NULL);
}

/* ---- The inline lane ---- */

static enum http_outcome compute_inline(struct http_exchange *exchange) {
    struct prediction *prediction = exchange->state;
    struct cn_workspace *workspace = http_worker_workspace(exchange->worker, prediction->model);
    if (workspace == NULL)
        return http_reply_error(exchange, 503, "no memory for the model's workspace");
    const uint64_t begun = cn_clock_nanoseconds();
    if (prediction->deadline != 0 && begun >= prediction->deadline)
        return answer_late(exchange);
    cn_plan_run_rows(prediction->model->plan, &workspace, 1, prediction->images, prediction->count,
                     prediction->outputs);
    exchange->work.compute_seconds = observe_since(exchange, STATISTICS_COMPUTE_SECONDS, begun);
    statistics_observe(prediction->model->statistics, STATISTICS_BATCH_IMAGES,
                       (double)prediction->count);
    return answer_result(exchange);
}

/* ---- For the protocols ---- */

/* Makes a prediction without images the exchange's state. False when the request has been answered
 * with an error. */
static bool prediction_begin(struct http_exchange *exchange) {
    const struct http_context *context = exchange->context;
    uint64_t deadline = 0;
    if (!http_deadline(exchange, &deadline))
        return false;
    struct served_model *model = api_find_path_model(exchange);
    if (model == NULL)
        return false;
    struct prediction *prediction = calloc(1, sizeof *prediction);
    if (prediction == NULL) {
        served_model_release(model);
        (void)http_reply_error(exchange, 503, "no memory for the request");
        return false;
    }
    prediction->exchange = exchange;
    prediction->model = model;
    prediction->deadline = deadline;
    exchange->work.model = model;
    prediction->max_images = context->max_images;
    prediction->max_pixels = context->max_pixels;
    prediction->picture_limits = context->picture_limits;
    prediction->image_size = cn_plan_input_size(model->plan);
    exchange->state = prediction;
    exchange->release = prediction_free;
    prediction->begun_nanoseconds = cn_clock_nanoseconds();
    if (exchange->refused == 0)
        return true;
    (void)answer_full(exchange, exchange->refused);
    return false;
}

void *prediction_begin_protocol(struct http_exchange *exchange, size_t size,
                                void (*state_free)(void *state)) {
    if (!prediction_begin(exchange))
        return NULL;
    struct prediction *prediction = exchange->state;
    prediction->protocol_state = calloc(1, size);
    prediction->protocol_state_free = state_free;
    if (prediction->protocol_state == NULL)
        (void)http_reply_error(exchange, 503, "no memory for the request");
    return prediction->protocol_state;
}

bool prediction_takes_pictures(struct http_exchange *exchange) {
    struct cn_error error = {0};
    const struct prediction *prediction = exchange->state;
    if (cn_model_check_input(prediction->model->model, &error) == CN_OK)
        return true;
    (void)http_reply_failure(exchange, &error);
    return false;
}

bool prediction_begin_pictures(struct http_exchange *exchange) {
    return prediction_begin(exchange) && prediction_takes_pictures(exchange);
}

enum cn_status prediction_read_error(struct http_exchange *exchange, struct cn_error *error) {
    struct prediction *prediction = exchange->state;
    const char *text = http_query(exchange, "error");
    char *end = NULL;
    if (text == NULL)
        return CN_OK;
    const double share = strtod(text, &end);
    if (strspn(text, "0123456789.e-") != strlen(text) || end == text || *end != '\0')
        return cn_fail(error, CN_INVALID,
                       "error is \"%.32s\"; it must be a number above 0 and below 1", text);
    return cn_model_error_level(prediction->model->model, share, &prediction->level, error);
}

const float *prediction_outputs(const struct prediction *prediction, size_t index) {
    return prediction->outputs + index * cn_plan_output_row(prediction->model->plan);
}

enum http_outcome prediction_run(struct http_exchange *exchange, prediction_reader *read,
                                 prediction_renderer *render) {
    const struct http_context *context = exchange->context;
    struct prediction *prediction = exchange->state;
    prediction->read = read;
    prediction->render = render;
    if (prediction->work != NULL || exchange->coded || exchange->body_length > SMALL_BODY)
        return compute_prepared(exchange);
    if (read_body(exchange, &prediction->failure) != CN_OK)
        return answer_failure(exchange);
    exchange->work.images = prediction->count;
    if (prediction->pixels > SMALL_PIXELS || prediction->unpacked > SMALL_PIXELS)
        return compute_prepared(exchange);
    while (prediction->decoded < prediction->source_count)
        if (decode_next(exchange, &prediction->failure) != CN_OK)
            return answer_failure(exchange);
    if (outputs_allocate(exchange, &prediction->failure) != CN_OK)
        return answer_failure(exchange);
    const double cost = (double)prediction->count * prediction->model->image_seconds;
    return cost <= context->inline_seconds ? compute_inline(exchange)
                                           : http_defer(exchange, job_submit, compute_finish, NULL);
}
