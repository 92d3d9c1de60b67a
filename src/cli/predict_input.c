/* predict_input.c: the operands of `convnet predict` as inputs of a batch.
 *
 * Reads folders, IDX files, lists and standard input; the batch reads the pictures. One thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/predict_command.h"
#include "convnet/dataset.h"
#include "data/picture_list.h"

enum { MAX_DEPTH = 32, SIGNATURE = 512 /* a tar's first header */ };

static bool add_failure(struct batch *batch, enum cn_status status, const char *source,
                        const char *text) {
    struct cn_error error = {0};
    (void)cn_fail_at(&error, status, source, -1, "%s", text);
    return batch_add_failure(batch, &error);
}

/* ---- IDX files ---- */

/* True for IDX with bytes, or gzip, by the first bytes. */
static bool is_idx(const char *path) {
    unsigned char head[4] = {0};
    FILE *file = cn_picture_is_named(path) ? NULL : fopen(path, "rb");
    size_t length = file != NULL ? fread(head, 1, sizeof head, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    bool gzip = head[0] == 0x1f && head[1] == 0x8b;
    return length == sizeof head && (gzip || (head[0] == 0 && head[1] == 0 && head[2] == 8));
}

static bool add_idx(struct batch *batch, const struct cn_model *model, const char *path) {
    struct cn_dataset *data = NULL;
    struct cn_error error = {0};
    char name[PATH_MAX + 24], has[CN_SHAPE_TEXT], takes[CN_SHAPE_TEXT];
    const struct cn_shape *shape = &model->network->input_shape;
    enum cn_status status = cn_dataset_read_images(path, &data, &error);
    const bool fits = status == CN_OK && cn_shape_equal(&data->shape, shape);
    if (status == CN_OK && !fits && (shape->rank != 3 || shape->dims[2] != 1)) {
        status = cn_fail_at(&error, CN_INVALID, path, -1,
                            "holds images of shape %s, but the model takes %s",
                            cn_shape_format(&data->shape, has), cn_shape_format(shape, takes));
    }
    bool going = status == CN_OK || batch_add_failure(batch, &error);
    for (size_t i = 0; status == CN_OK && going && i < data->count; i++) {
        (void)snprintf(name, sizeof name, "%s#%zu", path, i);
        uint8_t *image = data->images + i * cn_shape_size(&data->shape);
        const struct cn_picture picture = {.width = data->shape.dims[1],
                                           .height = data->shape.dims[0],
                                           .channels = 1,
                                           .data = image};
        going = fits ? batch_add_image(batch, name, image)
                     : batch_add_other_size(batch, name, &picture);
    }
    cn_dataset_free(data);
    return going;
}

/* ---- Folders ---- */

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* True for a folder. Most file systems tell with the name, which saves a look at each file. */
static bool is_folder(const char *path, unsigned char type) {
    struct stat info;
    return type == DT_UNKNOWN ? lstat(path, &info) == 0 && S_ISDIR(info.st_mode) : type == DT_DIR;
}

/* Adds the pictures in and below a folder, sorted by name in each folder. Links to folders are not
 * followed; faults of files are found when they are read. */
static bool add_folder(struct batch *batch, const char *folder, int depth, size_t *found) {
    struct dirent **entries = NULL;
    bool going = true;
    if (depth > MAX_DEPTH) {
        (*found)++;
        return add_failure(batch, CN_UNSUPPORTED, folder,
                           "lies more than 32 folders deep; name it on the command line");
    }
    int count = scandir(folder, &entries, is_visible, alphasort);
    if (count < 0) {
        (*found)++; /* it has its own message */
        return add_failure(batch, CN_IO, folder, strerror(errno));
    }
    char path[PATH_MAX];
    for (int i = 0; i < count; i++) {
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        bool usable = going && length > 0 && length < PATH_MAX;
        const bool is_below = usable && is_folder(path, entries[i]->d_type);
        free(entries[i]);
        if (going && !usable) {
            (*found)++;
            going = add_failure(batch, CN_UNSUPPORTED, folder, "holds a path that is too long");
        } else if (is_below) {
            going = add_folder(batch, path, depth + 1, found);
        } else if (usable && cn_picture_is_named(path)) {
            (*found)++;
            going = batch_add_file(batch, path);
        }
    }
    free(entries);
    return going;
}

/* ---- Archives ---- */

/* Adds the pictures of a zip or tar, named as if it were a folder. */
static bool add_archive(struct batch *batch, const char *path, const void *bytes, size_t length) {
    struct cn_archive archive;
    struct cn_archive_member member;
    struct cn_error error = {0};
    bool found = true, going = true;
    size_t count = 0;
    enum cn_status status = cn_archive_open(bytes, length, &archive, &error);
    while (status == CN_OK && going) {
        char name[PATH_MAX + CN_MEMBER_NAME];
        status = cn_archive_next(&archive, &member, &found, &error);
        if (status != CN_OK || !found)
            break;
        if (cn_archive_is_picture(&member)) {
            (void)snprintf(name, sizeof name, "%s/%s", path, member.name);
            going = batch_add_member(batch, name, &member);
            count++;
        }
    }
    if (going && status != CN_OK)
        going = add_failure(batch, status, path, error.text);
    else if (going && count == 0)
        going = add_failure(batch, CN_INVALID, path, "holds no picture");
    return going && batch_flush(batch);
}

/* If the file is an archive, adds its pictures from a memory mapping. */
static bool add_if_archive(struct batch *batch, const char *path, bool *ret_going) {
    struct stat info;
    const int fd = cn_picture_is_named(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    void *bytes = MAP_FAILED;
    bool is_archive = false;
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes != MAP_FAILED) {
        is_archive = cn_archive_recognize(bytes, (size_t)info.st_size);
        if (is_archive)
            *ret_going = add_archive(batch, path, bytes, (size_t)info.st_size);
        (void)munmap(bytes, (size_t)info.st_size);
    }
    if (fd >= 0)
        (void)close(fd);
    return is_archive;
}

/* ---- Standard input ---- */

/* True if these may be the first bytes of a zip or tar. */
static bool may_be_archive(const unsigned char *head, size_t length) {
    return length == SIGNATURE &&
           (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head + 257, "ustar", 5) == 0);
}

/* Adds one picture or archive whose first `length` bytes are in `head`. */
static bool add_picture_stream(struct batch *batch, FILE *input, const unsigned char *head,
                               size_t length) {
    const size_t limit = may_be_archive(head, length) ? PREDICT_ARCHIVE_LIMIT : PREDICT_FILE_LIMIT;
    size_t size = 1 << 16;
    unsigned char *bytes = malloc(size);
    if (bytes != NULL)
        memcpy(bytes, head, length);
    while (bytes != NULL) {
        size_t more = fread(bytes + length, 1, size - length, input);
        length += more;
        if (length < size)
            break;
        if (size >= limit) {
            free(bytes);
            return add_failure(batch, CN_LIMIT, "-",
                               "a picture may have at most 64 MiB here, and an archive 1 GiB");
        }
        size *= 2;
        unsigned char *larger = realloc(bytes, size);
        if (larger == NULL)
            free(bytes);
        bytes = larger;
    }
    if (bytes == NULL)
        return add_failure(batch, CN_MEMORY, "-", "no memory for the picture");
    if (ferror(input)) {
        free(bytes);
        return true; /* the caller reports it */
    }
    if (cn_archive_recognize(bytes, length)) {
        const bool going = add_archive(batch, "-", bytes, length);
        free(bytes);
        return going;
    }
    return batch_add_png(batch, "-", bytes, length);
}

/* Adds raw images one after another; the first begins with `head`. */
static bool add_raw_stream(struct batch *batch, const struct cn_model *model, FILE *input,
                           const unsigned char *head, size_t head_length) {
    size_t size = cn_shape_size(&model->network->input_shape), index = 0;
    /* The head may be longer than an image of a small input. */
    unsigned char *image = malloc(size + SIGNATURE);
    char name[32], text[160];
    bool going = image != NULL || add_failure(batch, CN_MEMORY, "-", "no memory for an image");
    size_t length = head_length;
    if (image != NULL)
        memcpy(image, head, head_length);
    for (; going && image != NULL; index++) {
        if (length < size)
            length += fread(image + length, 1, size - length, input);
        if (length < size)
            break;
        (void)snprintf(name, sizeof name, "-#%zu", index);
        going = batch_add_image(batch, name, image);
        length -= size;
        memmove(image, image + size, length);
    }
    if (going && image != NULL && !ferror(input) && (length > 0 || index == 0)) {
        (void)snprintf(text, sizeof text,
                       "%zu bytes after %zu whole images: raw images have %zu bytes each", length,
                       index, size);
        going = add_failure(batch, CN_MALFORMED, "-", text);
    }
    free(image);
    return going;
}

/* After a recorded signal no row says what was cut, and the batch ends with what it has. */
static bool add_read_failure(struct batch *batch, const char *path) {
    return cli_interrupted() != 0 || add_failure(batch, CN_IO, path, "cannot be read");
}

static bool add_standard_input(struct batch *batch, const struct cn_model *model, bool raw) {
    unsigned char head[SIGNATURE];
    FILE *input = cli_open_input(NULL);
    if (input == NULL)
        return add_failure(batch, CN_IO, "-", strerror(errno));
    const size_t length = fread(head, 1, sizeof head, input);
    const bool picture = cn_picture_recognize(head, length) || cn_archive_recognize(head, length) ||
                         may_be_archive(head, length);
    bool going = true;
    if (!ferror(input) && !picture && !raw)
        going = add_failure(
            batch, CN_UNSUPPORTED, "-",
            "is not a picture and no zip or tar; raw images of one byte per sample need --raw");
    else if (!ferror(input))
        going = raw ? add_raw_stream(batch, model, input, head, length)
                    : add_picture_stream(batch, input, head, length);
    if (going && ferror(input))
        going = add_read_failure(batch, "-");
    (void)fclose(input);
    return going;
}

/* ---- Operands ---- */

bool input_add(struct batch *batch, const struct cn_model *model,
               const struct input_options *options, const char *operand) {
    struct stat info;
    size_t found = 0;
    if (strcmp(operand, "-") == 0)
        return add_standard_input(batch, model, options->raw);
    if (stat(operand, &info) != 0)
        return add_failure(batch, CN_IO, operand, strerror(errno));
    if (S_ISDIR(info.st_mode)) {
        return add_folder(batch, operand, 0, &found) &&
               (found > 0 || add_failure(batch, CN_INVALID, operand, "holds no picture"));
    }
    bool going = false;
    if (S_ISREG(info.st_mode) && add_if_archive(batch, operand, &going))
        return going;
    return S_ISREG(info.st_mode) && is_idx(operand) ? add_idx(batch, model, operand)
                                                    : batch_add_file(batch, operand);
}

bool input_add_list(struct batch *batch, const struct cn_model *model,
                    const struct input_options *options, const char *path) {
    bool going = true;
    const int end = options->null ? '\0' : '\n';
    FILE *file = cli_open_input(strcmp(path, "-") == 0 ? NULL : path);
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    if (file == NULL)
        return add_failure(batch, CN_IO, path, strerror(errno));
    /* With an error getdelim may return the beginning of a name. */
    while (going && (length = getdelim(&line, &size, end, file)) >= 0 && !ferror(file)) {
        if (length > 0 && line[length - 1] == end)
            line[--length] = '\0';
        if (strlen(line) < (size_t)length) {
            going = add_failure(batch, CN_INVALID, path,
                                "has a NUL byte: names that end with NUL need --null");
            break;
        } else if (line[0] != '\0') {
            going = input_add(batch, model, options, line);
        }
    }
    if (going && ferror(file))
        going = add_read_failure(batch, path);
    free(line);
    (void)fclose(file);
    return going;
}
