/* metric_table.c: THE lists of metrics. A new metric is a row here and an entry of its enum.
 * Constant data. */
#include "metrics/metric_table.h"

static const double seconds_buckets[STATISTICS_BUCKETS] = {1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5,
                                                           1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3,
                                                           0.01, 0.025,  0.05, 0.1,  1,      10};
static const double image_buckets[STATISTICS_BUCKETS] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};

/* The bounds are closer near 1, where nearly all confidences of a good model are. */
static const double confidence_buckets[STATISTICS_BUCKETS] = {0.1,  0.2,  0.3,  0.4,  0.5,   0.6,
                                                              0.7,  0.75, 0.8,  0.85, 0.9,   0.925,
                                                              0.95, 0.97, 0.98, 0.99, 0.995, 0.999};

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
    [STATISTICS_LOG_DROPPED] =
        {"convnetd_log_lines_dropped_total", "",
         "Log lines that were dropped because the log's reader was too slow."},
};

const struct statistics_histogram_row statistics_histogram_table[STATISTICS_HISTOGRAMS] = {
    [STATISTICS_DECODE_SECONDS] = {"convnetd_decode_duration_seconds",
                                   "Time to decode and preprocess a request's body.",
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
                                 "Images per execution, in the batch lane or inline.",
                                 image_buckets},
    [STATISTICS_CONFIDENCE] = {"convnetd_answer_confidence",
                               "Confidence of an image's answer, where it has one.",
                               confidence_buckets},
};

const struct statistics_alias_row statistics_alias_table[] = {
    {"convnetd_images_total", "", "Images answered.", ALIAS_IMAGES, STATISTICS_REQUEST_IMAGES,
     false},
    {"convnetd_answers_rejected_total", "",
     "Images answered that are like none of the classes, by the model's thresholds.", ALIAS_COUNTER,
     STATISTICS_MODEL_REJECTED, false},
    {"convnetd_answers_undecided_total", "",
     "Images answered that may be of several classes, by the model's thresholds.", ALIAS_COUNTER,
     STATISTICS_MODEL_UNDECIDED, false},
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

const struct statistics_reading_row statistics_reading_table[STATISTICS_READINGS] = {
    [STATISTICS_REQUESTS_TOTAL] = {"convnetd_requests_total", "counter",
                                   "Requests answered, by route and status."},
    [STATISTICS_READY] = {"convnetd_ready", "gauge",
                          "1 while requests are served, as /v2/health/ready says."},
    [STATISTICS_QUEUE_IMAGES] = {"convnetd_queue_images", "gauge",
                                 "Images waiting in the batch lane."},
    [STATISTICS_QUEUE_LIMIT] = {"convnetd_queue_limit_images", "gauge",
                                "Images that may wait in the batch lane."},
    [STATISTICS_CONNECTIONS] = {"convnetd_connections", "gauge", "Open connections."},
    [STATISTICS_LAST_RELOAD] = {"convnetd_last_reload_success_timestamp_seconds", "gauge",
                                "Unix time of the last reload in which no model was refused."},
    [STATISTICS_CERTIFICATE_END] =
        {"convnetd_certificate_end_timestamp_seconds", "gauge",
         "Unix time at which the TLS certificate expires; 0 without TLS."},
    [STATISTICS_BUILD_INFO] = {"convnetd_build_info", "gauge", "The daemon's version."},
    [STATISTICS_MODEL_INFO] = {"convnetd_model_info", "gauge", "The models that are served."},
    [STATISTICS_MODEL_READY] =
        {"convnetd_model_ready", "gauge",
         "1 if the model is served, 0 if it is unloaded or its file was refused."},
    [STATISTICS_MODEL_REFUSED] = {"convnetd_model_refused", "gauge",
                                  "1 if the last reading of the model's file was refused."},
    [STATISTICS_PROCESS_CPU] = {"process_cpu_seconds_total", "counter",
                                "Total user and system CPU time spent in seconds."},
    [STATISTICS_PROCESS_THREADS] = {"process_threads", "gauge",
                                    "Number of OS threads in the process."},
    [STATISTICS_PROCESS_START] = {"process_start_time_seconds", "gauge",
                                  "Start time of the process since unix epoch in seconds."},
    [STATISTICS_PROCESS_VIRTUAL] = {"process_virtual_memory_bytes", "gauge",
                                    "Virtual memory size in bytes."},
    [STATISTICS_PROCESS_RESIDENT] = {"process_resident_memory_bytes", "gauge",
                                     "Resident memory size in bytes."},
    [STATISTICS_PROCESS_OPEN_FDS] = {"process_open_fds", "gauge",
                                     "Number of open file descriptors."},
    [STATISTICS_PROCESS_MAX_FDS] = {"process_max_fds", "gauge",
                                    "Maximum number of open file descriptors."},
};
