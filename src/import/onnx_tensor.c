/* onnx_tensor.c: decodes the constants of an ONNX file from the message, from raw bytes or from a
 * file beside the model. It computes nothing. Used by one thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "import/onnx_private.h"

enum { MOST_ELEMENTS = 1 << 28 };

static const struct {
    const char *name;
    int bytes; /* of an element in raw data */
} types[] = {
    [ONNX_FLOAT] = {"float32", 4},  [ONNX_UINT8] = {"uint8", 1},
    [ONNX_INT8] = {"int8", 1},      [ONNX_UINT16] = {"uint16", 2},
    [ONNX_INT16] = {"int16", 2},    [ONNX_INT32] = {"int32", 4},
    [ONNX_INT64] = {"int64", 8},    [ONNX_STRING] = {"string", 0},
    [ONNX_BOOL] = {"bool", 1},      [ONNX_FLOAT16] = {"float16", 2},
    [ONNX_DOUBLE] = {"float64", 8}, [ONNX_UINT32] = {"uint32", 4},
    [ONNX_UINT64] = {"uint64", 8},  [14] = {"complex64", 0},
    [15] = {"complex128", 0},       [ONNX_BFLOAT16] = {"bfloat16", 2},
};

static bool type_known(int type) {
    return type >= 1 && (size_t)type < sizeof types / sizeof *types;
}

const char *onnx_type_name(int type) {
    return type_known(type) ? types[type].name : "an unknown type";
}

bool onnx_is_float(int type) {
    return type == ONNX_FLOAT || type == ONNX_FLOAT16 || type == ONNX_DOUBLE ||
           type == ONNX_BFLOAT16;
}

bool onnx_count(struct onnx_import *import, const char *what, int rank, const int64_t *dims,
                size_t most, size_t *ret_count) {
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(count, (size_t)dims[i], &count) || count > most)
            return onnx_fail(
                import, dims[i] < 0 ? CN_MALFORMED : CN_LIMIT,
                "'%s' has a dimension of %lld; its size must be from 0 to %zu elements", what,
                (long long)dims[i], most);
    *ret_count = count;
    return true;
}

struct onnx_tensor *onnx_tensor_make(struct onnx_import *import, int type, int rank,
                                     const int64_t *dims) {
    size_t count;
    struct onnx_tensor *tensor = onnx_allocate(import, 1, sizeof *tensor);
    if (tensor == NULL || !onnx_count(import, "a constant", rank, dims, ONNX_MAX_FOLDED, &count))
        return NULL;
    tensor->type = type;
    tensor->rank = rank;
    for (int i = 0; i < rank; i++) /* a scalar has no array */
        tensor->dims[i] = dims[i];
    tensor->count = count;
    if (onnx_is_float(type))
        tensor->floats = onnx_allocate(import, count, sizeof(float));
    else
        tensor->integers = onnx_allocate(import, count, sizeof(int64_t));
    return tensor->floats != NULL || tensor->integers != NULL ? tensor : NULL;
}

float *onnx_floats(struct onnx_tensor *tensor) {
    return (float *)(uintptr_t)tensor->floats;
}

int64_t *onnx_integers(struct onnx_tensor *tensor) {
    return (int64_t *)(uintptr_t)tensor->integers;
}

double onnx_number(const struct onnx_tensor *tensor, size_t i) {
    return tensor->floats != NULL ? (double)tensor->floats[i] : (double)tensor->integers[i];
}

/* Converts to an integer type, out of range to the nearest value. */
static int64_t integer_clamped(double value) {
    if (value != value)
        return 0;
    if (value >= 9223372036854774784.0)
        return INT64_MAX;
    return value <= -9223372036854774784.0 ? INT64_MIN : (int64_t)value;
}

void onnx_set_number(struct onnx_tensor *tensor, size_t i, double value) {
    if (tensor->floats != NULL)
        onnx_floats(tensor)[i] = (float)value;
    else
        onnx_integers(tensor)[i] = tensor->type == ONNX_BOOL ? value != 0 : integer_clamped(value);
}

/* ---- Decoding ---- */

/* Decodes little-endian bytes of `type`. */
static void raw_decode(struct onnx_tensor *tensor, const unsigned char *raw) {
    const size_t width = (size_t)types[tensor->type].bytes;
    for (size_t i = 0; i < tensor->count; i++) {
        const unsigned char *at = raw + i * width;
        uint64_t bits = 0;
        for (size_t b = 0; b < width; b++)
            bits |= (uint64_t)at[b] << (8 * b);
        const uint32_t low = (uint32_t)bits;
        double wide;
        switch (tensor->type) {
        case ONNX_FLOAT:
            memcpy(&onnx_floats(tensor)[i], &low, sizeof low);
            break;
        case ONNX_DOUBLE:
            memcpy(&wide, &bits, sizeof wide);
            onnx_floats(tensor)[i] = (float)wide;
            break;
        case ONNX_FLOAT16:
            onnx_floats(tensor)[i] = cn_number_half((uint16_t)bits);
            break;
        case ONNX_BFLOAT16:
            onnx_floats(tensor)[i] = cn_number_brain((uint16_t)bits);
            break;
        case ONNX_INT8:
            onnx_integers(tensor)[i] = (int8_t)bits;
            break;
        case ONNX_INT16:
            onnx_integers(tensor)[i] = (int16_t)bits;
            break;
        case ONNX_INT32:
            onnx_integers(tensor)[i] = (int32_t)low;
            break;
        default:
            onnx_integers(tensor)[i] = (int64_t)bits;
        }
    }
}

/* Decodes the message's typed lists. False: there are too few numbers. */
static bool list_decode(struct onnx_tensor *tensor, const Onnx__TensorProto *proto) {
    const size_t count = tensor->count;
    switch (tensor->type) {
    case ONNX_FLOAT:
        if (proto->n_float_data == count && count > 0)
            memcpy(onnx_floats(tensor), proto->float_data, count * sizeof(float));
        return proto->n_float_data == count;
    case ONNX_DOUBLE:
        for (size_t i = 0; i < count && proto->n_double_data == count; i++)
            onnx_floats(tensor)[i] = (float)proto->double_data[i];
        return proto->n_double_data == count;
    case ONNX_INT64:
        if (proto->n_int64_data == count && count > 0)
            memcpy(onnx_integers(tensor), proto->int64_data, count * sizeof(int64_t));
        return proto->n_int64_data == count;
    case ONNX_UINT32:
    case ONNX_UINT64:
        for (size_t i = 0; i < count && proto->n_uint64_data == count; i++)
            onnx_integers(tensor)[i] = (int64_t)proto->uint64_data[i];
        return proto->n_uint64_data == count;
    default:
        for (size_t i = 0; i < count && proto->n_int32_data == count; i++) {
            const int32_t value = proto->int32_data[i];
            if (tensor->type == ONNX_FLOAT16)
                onnx_floats(tensor)[i] = cn_number_half((uint16_t)value);
            else if (tensor->type == ONNX_BFLOAT16)
                onnx_floats(tensor)[i] = cn_number_brain((uint16_t)value);
            else
                onnx_integers(tensor)[i] = value;
        }
        return proto->n_int32_data == count;
    }
}

/* ---- External data ---- */

/* True for a name within the model's own folder: no absolute path, no "..", no empty part. */
static bool location_safe(const char *location) {
    const size_t length = strlen(location);
    if (length == 0 || length > 1024 || location[0] == '/' || strchr(location, '\\') != NULL)
        return false;
    for (const char *part = location; part != NULL;) {
        const char *end = strchr(part, '/');
        const size_t size = end != NULL ? (size_t)(end - part) : strlen(part);
        if (size == 0 || (size == 2 && strncmp(part, "..", 2) == 0))
            return false;
        part = end != NULL ? end + 1 : NULL;
    }
    return true;
}

static bool number_read(const char *text, size_t *ret_value) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > (1ULL << 40))
        return false;
    *ret_value = (size_t)value;
    return true;
}

/* Opens `location` beside the model; links are not followed. */
static int external_open(struct onnx_import *import, const char *location) {
    const int file = import->folder < 0 ? -1
                                        : openat(import->folder, location,
                                                 O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat about;
    if (file < 0) {
        onnx_fail(import, CN_IO,
                  "the weights are in a file of their own, '%s' beside the model: %s", location,
                  import->folder < 0 ? "it was not given" : strerror(errno));
        return -1;
    }
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(file);
        onnx_fail(import, CN_MALFORMED, "'%s', where weights should be, is not a regular file",
                  location);
        return -1;
    }
    return file;
}

/* Reads `length` bytes at `offset` of the file that external_data names. NULL after onnx_fail. */
static unsigned char *external_read(struct onnx_import *import, const Onnx__TensorProto *proto,
                                    size_t length) {
    const char *location = NULL;
    size_t offset = 0, stated = length;
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (entry->key == NULL || entry->value == NULL)
            continue;
        bool sound = true;
        if (strcmp(entry->key, "location") == 0)
            location = entry->value;
        else if (strcmp(entry->key, "offset") == 0)
            sound = number_read(entry->value, &offset);
        else if (strcmp(entry->key, "length") == 0)
            sound = number_read(entry->value, &stated);
        if (!sound) {
            onnx_fail(import, CN_MALFORMED, "tensor '%s' has external data with %s '%.40s'",
                      proto->name != NULL ? proto->name : "", entry->key, entry->value);
            return NULL;
        }
    }
    if (location == NULL || !location_safe(location) || stated != length) {
        onnx_fail(
            import, CN_MALFORMED,
            "tensor '%s' has %zu bytes of external data at '%.100s'; %zu bytes in the model's "
            "own folder are required",
            proto->name != NULL ? proto->name : "", stated, location ? location : "", length);
        return NULL;
    }
    const int file = external_open(import, location);
    if (file < 0)
        return NULL;
    struct stat about;
    unsigned char *bytes = NULL;
    size_t got = 0;
    if (fstat(file, &about) != 0 || (size_t)about.st_size < offset ||
        (size_t)about.st_size - offset < length) {
        onnx_fail(import, CN_MALFORMED, "'%s' ends before the data of tensor '%s'", location,
                  proto->name != NULL ? proto->name : "");
        goto out;
    }
    bytes = onnx_allocate(import, length, 1);
    while (bytes != NULL && got < length) {
        const ssize_t part = pread(file, bytes + got, length - got, (off_t)(offset + got));
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0) {
            onnx_fail(import, CN_IO, "'%s' cannot be read: %s", location,
                      part < 0 ? strerror(errno) : "it has become shorter");
            bytes = NULL;
            break;
        }
        got += (size_t)part;
    }
out:
    close(file);
    return bytes;
}

const struct onnx_tensor *onnx_tensor_read(struct onnx_import *import, Onnx__TensorProto *proto) {
    const char *name = proto->name != NULL ? proto->name : "";
    const int type = proto->data_type;
    size_t count;
    if (!type_known(type) || types[type].bytes == 0) {
        onnx_fail(import, CN_UNSUPPORTED, "tensor '%s' is of %s (data type %d)", name,
                  onnx_type_name(type), type);
        return NULL;
    }
    if (proto->n_dims > ONNX_RANK) {
        onnx_fail(import, CN_UNSUPPORTED,
                  "tensor '%s' has %zu dimensions; at most %d are supported", name, proto->n_dims,
                  ONNX_RANK);
        return NULL;
    }
    if (!onnx_count(import, name, (int)proto->n_dims, proto->dims, MOST_ELEMENTS, &count))
        return NULL;
    const size_t bytes = count * (size_t)types[type].bytes;
    const bool external = proto->has_data_location && proto->data_location == 1;
    struct onnx_tensor *tensor = onnx_allocate(import, 1, sizeof *tensor);
    if (tensor == NULL)
        return NULL;
    tensor->type = type;
    tensor->rank = (int)proto->n_dims;
    if (proto->n_dims > 0)
        memcpy(tensor->dims, proto->dims, proto->n_dims * sizeof *proto->dims);
    tensor->count = count;
    const unsigned char *raw = NULL;
    if (external) {
        raw = external_read(import, proto, bytes);
        if (raw == NULL)
            return NULL;
    } else if (proto->has_raw_data && (proto->raw_data.len > 0 || count == 0)) {
        raw = proto->raw_data.data;
        if (proto->raw_data.len != bytes) {
            onnx_fail(import, CN_MALFORMED,
                      "tensor '%s' has %zu bytes of data; its shape needs %zu", name,
                      proto->raw_data.len, bytes);
            return NULL;
        }
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (raw != NULL && type == ONNX_FLOAT && (uintptr_t)raw % _Alignof(float) == 0) {
        tensor->floats = (const float *)(const void *)raw; /* exists as long as the message */
        return tensor;
    }
#endif
    if (onnx_is_float(type))
        tensor->floats = onnx_allocate(import, count, sizeof(float));
    else
        tensor->integers = onnx_allocate(import, count, sizeof(int64_t));
    if (tensor->floats == NULL && tensor->integers == NULL)
        return NULL;
    if (raw != NULL || count == 0) {
        if (count > 0)
            raw_decode(tensor, raw);
    } else if (!list_decode(tensor, proto)) {
        onnx_fail(import, CN_MALFORMED,
                  "tensor '%s' of %s has another number of elements than its shape's %zu", name,
                  onnx_type_name(type), count);
        return NULL;
    }
    return tensor;
}
