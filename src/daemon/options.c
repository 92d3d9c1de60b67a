/* options.c: parses and prints options' values, and checks the rules between options. It reads no
 * files and no command line. Used before threads start. */
#include "daemon/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "http/address.h"
#include "http/cors.h"
#include "http/origin.h"

static const char *const switch_names[] = {"no", "yes", NULL};

const struct option_row *option_find(const char *name) {
    for (size_t i = 0; i < option_row_count; i++)
        if (strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    return NULL;
}

static void *place(struct daemon_options *options, const struct option_row *row) {
    return (char *)options + row->offset;
}

/* Parses decimal digits, with `bytes` also a K, M or G after them. */
static bool parse_integer(const char *text, bool bytes, long long *ret_value) {
    static const char suffixes[] = "KMG";
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    const char *suffix = bytes && *end != '\0' ? strchr(suffixes, *end) : NULL;
    if (suffix != NULL) {
        if (__builtin_mul_overflow(value, 1LL << (10 * (suffix - suffixes + 1)), &value))
            return false;
        end++;
    }
    *ret_value = value;
    return *end == '\0';
}

/* Parses digits with at most one point: no exponent, no sign, no hex, no "inf". */
static bool parse_number(const char *text, double *ret_value) {
    char *end;
    if (strspn(text, "0123456789.") != strlen(text) || *text < '0' || *text > '9')
        return false;
    *ret_value = strtod(text, &end);
    return *end == '\0' && isfinite(*ret_value);
}

/* Writes 1073741824 as "1G" where this is exact. */
static void format_bytes(long long value, char *text, size_t size) {
    const char *suffixes[] = {"", "K", "M", "G"};
    size_t i = 0;
    while (i < 3 && value != 0 && value % 1024 == 0) {
        value /= 1024;
        i++;
    }
    (void)snprintf(text, size, "%lld%s", value, suffixes[i]);
}

/* True if a line of the configuration file can hold the text: without a semicolon that would begin
 * a comment (at the start or after a blank), a line end, or a blank at the start or end. */
static bool is_writable(const char *text) {
    const size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        const bool outer = i == 0 || i == length - 1;
        if ((unsigned char)text[i] < ' ' || text[i] == '\177' || (text[i] == ' ' && outer) ||
            (text[i] == ';' && (i == 0 || text[i - 1] == ' ')))
            return false;
    }
    return true;
}

/* Writes "a whole number from 1 to 64 threads", for messages, help and the file. */
static void describe_rule(const struct option_row *row, char *text, size_t size) {
    char low[32], high[32], names[128];
    switch (row->kind) {
    case OPTION_TEXT:
        (void)snprintf(text, size, "a text of %.0f to %.0f bytes", row->minimum, row->maximum);
        break;
    case OPTION_INTEGER:
        (void)snprintf(text, size, "a whole number from %.0f to %.0f (%s)", row->minimum,
                       row->maximum, row->unit);
        break;
    case OPTION_BYTES:
        format_bytes((long long)row->minimum, low, sizeof low);
        format_bytes((long long)row->maximum, high, sizeof high);
        (void)snprintf(text, size, "a size from %s to %s (bytes; K, M or G may follow)", low, high);
        break;
    case OPTION_NUMBER:
        (void)snprintf(text, size, "a number from %g to %g (%s)", row->minimum, row->maximum,
                       row->unit);
        break;
    case OPTION_CHOICE:
        (void)snprintf(text, size, "one of %s", cn_name_list(row->choices, names, sizeof names));
        break;
    case OPTION_SWITCH:
        (void)snprintf(text, size, "yes or no");
        break;
    }
}

enum cn_status option_set(struct daemon_options *options, const struct option_row *row,
                          const char *value, const char *source, long long line,
                          struct cn_error *error) {
    bool good = false;
    long long integer = 0;
    double number = 0;
    switch (row->kind) {
    case OPTION_TEXT:
        good = (double)strlen(value) >= row->minimum && (double)strlen(value) <= row->maximum;
        break;
    case OPTION_INTEGER:
    case OPTION_BYTES:
        good = parse_integer(value, row->kind == OPTION_BYTES, &integer) &&
               (double)integer >= row->minimum && (double)integer <= row->maximum;
        break;
    case OPTION_NUMBER:
        good = parse_number(value, &number) && number >= row->minimum && number <= row->maximum;
        break;
    case OPTION_CHOICE:
    case OPTION_SWITCH:
        integer = cn_name_index(row->kind == OPTION_SWITCH ? switch_names : row->choices, value);
        good = integer >= 0;
        break;
    }
    if (!good) {
        char rule[192];
        describe_rule(row, rule, sizeof rule);
        return cn_fail_at(error, CN_INVALID, source, line, "%s '%.80s' must be %s", row->name,
                          value, rule);
    }
    if (row->kind == OPTION_TEXT && !is_writable(value))
        return cn_fail_at(
            error, CN_INVALID, source, line,
            "%s '%.80s' holds what a line of the file cannot: a control byte, a blank "
            "at its start or end, or a semicolon where it begins a comment",
            row->name, value);
    if (row->kind == OPTION_TEXT)
        memcpy(place(options, row), value, strlen(value) + 1);
    else if (row->kind == OPTION_NUMBER)
        memcpy(place(options, row), &number, sizeof number);
    else if (row->kind == OPTION_SWITCH)
        *(bool *)place(options, row) = integer != 0;
    else
        memcpy(place(options, row), &integer, sizeof integer);
    return CN_OK;
}

void option_format(const struct daemon_options *options, const struct option_row *row,
                   char text[static OPTION_VALUE_SIZE]) {
    const void *from = (const char *)options + row->offset;
    long long integer = 0;
    double number = 0;
    switch (row->kind) {
    case OPTION_TEXT:
        (void)snprintf(text, OPTION_VALUE_SIZE, "%s", (const char *)from);
        break;
    case OPTION_INTEGER:
        memcpy(&integer, from, sizeof integer);
        (void)snprintf(text, OPTION_VALUE_SIZE, "%lld", integer);
        break;
    case OPTION_BYTES:
        memcpy(&integer, from, sizeof integer);
        format_bytes(integer, text, OPTION_VALUE_SIZE);
        break;
    case OPTION_NUMBER:
        memcpy(&number, from, sizeof number);
        (void)snprintf(text, OPTION_VALUE_SIZE, "%.15g", number);
        break;
    case OPTION_CHOICE:
        memcpy(&integer, from, sizeof integer);
        (void)snprintf(text, OPTION_VALUE_SIZE, "%s", row->choices[integer]);
        break;
    case OPTION_SWITCH:
        (void)snprintf(text, OPTION_VALUE_SIZE, "%s", switch_names[*(const bool *)from]);
        break;
    }
}

void options_init(struct daemon_options *options) {
    *options = (struct daemon_options){0};
    for (size_t i = 0; i < option_row_count; i++)
        option_set(options, &option_rows[i], option_rows[i].initial, "the defaults", -1, NULL);
}

void options_print(const struct daemon_options *options, FILE *to) {
    (void)fputs(
        "# Configuration of convnetd(8): see convnetd.conf(5). One `key = value` per line.\n"
        "# Each key is also a flag (--max-body 32M) and a variable (CONVNETD_MAX_BODY=32M);\n"
        "# flags win over variables, variables over this file.\n",
        to);
    for (size_t i = 0; i < option_row_count; i++) {
        char value[OPTION_VALUE_SIZE], rule[192];
        option_format(options, &option_rows[i], value);
        describe_rule(&option_rows[i], rule, sizeof rule);
        (void)fprintf(to, "\n# %s\n# Takes %s.\n%s =%s%s\n", option_rows[i].help, rule,
                      option_rows[i].name, value[0] != '\0' ? " " : "", value);
    }
}

/* ---- Rules between options ---- */

/* The first address that other machines can reach, or NULL. */
static const struct http_address *find_exposed(const struct http_address *addresses, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!http_address_is_loopback(&addresses[i].socket))
            return &addresses[i];
    return NULL;
}

/* No two sockets may need the same port of an address. The addresses behind the first `plain_count`
 * ones are those for TLS. */
static enum cn_status check_ports(const struct daemon_options *options,
                                  const struct http_address *addresses, size_t plain_count,
                                  size_t count, struct cn_error *error) {
    for (size_t i = 0; i < count * count; i++) {
        const size_t first = i / count, second = i % count;
        const struct http_address *a = &addresses[first], *b = &addresses[second];
        if (first >= second || !http_address_overlaps(a, b))
            continue;
        if (first < plain_count && second >= plain_count)
            return cn_fail(error, CN_INVALID,
                           "port %lld and tls-port %lld must differ: both would be used at %s",
                           options->port, options->tls_port, a->text);
        return cn_fail(error, CN_INVALID,
                       "%s has %s and %s, which would both use the same port: leave one out",
                       first < plain_count ? "address" : "tls-address", a->text, b->text);
    }
    return CN_OK;
}

/* An address that other machines can reach needs an authentication, and no two may share a port. */
static enum cn_status check_addresses(const struct daemon_options *options,
                                      struct cn_error *error) {
    struct http_address plain[2 * HTTP_MAX_ADDRESSES], *tls = plain;
    size_t plain_count = 0, tls_count = 0;
    enum cn_status status = http_addresses_read("address", options->address, (int)options->port,
                                                plain, &plain_count, error);
    tls += plain_count;
    if (status == CN_OK)
        status = http_addresses_read("tls-address", options->tls_address, (int)options->tls_port,
                                     tls, &tls_count, error);
    if (status == CN_OK)
        status = check_ports(options, plain, plain_count, plain_count + tls_count, error);
    if (status != CN_OK)
        return status;
    if (options->insecure || options->api_keys_file[0] != '\0')
        return CN_OK;
    const char *option = "address";
    const struct http_address *exposed = find_exposed(plain, plain_count);
    if (exposed == NULL && options->tls_client_ca[0] == '\0') {
        option = "tls-address";
        exposed = find_exposed(tls, tls_count);
    }
    if (exposed == NULL)
        return CN_OK;
    return cn_fail(error, CN_INVALID,
                   "%s %s is reachable from other machines without authentication: set "
                   "api-keys-file, or insecure = yes",
                   option, exposed->text);
}

static enum cn_status check_tls(const struct daemon_options *options, struct cn_error *error) {
    const bool certificate = options->tls_certificate[0] != '\0', key = options->tls_key[0] != '\0';
    if (certificate != key)
        return cn_fail(error, CN_INVALID,
                       "tls-certificate and tls-key need each other: %s is not set",
                       key ? "tls-certificate" : "tls-key");
    if (options->tls_address[0] != '\0' && !certificate)
        return cn_fail(error, CN_INVALID, "tls-address %s needs tls-certificate and tls-key",
                       options->tls_address);
    if (options->tls_client_ca[0] != '\0' && !certificate)
        return cn_fail(error, CN_INVALID, "tls-client-ca %s needs tls-certificate and tls-key",
                       options->tls_client_ca);
    return CN_OK;
}

enum cn_status options_check(const struct daemon_options *options, struct cn_error *error) {
    enum cn_status status = check_addresses(options, error);
    if (status == CN_OK)
        status = check_tls(options, error);
    if (status != CN_OK)
        return status;
    if (!http_cors_is_valid(options->cors_origin))
        return cn_fail(error, CN_INVALID,
                       "cors-origin '%.80s' must be none, * or a list of origins such as "
                       "https://example.org:8443",
                       options->cors_origin);
    if (!http_origin_hosts_are_valid(options->allowed_hosts))
        return cn_fail(error, CN_INVALID,
                       "allowed-hosts '%.80s' must be none, * or a list of host names such as "
                       "digits.example.org",
                       options->allowed_hosts);
    if (options->model_dir[0] != '\0' && strcmp(options->model, option_find("model")->initial) != 0)
        return cn_fail(error, CN_INVALID,
                       "model %s and model-dir %s exclude each other: set only one of them",
                       options->model, options->model_dir);
    if (options->max_images > options->queue_images)
        return cn_fail(error, CN_INVALID,
                       "max-images %lld must not be over queue-images %lld, or such a request is "
                       "always refused",
                       options->max_images, options->queue_images);
    return CN_OK;
}
