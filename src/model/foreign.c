/* foreign.c: see foreign.h. Parses nothing. No state. */
#include <stdbool.h>
#include <string.h>

#include "model/foreign.h"
#include "json/load.h"

static const char *const names[] = {
    [CN_FOREIGN_UNKNOWN] = "an unknown file",
    [CN_FOREIGN_HDF5] = "a Keras HDF5 file",
    [CN_FOREIGN_KERAS_ZIP] = "a Keras .keras file",
    [CN_FOREIGN_TORCH_ZIP] = "a PyTorch file",
    [CN_FOREIGN_TORCH_LEGACY] = "a PyTorch file",
    [CN_FOREIGN_JSON] = "a JSON file",
    [CN_FOREIGN_SAFETENSORS] = "a safetensors file",
    [CN_FOREIGN_ONNX] = "an ONNX file",
    [CN_FOREIGN_TFLITE] = "a TensorFlow Lite file",
    [CN_FOREIGN_SAVED_MODEL] = "a TensorFlow SavedModel",
};

static bool begins(const unsigned char *bytes, size_t length, const char *magic, size_t size) {
    return length >= size && memcmp(bytes, magic, size) == 0;
}

static bool holds(const unsigned char *bytes, size_t length, const char *text) {
    return memmem(bytes, length, text, strlen(text)) != NULL;
}

/* HDF5's signature is at 0 or, after a user block, at 512, 1024, ... */
static bool is_hdf5(const unsigned char *bytes, size_t length) {
    static const char magic[] = "\x89HDF\r\n\x1a\n";
    if (begins(bytes, length, magic, 8))
        return true;
    for (size_t at = 512; at + 8 <= length && at <= 65536; at *= 2)
        if (memcmp(bytes + at, magic, 8) == 0)
            return true;
    return false;
}

/* A safetensors file begins with the length of a JSON object. */
static bool is_safetensors(const unsigned char *bytes, size_t length) {
    return length > 9 && bytes[8] == '{' && bytes[6] == 0 && bytes[7] == 0;
}

static bool is_json(const unsigned char *bytes, size_t length) {
    size_t i = 0;
    while (i < length &&
           (bytes[i] == ' ' || bytes[i] == '\n' || bytes[i] == '\r' || bytes[i] == '\t'))
        i++;
    return i < length && bytes[i] == '{';
}

/* A ModelProto begins with its ir_version, field 1, a small varint. A SavedModel has the same field
 * 1, but its field 2 is a message that begins with a MetaGraph. */
static bool is_protobuf(const unsigned char *bytes, size_t length) {
    return length > 4 && bytes[0] == 0x08 && bytes[1] > 0 && bytes[1] < 32;
}

enum cn_foreign cn_foreign_recognize(const unsigned char *bytes, size_t length) {
    /* A zip first: HDF5 inside a .keras file may begin where the signature is sought below. */
    if (begins(bytes, length, "PK\x03\x04", 4) || begins(bytes, length, "PK\x05\x06", 4))
        return holds(bytes, length, "config.json") && !holds(bytes, length, "/data.pkl")
                   ? CN_FOREIGN_KERAS_ZIP
                   : CN_FOREIGN_TORCH_ZIP;
    if (is_hdf5(bytes, length))
        return CN_FOREIGN_HDF5;
    if (length > 8 && memcmp(bytes + 4, "TFL3", 4) == 0)
        return CN_FOREIGN_TFLITE;
    if (is_safetensors(bytes, length))
        return CN_FOREIGN_SAFETENSORS;
    if (length > 2 && bytes[0] == 0x80 && bytes[1] >= 1 && bytes[1] <= 5)
        return CN_FOREIGN_TORCH_LEGACY;
    if (is_json(bytes, length))
        return CN_FOREIGN_JSON;
    if (is_protobuf(bytes, length))
        return bytes[1] == 1 && bytes[2] == 0x12 ? CN_FOREIGN_SAVED_MODEL : CN_FOREIGN_ONNX;
    return CN_FOREIGN_UNKNOWN;
}

enum cn_status cn_foreign_refuse(enum cn_foreign kind, const char *name, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const char *base = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    (void)cn_text_show(base, shown);
    if (kind == CN_FOREIGN_TFLITE || kind == CN_FOREIGN_SAVED_MODEL)
        return cn_fail(error, CN_UNSUPPORTED,
                       "is %s, which is not imported; convert it first: python -m tf2onnx.convert "
                       "%s %s --output model.onnx",
                       names[kind], kind == CN_FOREIGN_TFLITE ? "--tflite" : "--saved-model",
                       kind == CN_FOREIGN_TFLITE ? shown : "FOLDER");
    if (kind == CN_FOREIGN_UNKNOWN)
        return cn_fail(error, CN_UNSUPPORTED,
                       "is not a known model file; known are Keras (.h5, .keras), "
                       "TensorFlow.js (model.json), PyTorch state dicts, safetensors and ONNX");
    return cn_fail(error, CN_UNSUPPORTED,
                   "is %s, not a model of this program; make one of it: convnet import %s -o "
                   "model.safetensors",
                   names[kind], shown);
}
