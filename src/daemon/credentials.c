/* credentials.c: see credentials.h. Keeps no secret itself. Main thread only. */
#include "daemon/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"

/* Option and credential. */
static const struct {
    const char *credential;
    size_t offset;
} files[] = {
    {"api-keys", offsetof(struct daemon_options, api_keys_file)},
};

void credentials_find(struct daemon_options *options) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    for (size_t i = 0; folder != NULL && i < sizeof files / sizeof *files; i++) {
        char path[OPTION_TEXT_SIZE], *option = (char *)options + files[i].offset;
        const int length = snprintf(path, sizeof path, "%s/%s", folder, files[i].credential);
        if (option[0] == '\0' && length > 0 && (size_t)length < sizeof path &&
            access(path, F_OK) == 0)
            memcpy(option, path, (size_t)length + 1);
    }
}

static void warn_if_open(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
        log_write(LOG_LEVEL_WARNING, "%s holds secrets and is open to every user: chmod 600 it",
                  path);
}

enum cn_status credentials_load(const struct daemon_options *options, struct http_server *server,
                                struct cn_error *error) {
    struct http_keys *keys = NULL;
    enum cn_status status = CN_OK;
    if (options->api_keys_file[0] != '\0')
        status = http_keys_read(options->api_keys_file, &keys, error);
    if (status != CN_OK)
        return status;
    if (keys != NULL) {
        warn_if_open(options->api_keys_file);
        log_write(LOG_LEVEL_INFO, "%zu API keys read from %s", http_keys_count(keys),
                  options->api_keys_file);
    }
    if (server != NULL)
        http_server_set_keys(server, keys);
    else
        http_keys_free(keys);
    return CN_OK;
}
