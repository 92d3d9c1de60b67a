/* unit_file.c: see unit_file.h. Reads what concerns the daemon's options of a unit's [Service]
 * section and of its drop-ins, in systemd's order; starts nothing and asks no service manager. Main
 * thread. */
#include "daemon/unit_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/names.h"

/* The folders that administrators, packages and generators use (`systemd-analyze unit-paths`). */
#define SYSTEM_FOLDERS                                                                             \
    "/etc/systemd/system.control:/run/systemd/system.control:/run/systemd/transient:"              \
    "/run/systemd/generator.early:/etc/systemd/system:/run/systemd/system:"                        \
    "/run/systemd/generator:/usr/local/lib/systemd/system:/usr/lib/systemd/system:"                \
    "/lib/systemd/system:/run/systemd/generator.late"

enum { MAX_FOLDERS = 32, MAX_DROP_INS = 128, NAME_SIZE = 256 };

struct unit_folders {
    char *text;
    const char *paths[MAX_FOLDERS];
    size_t count;
};

/* A list that ends with a colon has the usual folders behind its own. */
static enum cn_status folders_find(struct unit_folders *ret_folders, struct cn_error *error) {
    const char *own = getenv("SYSTEMD_UNIT_PATH");
    const size_t length = own != NULL ? strlen(own) : 0;
    const bool usual = length == 0 || own[length - 1] == ':';
    const size_t size = length + sizeof SYSTEM_FOLDERS + 1;
    char *rest = NULL;
    ret_folders->text = malloc(size);
    if (ret_folders->text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory to look for the unit");
    (void)snprintf(ret_folders->text, size, "%s%s", own != NULL ? own : "",
                   usual ? SYSTEM_FOLDERS : "");
    for (char *path = strtok_r(ret_folders->text, ":", &rest);
         path != NULL && ret_folders->count < MAX_FOLDERS; path = strtok_r(NULL, ":", &rest))
        ret_folders->paths[ret_folders->count++] = path;
    return CN_OK;
}

/* ---- Words ---- */

static void words_clear(char **words, size_t *count) {
    while (*count > 0) {
        free(words[--*count]);
        words[*count] = NULL;
    }
}

/* The next word of *from, without its quotes and escapes, malloc'd; NULL at the end or without
 * memory. */
static char *word_next(const char **from) {
    const char *c = *from + strspn(*from, " \t");
    char *word = *c != '\0' ? malloc(strlen(c) + 1) : NULL, *to = word, quote = '\0';
    for (; word != NULL && *c != '\0' && (quote != '\0' || strchr(" \t", *c) == NULL); c++) {
        if (*c == quote || (quote == '\0' && (*c == '"' || *c == '\''))) {
            quote = quote == '\0' ? *c : '\0';
            continue;
        }
        if ((*c == '\\' && c[1] != '\0') || (*c == '%' && c[1] == '%'))
            c++;
        *to++ = *c;
    }
    if (word != NULL)
        *to = '\0';
    *from = c;
    return word;
}

/* Adds the words of `text`; an empty text removes all words so far, as in systemd. */
static enum cn_status words_add(const char *text, char **words, size_t most, size_t *count,
                                struct cn_error *error) {
    char *word;
    if (*text == '\0')
        words_clear(words, count);
    while ((word = word_next(&text)) != NULL) {
        if (*count == most) {
            free(word);
            return cn_fail(error, CN_LIMIT, "there are over %zu words", most);
        }
        words[(*count)++] = word;
    }
    return CN_OK;
}

/* ---- Settings ---- */

static bool is_setting(const char *line, const char *name, const char **ret_value) {
    const size_t length = strlen(name);
    if (strncmp(line, name, length) != 0)
        return false;
    line += length;
    line += strspn(line, " \t");
    if (*line != '=')
        return false;
    *ret_value = line + 1 + strspn(line + 1, " \t");
    return true;
}

static bool is_yes(const char *value) {
    static const char *const words[] = {"yes", "true", "on", "1", NULL};
    return cn_name_index(words, value) >= 0;
}

static void credentials_clear(struct unit_file *unit) {
    while (unit->credential_count > 0)
        free(unit->credentials[--unit->credential_count].name); /* the path is behind it */
}

static enum cn_status credential_add(struct unit_file *unit, const char *value,
                                     struct cn_error *error) {
    if (*value == '\0') {
        credentials_clear(unit);
        return CN_OK;
    }
    const char *colon = strchr(value, ':');
    if (colon == NULL || colon[1] != '/')
        return cn_fail(error, CN_UNSUPPORTED,
                       "LoadCredential=%.80s names no file from the root: it cannot be checked",
                       value);
    if (unit->credential_count == UNIT_MAX_CREDENTIALS)
        return cn_fail(error, CN_LIMIT, "there are over %d credentials", UNIT_MAX_CREDENTIALS);
    char *name = strdup(value);
    if (name == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a credential");
    name[colon - value] = '\0';
    unit->credentials[unit->credential_count++] =
        (struct unit_credential){.name = name, .path = name + (colon - value) + 1};
    return CN_OK;
}

/* Takes one whole line of [Service]. */
static enum cn_status take_setting(struct unit_file *unit, const char *line,
                                   struct cn_error *error) {
    static const char *const hidden[] = {"SetCredential", "SetCredentialEncrypted",
                                         "LoadCredentialEncrypted"};
    const char *value = "";
    if (is_setting(line, "DynamicUser", &value))
        unit->other_user = is_yes(value);
    else if (is_setting(line, "User", &value))
        unit->other_user = *value != '\0' && strcmp(value, "root") != 0 && strcmp(value, "0") != 0;
    else if (is_setting(line, "ProtectHome", &value))
        unit->no_homes = is_yes(value) || strcmp(value, "tmpfs") == 0;
    else if (is_setting(line, "PrivateTmp", &value))
        unit->own_temporary = is_yes(value);
    if (is_setting(line, "LoadCredential", &value))
        return credential_add(unit, value, error);
    if (is_setting(line, "ExecStart", &value))
        return words_add(value, unit->words, UNIT_MAX_WORDS, &unit->word_count, error);
    if (is_setting(line, "Environment", &value))
        return words_add(value, unit->variables, UNIT_MAX_VARIABLES, &unit->variable_count, error);
    if (is_setting(line, "EnvironmentFile", &value) && *value != '\0')
        return cn_fail(error, CN_UNSUPPORTED,
                       "EnvironmentFile=%.80s is not read: its options cannot be checked", value);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (is_setting(line, hidden[i], &value) && *value != '\0')
            return cn_fail(error, CN_UNSUPPORTED,
                           "%s=%.*s: what is in a unit or encrypted cannot be checked", hidden[i],
                           (int)strcspn(value, ":"), value);
    return CN_OK;
}

/* ---- Files ---- */

/* Reads a whole line with its continuations; *line becomes the number of the next one. False at the
 * end. */
static bool line_read(FILE *file, char **text, size_t *size, long long *line) {
    char *part = NULL;
    size_t part_size = 0, length = 0;
    ssize_t got;
    bool more = true, any = false;
    while (more && (got = getline(&part, &part_size, file)) >= 0) {
        any = true;
        ++*line;
        while (got > 0 && (part[got - 1] == '\n' || part[got - 1] == '\r'))
            got--;
        more = got > 0 && part[got - 1] == '\\';
        if (more)
            part[got - 1] = ' ';
        char *larger = realloc(*text, length + (size_t)got + 1);
        if (larger == NULL)
            break;
        *text = larger;
        *size = length + (size_t)got + 1;
        memcpy(*text + length, part, (size_t)got);
        length += (size_t)got;
        (*text)[length] = '\0';
    }
    free(part);
    while (any && length > 0 && strchr(" \t", (*text)[length - 1]) != NULL)
        (*text)[--length] = '\0';
    return any && *text != NULL;
}

static enum cn_status file_take(struct unit_file *unit, const char *path, struct cn_error *error) {
    FILE *file = fopen(path, "re");
    struct cn_error fault = {0};
    enum cn_status status = CN_OK;
    char *text = NULL;
    size_t size = 0;
    long long line = 0;
    bool service = false;
    if (file == NULL)
        return cn_fail_at(error, CN_IO, path, -1, "cannot be opened: %s", strerror(errno));
    while (status == CN_OK && line_read(file, &text, &size, &line)) {
        const char *from = text + strspn(text, " \t");
        if (*from == '[')
            service = strncmp(from, "[Service]", 9) == 0;
        else if (service && *from != '#' && *from != ';')
            status = take_setting(unit, from, &fault);
    }
    if (status == CN_OK && ferror(file))
        status = cn_fail(&fault, CN_IO, "cannot be read");
    free(text);
    (void)fclose(file);
    return status == CN_OK ? CN_OK : cn_fail_at(error, status, path, line, "%s", fault.text);
}

static enum cn_status unit_take(struct unit_file *unit, const struct unit_folders *folders,
                                const char *name, struct cn_error *error) {
    char path[PATH_MAX];
    struct stat info;
    for (size_t i = 0; i < folders->count; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folders->paths[i], name);
        if (stat(path, &info) != 0)
            continue;
        return S_ISREG(info.st_mode)
                   ? file_take(unit, path, error)
                   : cn_fail_at(error, CN_INVALID, path, -1, "the unit is masked: it never starts");
    }
    return cn_fail(error, CN_IO, "there is no unit %.80s", name);
}

/* ---- Drop-ins ---- */

struct drop_in {
    char name[NAME_SIZE], path[PATH_MAX];
};

static int drop_in_compare(const void *a, const void *b) {
    return strcmp(((const struct drop_in *)a)->name, ((const struct drop_in *)b)->name);
}

/* Adds the drop-ins of one folder, except for names that an earlier folder had. */
static void drop_ins_find(const char *folder, struct drop_in *list, size_t *count) {
    DIR *opened = opendir(folder);
    const struct dirent *entry;
    while (opened != NULL && *count < MAX_DROP_INS && (entry = readdir(opened)) != NULL) {
        const size_t length = strlen(entry->d_name);
        struct drop_in *next = &list[*count];
        bool taken = length <= 5 || strcmp(entry->d_name + length - 5, ".conf") != 0 ||
                     entry->d_name[0] == '.' || length >= sizeof next->name;
        for (size_t i = 0; i < *count && !taken; i++)
            taken = strcmp(list[i].name, entry->d_name) == 0;
        if (taken)
            continue;
        memcpy(next->name, entry->d_name, length + 1);
        if (snprintf(next->path, sizeof next->path, "%s/%s", folder, entry->d_name) < PATH_MAX)
            ++*count;
    }
    if (opened != NULL)
        (void)closedir(opened);
}

static enum cn_status drop_ins_take(struct unit_file *unit, const struct unit_folders *folders,
                                    const char *name, struct cn_error *error) {
    struct drop_in *list = malloc(MAX_DROP_INS * sizeof *list);
    enum cn_status status = CN_OK;
    size_t count = 0;
    if (list == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the unit's drop-ins");
    for (size_t i = 0; i < folders->count; i++) {
        char folder[PATH_MAX];
        (void)snprintf(folder, sizeof folder, "%s/%s.d", folders->paths[i], name);
        drop_ins_find(folder, list, &count);
    }
    qsort(list, count, sizeof *list, drop_in_compare);
    for (size_t i = 0; i < count && status == CN_OK; i++)
        status = file_take(unit, list[i].path, error);
    free(list);
    return status;
}

enum cn_status unit_file_read(const char *name, struct unit_file *ret_unit,
                              struct cn_error *error) {
    struct unit_folders folders = {0};
    char file[NAME_SIZE];
    *ret_unit = (struct unit_file){0};
    const int length =
        snprintf(file, sizeof file, "%s%s", name, strchr(name, '.') != NULL ? "" : ".service");
    if (strchr(name, '/') != NULL || length >= (int)sizeof file || name[0] == '\0')
        return cn_fail(error, CN_INVALID, "unit '%.80s' must be a name such as convnetd.service",
                       name);
    enum cn_status status = folders_find(&folders, error);
    if (status == CN_OK)
        status = unit_take(ret_unit, &folders, file, error);
    if (status == CN_OK)
        status = drop_ins_take(ret_unit, &folders, file, error);
    free(folders.text);
    if (status == CN_OK && ret_unit->word_count == 0)
        status = cn_fail(error, CN_INVALID, "unit %.80s has no ExecStart", file);
    return status;
}

/* ---- What the service may read ---- */

/* True if a user without rights of its own can read the file or folder, judged by the modes. */
static bool others_may_read(const char *path) {
    char part[PATH_MAX];
    struct stat info;
    if (strlen(path) >= sizeof part || stat(path, &info) != 0)
        return true; /* opening it will tell why it cannot be read */
    if ((info.st_mode & S_IROTH) == 0 || (S_ISDIR(info.st_mode) && (info.st_mode & S_IXOTH) == 0))
        return false;
    memcpy(part, path, strlen(path) + 1);
    for (char *slash; (slash = strrchr(part, '/')) != NULL && slash > part;) {
        *slash = '\0';
        if (stat(part, &info) == 0 && (info.st_mode & S_IXOTH) == 0)
            return false;
    }
    return true;
}

static bool is_below(const char *path, const char *folder) {
    const size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && path[length] == '/';
}

static enum cn_status check_file(const struct unit_file *unit, const char *option, const char *path,
                                 struct cn_error *error) {
    static const char *const homes[] = {"/home", "/root", "/run/user"};
    if (path[0] == '\0')
        return CN_OK;
    for (size_t i = 0; i < unit->credential_count; i++)
        if (strcmp(unit->credentials[i].path, path) == 0) /* root reads it for the service */
            return CN_OK;
    for (size_t i = 0; i < sizeof homes / sizeof *homes && unit->no_homes; i++)
        if (is_below(path, homes[i]))
            return cn_fail_at(
                error, CN_IO, path, -1,
                "the service sees no files below %s (ProtectHome): move what %s names", homes[i],
                option);
    if (unit->own_temporary && (is_below(path, "/tmp") || is_below(path, "/var/tmp")))
        return cn_fail_at(error, CN_IO, path, -1,
                          "the service has a /tmp of its own (PrivateTmp): move what %s names",
                          option);
    if (unit->other_user && geteuid() == 0 && !others_may_read(path))
        return cn_fail_at(error, CN_IO, path, -1,
                          "the service's user cannot read what %s names: let others read it, or "
                          "hand it over with LoadCredential",
                          option);
    return CN_OK;
}

enum cn_status unit_file_check(const struct unit_file *unit, const struct daemon_options *options,
                               struct cn_error *error) {
    const bool folder = options->model_dir[0] != '\0';
    const struct {
        const char *option, *path;
    } files[] = {
        {"--config", options_configuration()},
        {folder ? "model-dir" : "model", folder ? options->model_dir : options->model_file},
        {"trusted-keys", options->trusted_keys},
        {"api-keys-file", options->api_keys_file},
        {"tls-certificate", options->tls_certificate},
        {"tls-key", options->tls_key},
        {"tls-client-ca", options->tls_client_ca}};
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == CN_OK; i++)
        status = check_file(unit, files[i].option, files[i].path, error);
    return status;
}
