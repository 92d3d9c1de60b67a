/* options_table.c: THE option table. An option is one field of struct daemon_options, one row here
 * and its use. Constant data. */
#include "daemon/log.h"
#include "daemon/options.h"

#ifndef MODELSDIR
#define MODELSDIR "/usr/local/share/convnetd/models"
#endif

static const char *const metrics_access_names[] = {"admin", "client", "public", NULL};

#define AT(field) offsetof(struct daemon_options, field)

const struct option_row option_rows[] = {
    {"model", OPTION_TEXT, AT(model), MODELSDIR "/digits.safetensors", 1, 1023, "FILE", NULL,
     "The model to serve. SIGHUP reads it again when it has changed."},
    {"model-dir", OPTION_TEXT, AT(model_dir), "", 0, 1023, "DIR", NULL,
     "Serve every *.safetensors file of this folder instead, each under its name."},
    {"default-model", OPTION_TEXT, AT(default_model), "", 0, 1023, "NAME", NULL,
     "The model of requests that name none; empty means the first by name."},
    {"address", OPTION_TEXT, AT(address), "127.0.0.1", 1, 1023, "ADDRESS", NULL,
     "Numeric IPv4 or IPv6 addresses to listen at, separated by commas."},
    {"port", OPTION_INTEGER, AT(port), "8080", 0, 65535, "port", NULL,
     "TCP port to listen at; 0 lets the system pick one."},
    {"insecure", OPTION_SWITCH, AT(insecure), "no", 0, 0, "", NULL,
     "Allow addresses other than loopback without API keys: nobody is asked who they are."},
    {"api-keys-file", OPTION_TEXT, AT(api_keys_file), "", 0, 1023, "FILE", NULL,
     "API keys, one a line, perhaps with a name: requests need one. SIGHUP reads it again."},
    {"metrics-access", OPTION_CHOICE, AT(metrics_access), "client", 0, 0, "", metrics_access_names,
     "Who gets /metrics: anybody, who has an API key if there are any, or the admin socket only."},
    {"threads", OPTION_INTEGER, AT(threads), "0", 0, 1024, "threads", NULL,
     "Threads of the batch lane; 0 means one for each processor."},
    {"http-threads", OPTION_INTEGER, AT(http_threads), "0", 0, 1024, "threads", NULL,
     "HTTP threads at least; 0 means one for each processor. Each 120 connections need one."},
    {"max-connections", OPTION_INTEGER, AT(max_connections), "1024", 1, 100000, "connections", NULL,
     "Connections at once; one more is answered 503."},
    {"max-connections-per-address", OPTION_INTEGER, AT(max_connections_per_address), "512", 0,
     100000, "connections", NULL,
     "Connections at once of one IPv4 address or IPv6 /64; 0 means no such limit."},
    {"max-body", OPTION_BYTES, AT(max_body), "16M", 1024, 1073741824, "bytes", NULL,
     "Largest body of a request; a larger one is answered 413. K, M and G may follow."},
    {"max-images", OPTION_INTEGER, AT(max_images), "10000", 1, 1000000, "images", NULL,
     "Images in one request."},
    {"max-picture", OPTION_INTEGER, AT(max_picture), "4096", 1, 16384, "pixels", NULL,
     "Width and height of a picture at most."},
    {"queue-images", OPTION_INTEGER, AT(queue_images), "20000", 1, 10000000, "images", NULL,
     "Images that may wait in the batch lane; more are answered 503."},
    {"batch-images", OPTION_INTEGER, AT(batch_images), "256", 1, 65536, "images", NULL,
     "Images computed in one batch at most."},
    {"batch-delay-ms", OPTION_NUMBER, AT(batch_delay_ms), "0", 0, 1000, "milliseconds", NULL,
     "Wait so long for a batch to fill; 0 means never wait."},
    {"inline-us", OPTION_NUMBER, AT(inline_us), "200", 0, 1000000, "microseconds", NULL,
     "Requests cheaper than this are computed at once by the thread that read them."},
    {"request-timeout", OPTION_NUMBER, AT(request_timeout), "30", 0, 86400, "seconds", NULL,
     "A request that waits longer in the batch lane is answered 504; 0 means no limit."},
    {"cors-origin", OPTION_TEXT, AT(cors_origin), "none", 1, 1023, "ORIGINS", NULL,
     "Origins whose pages may use this server from a browser: none, * or a list with commas."},
    {"header-timeout", OPTION_NUMBER, AT(header_timeout), "10", 0.05, 86400, "seconds", NULL,
     "Time for a request's head to arrive."},
    {"body-timeout", OPTION_NUMBER, AT(body_timeout), "30", 0.05, 86400, "seconds", NULL,
     "Time for a request's body to arrive, besides a second for each 16 KiB."},
    {"idle-timeout", OPTION_NUMBER, AT(idle_timeout), "60", 0.05, 86400, "seconds", NULL,
     "Time that a connection may rest between two requests."},
    {"write-timeout", OPTION_NUMBER, AT(write_timeout), "30", 0.05, 86400, "seconds", NULL,
     "Time for an answer to be taken, besides a second for each 16 KiB."},
    {"stall-timeout", OPTION_NUMBER, AT(stall_timeout), "10", 0.1, 86400, "seconds", NULL,
     "The batch lane counts as hanging when it has work and none of it moves for so long."},
    {"shutdown-delay", OPTION_NUMBER, AT(shutdown_delay), "0", 0, 3600, "seconds", NULL,
     "After SIGTERM, say so long that it is not ready before accepting no more."},
    {"shutdown-timeout", OPTION_NUMBER, AT(shutdown_timeout), "20", 0, 86400, "seconds", NULL,
     "Time that running requests have to finish after SIGTERM."},
    {"triton-metrics", OPTION_SWITCH, AT(triton_metrics), "no", 0, 0, "", NULL,
     "Give the counters under Triton's names nv_inference_... too."},
    {"log-level", OPTION_CHOICE, AT(log_level), "info", 0, 0, "", log_level_names,
     "What is logged; debug has a line for each request."},
};
const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTION_MAX_ROWS,
               "raise OPTION_MAX_ROWS");
