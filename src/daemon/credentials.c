/* credentials.c: see credentials.h. It keeps no secret. Loading is thread-safe. */
#include "daemon/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"

/* Each option and the name of its credential. */
static const struct {
    const char *credential;
    size_t offset;
} credential_files[] = {
    {"api-keys", offsetof(struct daemon_options, api_keys_file)},
    {"tls-certificate", offsetof(struct daemon_options, tls_certificate)},
    {"tls-key", offsetof(struct daemon_options, tls_key)},
    {"tls-client-ca", offsetof(struct daemon_options, tls_client_ca)},
};

void credentials_take(struct daemon_options *options, const char *name, const char *path) {
    for (size_t i = 0; i < sizeof credential_files / sizeof *credential_files; i++) {
        char *option = (char *)options + credential_files[i].offset;
        if (strcmp(credential_files[i].credential, name) == 0 && option[0] == '\0' &&
            strlen(path) < OPTION_TEXT_SIZE)
            memcpy(option, path, strlen(path) + 1);
    }
}

void credentials_find(struct daemon_options *options) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; folder != NULL && i < sizeof credential_files / sizeof *credential_files;
         i++) {
        char path[OPTION_TEXT_SIZE];
        const int length =
            snprintf(path, sizeof path, "%s/%s", folder, credential_files[i].credential);
        if (length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0)
            credentials_take(options, credential_files[i].credential, path);
    }
}

static void warn_if_open(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
        log_write(LOG_LEVEL_WARNING,
                  "%s contains secrets, and every user can read it: chmod 600 it", path);
}

static enum cn_status read_keys(const struct daemon_options *options, struct http_keys **ret_keys,
                                struct cn_error *error) {
    if (options->api_keys_file[0] == '\0')
        return CN_OK;
    enum cn_status status = http_keys_read(options->api_keys_file, ret_keys, error);
    if (status == CN_OK)
        warn_if_open(options->api_keys_file);
    return status;
}

static enum cn_status read_tls(const struct daemon_options *options, struct http_tls **ret_tls,
                               struct cn_error *error) {
    const struct http_tls_files files = {
        .certificate = options->tls_certificate,
        .key = options->tls_key,
        .client_ca = options->tls_client_ca[0] != '\0' ? options->tls_client_ca : NULL,
        .priorities = options->tls_priorities};
    if (options->tls_certificate[0] == '\0')
        return CN_OK;
    enum cn_status status = http_tls_read(&files, ret_tls, error);
    if (status == CN_OK)
        warn_if_open(options->tls_key);
    return status;
}

static void log_certificate(const char *path, const struct http_tls *tls) {
    const long long left = http_tls_expiry(tls) - (long long)time(NULL);
    if (left < 0)
        log_write(LOG_LEVEL_WARNING,
                  "certificate read from %s; it has ended, clients will refuse it", path);
    else
        log_write(LOG_LEVEL_INFO, "certificate read from %s, valid for %lld days more", path,
                  left / 86400);
}

enum cn_status credentials_load(const struct daemon_options *options, struct http_server *server,
                                struct cn_error *error) {
    struct http_keys *keys = NULL;
    struct http_tls *tls = NULL;
    enum cn_status status = read_keys(options, &keys, error);
    if (status == CN_OK)
        status = read_tls(options, &tls, error);
    if (status != CN_OK || server == NULL) {
        http_keys_free(keys);
        http_tls_release(tls);
        return status;
    }
    if (keys != NULL)
        log_write(LOG_LEVEL_INFO, "%zu API keys read from %s", http_keys_count(keys),
                  options->api_keys_file);
    if (tls != NULL)
        log_certificate(options->tls_certificate, tls);
    http_server_set_keys(server, keys);
    http_server_set_tls(server, tls);
    return CN_OK;
}
