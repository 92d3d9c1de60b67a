/* known_models.c: finds the files of models that are called by a name. Opens none. No state but the
 * environment: call it before threads start. */
#include "model/known_models.h"
#include "base/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* The build makes places.h in the folder of an uninstalled program, beside a folder or a link
 * `models`. */
static const char *build_folder(char room[static PATH_MAX]) {
    char program[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program);
    const char *slash = length > 0 ? memrchr(program, '/', (size_t)length) : NULL;
    const int folder = slash != NULL ? (int)(slash - program) : 0;
    int used = snprintf(room, PATH_MAX, "%.*s/places.h", folder, program);
    if (folder == 0 || used >= PATH_MAX || !is_file(room))
        return "";
    (void)snprintf(room, PATH_MAX, "%.*s/models", folder, program);
    return room;
}

const char *cn_known_folder(enum cn_known_folder which, char room[static PATH_MAX]) {
    const char *variable = getenv("CONVNET_MODELSDIR");
    switch (which) {
    case CN_KNOWN_HERE:
        return "models";
    case CN_KNOWN_VARIABLE:
        return variable != NULL ? variable : "";
    case CN_KNOWN_BUILD:
        return build_folder(room);
    case CN_KNOWN_INSTALLED:
    case CN_KNOWN_FOLDERS:
        break;
    }
    return CN_MODELS_FOLDER;
}

bool cn_known_is_path(const char *argument) {
    return strchr(argument, '/') != NULL || cn_name_ends(argument, ".json") ||
           cn_name_ends(argument, ".safetensors") || is_file(argument);
}

bool cn_known_find(const char *name, const char *ending, enum cn_known_folder first,
                   char ret_path[static PATH_MAX]) {
    for (int i = (int)first; i < CN_KNOWN_FOLDERS; i++) {
        char room[PATH_MAX];
        const char *folder = cn_known_folder((enum cn_known_folder)i, room);
        const int length = snprintf(ret_path, PATH_MAX, "%s/%s%s", folder, name, ending);
        if (folder[0] != '\0' && length > 0 && length < PATH_MAX && is_file(ret_path))
            return true;
    }
    return false;
}
