/* protobuf.c: see protobuf.h. No state. */
#include "cli/protobuf.h"

#include <stdlib.h>
#include <string.h>

/* The encoding of a field's value. */
enum wire { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_LENGTH = 2, WIRE_32_BITS = 5 };

static void put_varint(struct cn_text *text, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        protobuf_put_little(text, value | 0x80, 1);
    protobuf_put_little(text, value, 1);
}

static void put_key(struct cn_text *text, unsigned field, enum wire wire) {
    put_varint(text, field << 3 | (unsigned)wire);
}

void protobuf_put_little(struct cn_text *text, uint64_t value, int count) {
    for (int i = 0; i < count; i++) {
        const uint8_t byte = (uint8_t)(value >> 8 * i);
        cn_text_add_bytes(text, &byte, 1);
    }
}

void protobuf_add_int(struct cn_text *message, unsigned field, int64_t value) {
    put_key(message, field, WIRE_VARINT);
    put_varint(message, (uint64_t)value);
}

void protobuf_add_float(struct cn_text *message, unsigned field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(message, field, WIRE_32_BITS);
    protobuf_put_little(message, bits, 4);
}

void protobuf_add_double(struct cn_text *message, unsigned field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(message, field, WIRE_64_BITS);
    protobuf_put_little(message, bits, 8);
}

void protobuf_add_bytes(struct cn_text *message, unsigned field, const void *bytes, size_t length) {
    put_key(message, field, WIRE_LENGTH);
    put_varint(message, length);
    cn_text_add_bytes(message, bytes, length);
}

void protobuf_add_string(struct cn_text *message, unsigned field, const char *string) {
    protobuf_add_bytes(message, field, string, strlen(string));
}

void protobuf_add_message(struct cn_text *message, unsigned field, struct cn_text *part) {
    protobuf_add_bytes(message, field, part->bytes, part->length);
    message->failed |= part->failed;
    free(part->bytes);
    *part = (struct cn_text){0};
}
