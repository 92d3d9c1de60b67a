/* find_model.c: finds models and architectures by file or by name, and checks folders for writing.
 *
 * Reads through the library only. No shared state. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"
#include "cli/cli.h"
#include "model/known_models.h"

static bool is_listed(const char *list, const char *entry) {
    const char *place = strstr(list, entry);
    while (place != NULL && place != list && place[-1] != ' ')
        place = strstr(place + 1, entry);
    return place != NULL;
}

/* Appends the names with this ending in the folders of models to `list`, without repetitions. */
static void list_names(const char *ending, char *list, size_t size) {
    for (int i = 0; i < CN_KNOWN_FOLDERS; i++) {
        struct dirent **entries = NULL;
        char room[PATH_MAX];
        const char *folder = cn_known_folder((enum cn_known_folder)i, room);
        int count = folder[0] != '\0' ? scandir(folder, &entries, NULL, alphasort) : 0;
        for (int j = 0; j < count; j++) {
            char name[NAME_MAX + 3];
            size_t used = strlen(list), stem = strlen(entries[j]->d_name) - strlen(ending);
            if (cn_name_ends(entries[j]->d_name, ending)) {
                (void)snprintf(name, sizeof name, "%.*s, ", (int)stem, entries[j]->d_name);
                if (!is_listed(list, name) && used + strlen(name) < size)
                    (void)strcpy(list + used, name);
            }
            free(entries[j]);
        }
        free(entries);
    }
    size_t used = strlen(list);
    if (used > 0)
        list[used - 2] = '\0';
}

static enum cn_status unknown_name(const char *argument, const char *what, const char *ending,
                                   struct cn_error *error) {
    char list[200] = "";
    list_names(ending, list, sizeof list);
    return list[0] != '\0'
               ? cn_fail(error, CN_INVALID, "there is no %s file or name '%s'; known names: %s",
                         what, argument, list)
               : cn_fail(error, CN_INVALID,
                         "there is no %s file '%s', and no %s is known by a name: none is in the "
                         "folders models, $CONVNET_MODELSDIR and the installed one",
                         what, argument, what);
}

enum cn_status cli_architecture_find(const char *argument, struct cn_network **ret_network,
                                     struct cn_error *error) {
    char path[PATH_MAX];
    if (cn_known_is_path(argument))
        return cn_architecture_read(argument, ret_network, error);
    if (!cn_known_find(argument, ".json", CN_KNOWN_HERE, path))
        return unknown_name(argument, "architecture", ".json", error);
    return cn_architecture_read(path, ret_network, error);
}

static enum cn_status untrained_model(const char *path, struct cn_model **ret_model,
                                      struct cn_error *error) {
    struct cn_network *network = NULL;
    enum cn_status status = cn_architecture_read(path, &network, error);
    if (status != CN_OK)
        return status;
    cn_network_initialize(network, 0);
    return cn_model_create(network, ret_model, error);
}

enum cn_status cli_model_find(const char *argument, bool architectures, struct cn_model **ret_model,
                              bool *ret_trained, struct cn_error *error) {
    char path[PATH_MAX];
    bool by_path = cn_known_is_path(argument);
    bool trained = by_path ? !(architectures && cn_name_ends(argument, ".json"))
                           : cn_known_find(argument, ".safetensors", CN_KNOWN_HERE, path);
    if (!by_path && !trained &&
        !(architectures && cn_known_find(argument, ".json", CN_KNOWN_HERE, path)))
        return unknown_name(argument, "model", architectures ? ".json" : ".safetensors", error);
    if (ret_trained != NULL)
        *ret_trained = trained;
    const char *file = by_path ? argument : path;
    const enum cn_status status =
        trained ? cn_model_read(file, ret_model, error) : untrained_model(file, ret_model, error);
    /* A caller that asks for ret_trained only inspects the model; the others run it. */
    if (status == CN_OK && ret_trained == NULL && (*ret_model)->network->input_count > 1) {
        const size_t inputs = (*ret_model)->network->input_count;
        cn_model_free(*ret_model);
        *ret_model = NULL;
        return cn_fail_at(error, CN_UNSUPPORTED, file, -1,
                          "takes %zu inputs; this command needs a model with one input", inputs);
    }
    return status;
}

enum cn_status cli_check_writable(const char *path, struct cn_error *error) {
    char folder[PATH_MAX];
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return cn_fail_at(error, CN_IO, path, -1, "is a folder, not a file");
    const char *slash = strrchr(path, '/');
    int length = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    (void)snprintf(folder, sizeof folder, "%.*s", length, slash == NULL ? "." : path);
    if (access(folder, W_OK | X_OK) != 0) {
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: folder %s: %s", folder,
                          strerror(errno));
    }
    return CN_OK;
}
