/* protobuf.h: messages in the encoding of Protocol Buffers, as far as this program writes them. A
 * failed allocation is seen at the end, as in json/write.h. */
#ifndef CONVNET_CLI_PROTOBUF_H
#define CONVNET_CLI_PROTOBUF_H

#include <stdint.h>

#include "json/write.h"

/* Each appends one field to a message. */
void protobuf_add_int(struct cn_text *message, unsigned field, int64_t value);
void protobuf_add_float(struct cn_text *message, unsigned field, float value);
void protobuf_add_double(struct cn_text *message, unsigned field, double value);
void protobuf_add_bytes(struct cn_text *message, unsigned field, const void *bytes, size_t length);
void protobuf_add_string(struct cn_text *message, unsigned field, const char *string);
/* Appends `part` as a field and empties it. */
void protobuf_add_message(struct cn_text *message, unsigned field, struct cn_text *part);

/* Appends the `count` low bytes of a number, the lowest first. */
void protobuf_put_little(struct cn_text *text, uint64_t value, int count);

#endif
