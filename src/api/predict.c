/* predict.c: POST /predict: body to images, the lane by its cost, probabilities to the answer. Runs
 * on the exchange's HTTP thread, but for `done`, which is the compute thread's. */
#include "api/predict.h"
#include "api/models.h"
#include "api/routes.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"

void prediction_free(void *data) {
    struct prediction *prediction = data;
    if (prediction == NULL)
        return;
    served_model_release(prediction->model);
    free(prediction->images);
    free(prediction->outputs);
    free(prediction->reports);
    if (prediction->wish_free != NULL)
        prediction->wish_free(prediction->wish);
    free(prediction);
}

static double observe_since(const struct http_exchange *exchange,
                            enum statistics_histogram histogram, uint64_t begun) {
    const struct prediction *prediction = exchange->state;
    const double seconds = (double)(cn_clock_nanoseconds() - begun) * 1e-9;
    statistics_observe(prediction->model->statistics, histogram, seconds);
    return seconds;
}

static enum http_outcome answer(struct http_exchange *exchange) {
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
    return http_reply_text(exchange, 200, type, &text);
}

static enum http_outcome answer_late(struct http_exchange *exchange) {
    const struct prediction *prediction = exchange->state;
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_DEADLINE, 1);
    return http_reply_error(exchange, 504,
                            "the request's time was over before its %zu images were computed",
                            prediction->count);
}

static enum http_outcome answer_full(struct http_exchange *exchange, size_t images) {
    statistics_add(exchange->context->statistics, STATISTICS_REJECTED_QUEUE_FULL, 1);
    return http_reply_error(exchange, 503, "the queue has no room for %zu images more", images);
}

/* ---- The batch lane ---- */

static void done(struct job *job) {
    const struct http_exchange *exchange = job->data;
    /* Counted here: libmicrohttpd may end the exchange of a client that has gone at once. */
    if (job->outcome == JOB_DROPPED)
        statistics_add(exchange->context->statistics, STATISTICS_REJECTED_GONE, 1);
    http_resume(job->data);
}

/* On the compute thread. */
static bool abandoned(struct job *job) {
    return !http_peer_waits(job->data);
}

static void work(struct job *job) {
    const struct http_exchange *exchange = job->data;
    struct prediction *prediction = exchange->state;
    prediction->work(prediction);
}

static bool submit(struct http_exchange *exchange, void *data) {
    struct prediction *prediction = exchange->state;
    (void)data;
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

static enum http_outcome finish(struct http_exchange *exchange) {
    const struct http_context *context = exchange->context;
    const struct prediction *prediction = exchange->state;
    exchange->work.queue_seconds = prediction->job.queue_seconds;
    exchange->work.compute_seconds = prediction->job.compute_seconds;
    switch (prediction->job.outcome) {
    case JOB_DONE:
        break;
    case JOB_EXPIRED:
        return answer_late(exchange);
    case JOB_DROPPED:
        return http_reply_error(exchange, 499, "the client has gone");
    case JOB_FAILED:
        statistics_add(context->statistics, STATISTICS_REJECTED_MEMORY, 1);
        return http_reply_error(exchange, 503, "no memory for the model's workspaces");
    case JOB_REFUSED_FULL:
        return answer_full(exchange, prediction->count);
    case JOB_REFUSED_CLOSED:
        statistics_add(context->statistics, STATISTICS_REJECTED_SHUTDOWN, 1);
        return http_reply_error(exchange, 503, "the server is shutting down");
    }
    statistics_observe(prediction->model->statistics, STATISTICS_QUEUE_SECONDS,
                       prediction->job.queue_seconds);
    statistics_observe(prediction->model->statistics, STATISTICS_COMPUTE_SECONDS,
                       prediction->job.compute_seconds);
    return answer(exchange);
}

static enum http_outcome run_in_batch(struct http_exchange *exchange) {
    struct prediction *prediction = exchange->state;
    prediction->job = (struct job){.model = prediction->model,
                                   .images = prediction->images,
                                   .outputs = prediction->outputs,
                                   .count = prediction->count,
                                   .deadline = {.at = prediction->deadline},
                                   .work = prediction->work != NULL ? work : NULL,
                                   .abandoned = abandoned,
                                   .done = done,
                                   .data = exchange};
    return http_defer(exchange, submit, finish, NULL);
}

/* ---- The inline lane ---- */

static enum http_outcome run_inline(struct http_exchange *exchange) {
    struct prediction *prediction = exchange->state;
    struct cn_workspace *workspace = http_worker_workspace(exchange->worker, prediction->model);
    if (workspace == NULL)
        return http_reply_error(exchange, 503, "no memory for the model's workspace");
    const uint64_t begun = cn_clock_nanoseconds();
    if (prediction->deadline != 0 && begun >= prediction->deadline)
        return answer_late(exchange);
    if (prediction->work != NULL)
        prediction->work(prediction);
    else
        cn_plan_run(prediction->model->plan, workspace, prediction->images, prediction->count,
                    prediction->outputs);
    exchange->work.compute_seconds = observe_since(exchange, STATISTICS_COMPUTE_SECONDS, begun);
    statistics_observe(prediction->model->statistics, STATISTICS_BATCH_IMAGES,
                       (double)prediction->count);
    return answer(exchange);
}

bool prediction_begin(struct http_exchange *exchange) {
    const struct http_context *context = exchange->context;
    uint64_t deadline = 0;
    if (!http_deadline(exchange, &deadline))
        return false;
    struct served_model *model =
        api_find_model(exchange, exchange->arguments.values[0], exchange->arguments.values[1]);
    if (model == NULL)
        return false;
    struct prediction *prediction = calloc(1, sizeof *prediction);
    if (prediction == NULL) {
        served_model_release(model);
        (void)http_reply_error(exchange, 503, "no memory for the request");
        return false;
    }
    prediction->model = model;
    prediction->deadline = deadline;
    exchange->work.model = model;
    prediction->max_images = context->max_images;
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

enum http_outcome prediction_run(struct http_exchange *exchange,
                                 const char *(*render)(struct http_exchange *exchange,
                                                       struct cn_text *text)) {
    const struct http_context *context = exchange->context;
    struct prediction *prediction = exchange->state;
    (void)observe_since(exchange, STATISTICS_DECODE_SECONDS, prediction->begun_nanoseconds);
    exchange->work.images = prediction->count;
    prediction->render = render;
    prediction->outputs =
        cn_floats_allocate(prediction->count * cn_plan_output_size(prediction->model->plan));
    if (prediction->outputs == NULL)
        return http_reply_error(exchange, 503, "no memory for %zu images", prediction->count);
    const double cost = (double)prediction->count * prediction->model->image_seconds *
                        (prediction->work != NULL ? prediction->work_cost : 1);
    return cost <= context->inline_seconds ? run_inline(exchange) : run_in_batch(exchange);
}

/* ---- POST /predict ---- */

static const char *render(struct http_exchange *exchange, struct cn_text *text) {
    return predict_render(exchange->state, predict_format_of(http_header(exchange, "Accept")),
                          text);
}

enum http_outcome api_predict(struct http_exchange *exchange) {
    struct cn_error error = {0};
    if (!prediction_begin(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    if (picture_options_read(exchange, &prediction->options, &error) != CN_OK ||
        prediction_add_body(prediction, http_header(exchange, "Content-Type"), exchange->body,
                            exchange->body_length, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    return prediction_run(exchange, render);
}
