/* model_folder.c: lists the model files of a folder. Opens none of them. Blocking; no state. */
#include "serving/model_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char ending[] = ".safetensors";

int registry_order(const char *name, unsigned version, const char *other, unsigned other_version) {
    const int names = strcmp(name, other);
    return names != 0 ? names : (version > other_version) - (version < other_version);
}

static int by_order(const void *a, const void *b) {
    const struct registry_file *x = a, *y = b;
    return registry_order(x->name, x->version, y->name, y->version);
}

static void file_refuse(const struct registry_options *options, struct registry_files *files,
                        const char *path, const struct cn_error *why) {
    const struct registry_event event = {
        .kind = REGISTRY_EVENT_REFUSED, .path = path, .name = "", .error = why};
    if (++files->refused > REGISTRY_MAX_REFUSALS)
        return;
    if (options->report != NULL)
        options->report(options->data, &event);
}

/* Taken before the file is read: a change in between is seen at the next reload. */
static struct registry_stamp stamp_of(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return (struct registry_stamp){0};
    return (struct registry_stamp){.device = info.st_dev,
                                   .inode = info.st_ino,
                                   .size = (unsigned long long)info.st_size,
                                   .modified_seconds = info.st_mtim.tv_sec,
                                   .modified_nanoseconds = info.st_mtim.tv_nsec,
                                   .changed_seconds = info.st_ctim.tv_sec,
                                   .changed_nanoseconds = info.st_ctim.tv_nsec};
}

/* Adds a file and takes ownership of `path`. A bad name is an error for a single file, and only a
 * report for a folder. */
static enum cn_status file_add(const struct registry_options *options, struct registry_files *files,
                               char *path, struct cn_error *error) {
    struct registry_file file = {.path = path};
    struct cn_error why = {0};
    enum cn_status status = served_model_name(path, file.name, &file.version, &why);
    if (status != CN_OK && options->folder != NULL) {
        file_refuse(options, files, path, &why);
        free(path);
        return CN_OK;
    }
    if (status != CN_OK) {
        free(path);
        return cn_fail_at(error, status, why.source, -1, "%s", why.text);
    }
    if (files->count == files->capacity) {
        const size_t capacity = 2 * files->capacity + 16;
        struct registry_file *grown = realloc(files->files, capacity * sizeof *grown);
        if (grown == NULL) {
            free(path);
            return cn_fail(error, CN_MEMORY, "no memory for a list of %zu models", capacity);
        }
        files->files = grown;
        files->capacity = capacity;
    }
    file.stamp = stamp_of(path);
    files->files[files->count++] = file;
    return CN_OK;
}

/* Keeps the first of two files for one model and version, and reports the other. */
static void drop_duplicates(const struct registry_options *options, struct registry_files *files) {
    size_t kept = 0;
    for (size_t i = 0; i < files->count; i++) {
        struct registry_file *file = &files->files[i];
        const struct registry_file *last = kept > 0 ? &files->files[kept - 1] : NULL;
        struct cn_error why = {0};
        if (last == NULL || by_order(last, file) != 0) {
            files->files[kept++] = *file;
            continue;
        }
        (void)cn_fail_at(&why, CN_INVALID, file->path, -1, "is version %u of %s, but so is %s",
                         file->version, file->name, last->path);
        file_refuse(options, files, file->path, &why);
        free(file->path);
    }
    files->count = kept;
}

static bool is_model(const char *name) {
    const size_t length = strlen(name);
    return name[0] != '.' && length >= sizeof ending &&
           strcmp(name + length - (sizeof ending - 1), ending) == 0;
}

static enum cn_status scan_folder(const struct registry_options *options,
                                  struct registry_files *files, struct cn_error *error) {
    DIR *folder = opendir(options->folder);
    enum cn_status status = CN_OK;
    if (folder == NULL)
        return cn_fail_at(error, CN_IO, options->folder, -1, "cannot open the folder: %s",
                          strerror(errno));
    const struct dirent *entry;
    while (status == CN_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        char *path = NULL;
        if (!is_model(entry->d_name))
            continue;
        if (asprintf(&path, "%s/%s", options->folder, entry->d_name) < 0)
            status = cn_fail(error, CN_MEMORY, "no memory for a path");
        else
            status = file_add(options, files, path, error);
    }
    if (status == CN_OK && errno != 0)
        status = cn_fail_at(error, CN_IO, options->folder, -1, "cannot read the folder: %s",
                            strerror(errno));
    (void)closedir(folder);
    return status;
}

enum cn_status registry_scan(const struct registry_options *options, struct registry_files *files,
                             struct cn_error *error) {
    if (options->folder == NULL) {
        char *path = strdup(options->file);
        return path != NULL ? file_add(options, files, path, error)
                            : cn_fail(error, CN_MEMORY, "no memory for a path");
    }
    const enum cn_status status = scan_folder(options, files, error);
    if (status != CN_OK)
        return status;
    if (files->count > 0)
        qsort(files->files, files->count, sizeof *files->files, by_order);
    drop_duplicates(options, files);
    return CN_OK;
}

void registry_files_clear(struct registry_files *files) {
    for (size_t i = 0; i < files->count; i++)
        free(files->files[i].path);
    free(files->files);
    *files = (struct registry_files){0};
}
