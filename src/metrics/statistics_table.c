/* statistics_table.c: THE lists of metrics. A metric is a row here and an entry of its enum.
 * Constant data. */
#include "metrics/statistics_private.h"

static const double seconds_buckets[STATISTICS_BUCKETS] = {1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5,
                                                           1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3,
                                                           0.01, 0.025,  0.05, 0.1,  1,      10};
static const double image_buckets[STATISTICS_BUCKETS] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};

#define REJECTED "convnetd_rejected_total"

const struct statistics_counter_row statistics_counter_table[STATISTICS_COUNTERS] = {
    [STATISTICS_REJECTED_QUEUE_FULL] = {REJECTED, "{reason=\"queue_full\"}",
                                        "Requests and connections refused, by reason."},
    [STATISTICS_REJECTED_DEADLINE] = {REJECTED, "{reason=\"deadline\"}", NULL},
    [STATISTICS_REJECTED_GONE] = {REJECTED, "{reason=\"client_gone\"}", NULL},
    [STATISTICS_REJECTED_MEMORY] = {REJECTED, "{reason=\"memory\"}", NULL},
    [STATISTICS_REJECTED_SHUTDOWN] = {REJECTED, "{reason=\"shutdown\"}", NULL},
    [STATISTICS_REJECTED_CONNECTION] = {REJECTED, "{reason=\"connections\"}", NULL},
    [STATISTICS_RELOADS_OK] = {"convnetd_reloads_total", "{result=\"ok\"}",
                               "Reloads of the models, by result."},
    [STATISTICS_RELOADS_FAILED] = {"convnetd_reloads_total", "{result=\"failed\"}", NULL},
};

const struct statistics_histogram_row statistics_histogram_table[STATISTICS_HISTOGRAMS] = {
    [STATISTICS_DECODE_SECONDS] = {"convnetd_decode_duration_seconds",
                                   "Time from a request's body to the network's input.",
                                   seconds_buckets},
    [STATISTICS_QUEUE_SECONDS] = {"convnetd_queue_duration_seconds",
                                  "Time that a request waited in the batch lane.", seconds_buckets},
    [STATISTICS_COMPUTE_SECONDS] = {"convnetd_compute_duration_seconds",
                                    "Time of a request's forward passes.", seconds_buckets},
    [STATISTICS_ENCODE_SECONDS] = {"convnetd_encode_duration_seconds",
                                   "Time to write a request's answer.", seconds_buckets},
    [STATISTICS_REQUEST_SECONDS] = {"convnetd_request_duration_seconds",
                                    "Time from a request's first byte to its answer.",
                                    seconds_buckets},
    [STATISTICS_REQUEST_IMAGES] = {"convnetd_request_images", "Images in a request.",
                                   image_buckets},
    [STATISTICS_BATCH_IMAGES] = {"convnetd_batch_images",
                                 "Images in one execution: of the batch lane, or inline.",
                                 image_buckets},
};

const struct statistics_alias_row statistics_alias_table[] = {
    {"convnetd_images_total", "", "Images answered.", ALIAS_IMAGES, STATISTICS_REQUEST_IMAGES,
     false},
    {"nv_inference_request_success", "", "Number of successful inference requests", ALIAS_COUNTER,
     STATISTICS_MODEL_OK, true},
    {"nv_inference_request_failure", ",reason=\"OTHER\"", "Number of failed inference requests",
     ALIAS_COUNTER, STATISTICS_MODEL_FAILED, true},
    {"nv_inference_count", "", "Number of inferences performed", ALIAS_IMAGES,
     STATISTICS_BATCH_IMAGES, true},
    {"nv_inference_exec_count", "", "Number of model executions performed", ALIAS_COUNT,
     STATISTICS_BATCH_IMAGES, true},
    {"nv_inference_request_duration_us", "", "Cumulative inference request duration",
     ALIAS_MICROSECONDS, STATISTICS_REQUEST_SECONDS, true},
    {"nv_inference_queue_duration_us", "", "Cumulative inference queuing duration",
     ALIAS_MICROSECONDS, STATISTICS_QUEUE_SECONDS, true},
    {"nv_inference_compute_input_duration_us", "", "Cumulative compute input duration",
     ALIAS_MICROSECONDS, STATISTICS_DECODE_SECONDS, true},
    {"nv_inference_compute_infer_duration_us", "", "Cumulative compute inference duration",
     ALIAS_MICROSECONDS, STATISTICS_COMPUTE_SECONDS, true},
    {"nv_inference_compute_output_duration_us", "", "Cumulative inference compute output duration",
     ALIAS_MICROSECONDS, STATISTICS_ENCODE_SECONDS, true},
};
const size_t statistics_alias_count =
    sizeof statistics_alias_table / sizeof *statistics_alias_table;
