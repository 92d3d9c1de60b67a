/* infer_types.c: THE list of datatypes that an input may have. A new one is a row and a function
 * that loads an element. Constant data. */
#include <math.h>
#include <string.h>

#include "api/oip/infer.h"

static uint64_t load_bits(const uint8_t *bytes, int size) {
    uint64_t bits = 0;
    for (int i = size; i-- > 0;)
        bits = bits << 8 | bytes[i];
    return bits;
}

/* The exact value beyond 255 does not matter, since it is refused. */
static float clip_unsigned(uint64_t value) {
    return value > 65535 ? 65536.0f : (float)value;
}

static float clip_signed(int64_t value) {
    return value < 0 ? -1.0f : clip_unsigned((uint64_t)value);
}

static float load_u8(const uint8_t *bytes) {
    return (float)bytes[0];
}

static float load_u16(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 2));
}

static float load_u32(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 4));
}

static float load_u64(const uint8_t *bytes) {
    return clip_unsigned(load_bits(bytes, 8));
}

static float load_i8(const uint8_t *bytes) {
    return clip_signed((int8_t)bytes[0]);
}

static float load_i16(const uint8_t *bytes) {
    return clip_signed((int16_t)load_bits(bytes, 2));
}

static float load_i32(const uint8_t *bytes) {
    return clip_signed((int32_t)load_bits(bytes, 4));
}

static float load_i64(const uint8_t *bytes) {
    return clip_signed((int64_t)load_bits(bytes, 8));
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float load_f32(const uint8_t *bytes) {
    return from_bits((uint32_t)load_bits(bytes, 4));
}

/* The upper half of a float. */
static float load_bf16(const uint8_t *bytes) {
    return from_bits((uint32_t)load_bits(bytes, 2) << 16);
}

/* IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction. */
static float load_f16(const uint8_t *bytes) {
    const uint32_t bits = (uint32_t)load_bits(bytes, 2);
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    if (exponent == 31)
        return NAN;
    const float magnitude = exponent == 0 ? ldexpf((float)fraction, -24)
                                          : ldexpf((float)(1024 + fraction), exponent - 25);
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

/* Rounding to float must not move a value outside of [0, 1] into it. */
static float load_f64(const uint8_t *bytes) {
    const uint64_t bits = load_bits(bytes, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value > 1 && value < 2 ? 2.0f : value < 0 && value > -1 ? -1.0f : (float)value;
}

static const struct infer_type types[] = {
    {"UINT8", INFER_SAMPLES, 1, true, load_u8},    {"UINT16", INFER_SAMPLES, 2, true, load_u16},
    {"UINT32", INFER_SAMPLES, 4, true, load_u32},  {"UINT64", INFER_SAMPLES, 8, true, load_u64},
    {"INT8", INFER_SAMPLES, 1, true, load_i8},     {"INT16", INFER_SAMPLES, 2, true, load_i16},
    {"INT32", INFER_SAMPLES, 4, true, load_i32},   {"INT64", INFER_SAMPLES, 8, true, load_i64},
    {"FP16", INFER_FRACTIONS, 2, false, load_f16}, {"BF16", INFER_FRACTIONS, 2, false, load_bf16},
    {"FP32", INFER_FRACTIONS, 4, true, load_f32},  {"FP64", INFER_FRACTIONS, 8, true, load_f64},
    {"BYTES", INFER_PICTURES, 0, true, NULL},
};

const struct infer_type *infer_type_find(struct json_string name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (cn_json_is(name, types[i].name))
            return &types[i];
    return NULL;
}
