/* options_table.c: THE option table. A new option is a field of struct daemon_options, a row here,
 * and its use. Constant data. */
#include "daemon/log.h"
#include "daemon/options.h"

static const char *const metrics_access_names[] = {"admin", "client", "public", NULL};

#define AT(field) offsetof(struct daemon_options, field)

const struct option_row option_rows[] = {
    {"model", OPTION_TEXT, AT(model), "digits", 1, 1023, "MODEL", NULL,
     "The model to serve: a file, or a known name. SIGHUP reads it again when it has changed."},
    {"model-dir", OPTION_TEXT, AT(model_dir), "", 0, 1023, "DIR", NULL,
     "Serve every *.safetensors file of this folder instead, each under its name."},
    {"default-model", OPTION_TEXT, AT(default_model), "", 0, 1023, "NAME", NULL,
     "The model for requests that name none; empty means the first by name."},
    {"trusted-keys", OPTION_TEXT, AT(trusted_keys), "", 0, 1023, "FILE", NULL,
     "Public keys: only models that one of them has signed are served. SIGHUP reads it again."},
    {"address", OPTION_TEXT, AT(address), "127.0.0.1", 0, 1023, "ADDRESS", NULL,
     "Numeric IPv4 or IPv6 addresses to listen at, separated by commas; empty: only with TLS."},
    {"port", OPTION_INTEGER, AT(port), "8080", 0, 65535, "port", NULL,
     "TCP port to listen at; 0 lets the system pick one."},
    {"insecure", OPTION_SWITCH, AT(insecure), "no", 0, 0, "", NULL,
     "Allow addresses other than loopback without API keys, so that everybody who can reach them "
     "is served."},
    {"api-keys-file", OPTION_TEXT, AT(api_keys_file), "", 0, 1023, "FILE", NULL,
     "File of API keys, one per line with an optional name: requests need one. SIGHUP reads it "
     "again."},
    {"admin-socket", OPTION_TEXT, AT(admin_socket), "", 0, 107, "PATH", NULL,
     "Unix socket, mode 0600, for admin calls; empty: admin.sock in the unit's RuntimeDirectory, "
     "if any."},
    {"tls-address", OPTION_TEXT, AT(tls_address), "", 0, 1023, "ADDRESS", NULL,
     "Numeric addresses to listen at with TLS, separated by commas; empty means none."},
    {"tls-port", OPTION_INTEGER, AT(tls_port), "8443", 0, 65535, "port", NULL,
     "TCP port to listen at with TLS; 0 lets the system pick one."},
    {"tls-certificate", OPTION_TEXT, AT(tls_certificate), "", 0, 1023, "FILE", NULL,
     "PEM file of the server's certificate and those that signed it. SIGHUP reads it again."},
    {"tls-key", OPTION_TEXT, AT(tls_key), "", 0, 1023, "FILE", NULL,
     "PEM file of the certificate's private key. SIGHUP reads it again."},
    {"tls-client-ca", OPTION_TEXT, AT(tls_client_ca), "", 0, 1023, "FILE", NULL,
     "PEM file of the authority that signs clients' certificates: TLS clients need one. SIGHUP "
     "reads it again."},
    {"tls-priorities", OPTION_TEXT, AT(tls_priorities),
     "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:"
     "%SERVER_PRECEDENCE",
     1, 1023, "STRING", NULL,
     "Versions and ciphers as a GnuTLS priority string; TLS 1.2 at least."},
    {"metrics-access", OPTION_CHOICE, AT(metrics_access), "client", 0, 0, "", metrics_access_names,
     "Access to /metrics: everybody, clients with an API key if there are keys, or the admin "
     "socket only."},
    {"threads", OPTION_INTEGER, AT(threads), "0", 0, 1024, "threads", NULL,
     "Threads of the batch lane; 0 means one per processor."},
    {"http-threads", OPTION_INTEGER, AT(http_threads), "0", 0, 1024, "threads", NULL,
     "Least number of HTTP threads; 0 means one per processor. Each serves at most 120 "
     "connections."},
    {"max-connections", OPTION_INTEGER, AT(max_connections), "1024", 1, 100000, "connections", NULL,
     "Most simultaneous connections; a further one is answered 503."},
    {"max-connections-per-address", OPTION_INTEGER, AT(max_connections_per_address), "512", 0,
     100000, "connections", NULL,
     "Most simultaneous connections from one IPv4 address or IPv6 /64; 0 means no such limit."},
    {"max-body", OPTION_BYTES, AT(max_body), "16M", 1024, 1073741824, "bytes", NULL,
     "Largest body of a request; a larger one is answered 413. K, M and G may follow."},
    {"max-header", OPTION_BYTES, AT(max_header), "16K", 1024, 1048576, "bytes", NULL,
     "Largest head of a request, its first line included; a larger one is answered 431."},
    {"max-header-fields", OPTION_INTEGER, AT(max_header_fields), "128", 4, 10000, "fields", NULL,
     "Most fields in the head of a request; more are answered 431."},
    {"max-images", OPTION_INTEGER, AT(max_images), "10000", 1, 1000000, "images", NULL,
     "Most images in one request. A compressed body of B bytes may have at most "
     "16 + B / max(1, min(256, N / 64)), where N is how many numbers an image of the model has."},
    {"max-picture", OPTION_INTEGER, AT(max_picture), "4096", 1, 16384, "pixels", NULL,
     "A picture may have as many pixels as a square with this side."},
    {"max-pixels", OPTION_BYTES, AT(max_pixels), "64M", 1024, 17179869184.0, "pixels", NULL,
     "Most pixels of all pictures in one request that has several. A request may also have at most "
     "1,048,576 pixels, or more for a model with a large input, plus 8,192 per byte of its body."},
    {"memory-budget", OPTION_BYTES, AT(memory_budget), "0", 0, 1099511627776.0, "bytes", NULL,
     "Most memory for bodies, images and answers; 0: a quarter of the available memory, at most "
     "512M."},
    {"queue-images", OPTION_INTEGER, AT(queue_images), "20000", 1, 10000000, "images", NULL,
     "Images that may wait in the batch lane; more are answered 503. For a client with none "
     "waiting the limit is a quarter higher."},
    {"batch-images", OPTION_INTEGER, AT(batch_images), "256", 1, 65536, "images", NULL,
     "Most images that are computed in one batch."},
    {"batch-delay-ms", OPTION_NUMBER, AT(batch_delay_ms), "0", 0, 1000, "milliseconds", NULL,
     "How long to wait for a batch to fill; 0 means not at all."},
    {"inline-us", OPTION_NUMBER, AT(inline_us), "200", 0, 1000000, "microseconds", NULL,
     "Requests cheaper than this are computed at once by the thread that read them."},
    {"request-timeout", OPTION_NUMBER, AT(request_timeout), "30", 0, 86400, "seconds", NULL,
     "A request that waits longer in the batch lane is answered 504; 0 means no limit."},
    {"cors-origin", OPTION_TEXT, AT(cors_origin), "none", 1, 1023, "ORIGINS", NULL,
     "Origins whose pages may use this server from a browser: none, * or a list with commas."},
    {"allowed-hosts", OPTION_TEXT, AT(allowed_hosts), "none", 1, 1023, "NAMES", NULL,
     "Host names that requests may give besides addresses and localhost: none, * or a list. With "
     "none any name is allowed, unless all addresses are loopback."},
    {"header-timeout", OPTION_NUMBER, AT(header_timeout), "10", 0.05, 86400, "seconds", NULL,
     "Time for a request's head to arrive."},
    {"body-timeout", OPTION_NUMBER, AT(body_timeout), "30", 0.05, 86400, "seconds", NULL,
     "Time for a request's body to arrive, in addition to its size divided by least-rate."},
    {"idle-timeout", OPTION_NUMBER, AT(idle_timeout), "60", 0.05, 86400, "seconds", NULL,
     "Time that a connection may be idle between two requests."},
    {"write-timeout", OPTION_NUMBER, AT(write_timeout), "30", 0.05, 86400, "seconds", NULL,
     "Time for the client to receive an answer, in addition to its size divided by least-rate."},
    {"stall-timeout", OPTION_NUMBER, AT(stall_timeout), "10", 0.1, 86400, "seconds", NULL,
     "The batch lane counts as hanging when it has work and makes no progress for this long."},
    {"shutdown-delay", OPTION_NUMBER, AT(shutdown_delay), "0", 0, 3600, "seconds", NULL,
     "After SIGTERM, report for this long that it is not ready before it stops accepting "
     "connections."},
    {"least-rate", OPTION_BYTES, AT(least_rate), "16K", 1, 1073741824, "bytes", NULL,
     "Least rate at which a client must send and receive, in bytes per second, once the timeout is "
     "used up."},
    {"shutdown-timeout", OPTION_NUMBER, AT(shutdown_timeout), "20", 0, 86400, "seconds", NULL,
     "Time that running requests have to finish after SIGTERM."},
    {"triton-metrics", OPTION_SWITCH, AT(triton_metrics), "yes", 0, 0, "", NULL,
     "Also export the counters under Triton's names, nv_inference_... ."},
    {"no-sandbox", OPTION_SWITCH, AT(no_sandbox), "no", 0, 0, "", NULL,
     "For debuggers: run without the sandbox, with access to all files and system calls."},
    {"access-log", OPTION_SWITCH, AT(access_log), "no", 0, 0, "", NULL,
     "Log a line for each request."},
    {"log-format", OPTION_CHOICE, AT(log_format), "logfmt", 0, 0, "", log_format_names,
     "How log lines are written."},
    {"log-level", OPTION_CHOICE, AT(log_level), "info", 0, 0, "", log_level_names,
     "The least urgent events that are logged; debug adds a line per request."},
};
const size_t option_row_count = sizeof option_rows / sizeof *option_rows;
_Static_assert(sizeof option_rows / sizeof *option_rows <= OPTION_MAX_ROWS,
               "raise OPTION_MAX_ROWS");
