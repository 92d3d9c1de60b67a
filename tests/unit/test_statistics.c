#include "metrics/statistics.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct statistics *statistics;
static struct statistics_model *model;
static struct statistics_model_row rows[2];

static void begin(void) {
    statistics = statistics_create();
    model = statistics_model_create();
    rows[0] = (struct statistics_model_row){.name = "digits", .version = 2, .statistics = model};
    rows[1] = (struct statistics_model_row){.name = "other", .version = 1, .statistics = model};
}
static void end(void) {
    statistics_model_release(model);
    statistics_free(statistics);
}
TestSuite(statistics, .init = begin, .fini = end);

static char *render(bool triton) {
    static const char *const routes[] = {"/a", "none"};
    const struct statistics_snapshot snapshot = {.route_names = routes,
                                                 .route_count = 2,
                                                 .models = rows,
                                                 .model_count = 2,
                                                 .queue_depth = 5,
                                                 .queue_limit = 7,
                                                 .triton = triton,
                                                 .version = "1"};
    size_t length = 0;
    char *text = statistics_render(statistics, &snapshot, &length);
    cr_assert_not_null(text);
    cr_assert_eq(strlen(text), length);
    return text;
}

static void check_line(const char *text, const char *expected) {
    char line[256];
    (void)snprintf(line, sizeof line, "\n%s\n", expected);
    cr_assert_not_null(strstr(text, line), "%s is not in:\n%s", expected, text);
}

Test(statistics, histograms_have_bounds_that_belong_to_them) {
    const double values[] = {1e-6, 1.1e-6, 0, 10, 11};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        statistics_observe(model, STATISTICS_QUEUE_SECONDS, values[i]);
    char *text = render(false);
#define QUEUE  "convnetd_queue_duration_seconds"
#define DIGITS "model=\"digits\",version=\"2\""
    check_line(text, QUEUE "_bucket{" DIGITS ",le=\"1e-06\"} 2");
    check_line(text, QUEUE "_bucket{" DIGITS ",le=\"2.5e-06\"} 3");
    check_line(text, QUEUE "_bucket{" DIGITS ",le=\"10\"} 4");
    check_line(text, QUEUE "_bucket{" DIGITS ",le=\"+Inf\"} 5");
    check_line(text, QUEUE "_sum{" DIGITS "} 21.0000021");
    check_line(text, QUEUE "_count{" DIGITS "} 5");
    check_line(text, "convnetd_queue_images 5");
    free(text);
    const struct statistics_total total = statistics_total(model, STATISTICS_QUEUE_SECONDS);
    cr_assert_eq(total.count, 5);
    cr_assert_float_eq(total.sum, 21.0000021, 1e-9);
}

Test(statistics, requests_are_counted_by_route_and_status_and_by_model) {
    statistics_request(statistics, model, 0, 200, 0.5);
    statistics_request(statistics, model, 0, 503, 0.25);
    statistics_request(statistics, NULL, 1, 404, 1);
    statistics_request(statistics, NULL, STATISTICS_MAX_ROUTES, 404, 1);
    statistics_request(statistics, NULL, 0, 1000, 1);
    char *text = render(false);
    check_line(text, "convnetd_requests_total{route=\"/a\",code=\"200\"} 1");
    check_line(text, "convnetd_requests_total{route=\"/a\",code=\"503\"} 1");
    check_line(text, "convnetd_requests_total{route=\"none\",code=\"404\"} 1");
    check_line(text, "convnetd_request_duration_seconds_sum{" DIGITS "} 0.75");
    check_line(text, "convnetd_request_duration_seconds_count{model=\"\",version=\"\"} 3");
    free(text);
}

Test(statistics, triton_names_are_aliases_and_an_option) {
    statistics_request(statistics, model, 0, 200, 0.5);
    statistics_request(statistics, model, 0, 500, 0.5);
    statistics_observe(model, STATISTICS_BATCH_IMAGES, 3);
    statistics_observe(model, STATISTICS_BATCH_IMAGES, 4);
    char *text = render(false);
    cr_assert_null(strstr(text, "nv_"));
    free(text);
    text = render(true);
    check_line(text, "nv_inference_request_success{" DIGITS "} 1");
    check_line(text, "nv_inference_request_failure{" DIGITS ",reason=\"OTHER\"} 1");
    check_line(text, "nv_inference_count{" DIGITS "} 7");
    check_line(text, "nv_inference_exec_count{" DIGITS "} 2");
    check_line(text, "nv_inference_request_duration_us{" DIGITS "} 1000000");
    free(text);
}

enum { THREADS = 12, TIMES = 1000 };

static void *count(void *data) {
    (void)data;
    for (int i = 0; i < TIMES; i++) {
        statistics_observe(model, STATISTICS_REQUEST_IMAGES, 1);
        statistics_add(statistics, STATISTICS_REJECTED_DEADLINE, 1);
    }
    return NULL;
}

Test(statistics, nothing_is_lost_between_threads) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    cr_assert_eq(statistics_total(model, STATISTICS_REQUEST_IMAGES).count, THREADS * TIMES);
    char *text = render(false);
    check_line(text, "convnetd_rejected_total{reason=\"deadline\"} 12000");
    free(text);
}

Test(statistics, nothing_to_count_for_is_no_error) {
    statistics_observe(NULL, STATISTICS_QUEUE_SECONDS, 1);
    statistics_model_add(NULL, STATISTICS_MODEL_OK, 1);
    statistics_model_release(NULL);
    statistics_free(NULL);
}
