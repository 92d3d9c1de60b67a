/* event_log.c: see event_log.h. A file is a sequence of records
 * (tensorflow/core/lib/io/record_writer.h: length, its checksum, bytes, their checksum). Each is an
 * Event (tensorflow/core/util/event.proto) in protobuf's encoding. Only seven fields are needed, so
 * they are written here without a protobuf library. One thread. */
#include "cli/event_log.h"
#include "cli/train.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_BYTES = 512, PATH_BYTES = 4096 };

struct event_log {
    FILE *file;
    char path[PATH_BYTES];
    uint32_t table[256]; /* for CRC-32C, indexed by byte */
};

/* A message that is being written; large enough for all messages here. */
struct message {
    unsigned char bytes[EVENT_BYTES];
    size_t length;
};

static void put_bytes(struct message *message, const void *bytes, size_t length) {
    if (length <= sizeof message->bytes - message->length) {
        memcpy(message->bytes + message->length, bytes, length);
        message->length += length;
    }
}

static void put_varint(struct message *message, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        put_bytes(message, &(unsigned char){(unsigned char)(value | 0x80)}, 1);
    }
    put_bytes(message, &(unsigned char){(unsigned char)value}, 1);
}

/* A field's key: its number, and how its value is written. */
enum wire { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_LENGTH = 2, WIRE_32_BITS = 5 };

static void put_key(struct message *message, unsigned field, enum wire wire) {
    put_varint(message, field << 3 | (unsigned)wire);
}

static void put_part(struct message *message, unsigned field, const void *bytes, size_t length) {
    put_key(message, field, WIRE_LENGTH);
    put_varint(message, length);
    put_bytes(message, bytes, length);
}

/* Appends a number of 4 or 8 bytes in little-endian order. */
static void put_little(struct message *message, uint64_t value, int count) {
    for (int i = 0; i < count; i++) {
        put_bytes(message, &(unsigned char){(unsigned char)(value >> 8 * i)}, 1);
    }
}

/* ---- Records ---- */

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), reflected. */
static void fill_table(uint32_t table[static 256]) {
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) {
            table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
}

/* Record_writer.h rotates and offsets checksums, since the bytes may contain checksums themselves.
 */
static uint32_t masked_checksum(const struct event_log *log, const void *bytes, size_t length) {
    const unsigned char *next = bytes;
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < length; i++) {
        sum = sum >> 8 ^ log->table[(sum ^ next[i]) & 0xff];
    }
    sum = ~sum;
    return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static enum cn_status write_record(struct event_log *log, const struct message *event,
                                   struct cn_error *error) {
    struct message head = {.length = 0}, tail = {.length = 0};
    put_little(&head, event->length, 8);
    put_little(&head, masked_checksum(log, head.bytes, head.length), 4);
    put_little(&tail, masked_checksum(log, event->bytes, event->length), 4);
    return fwrite(head.bytes, 1, head.length, log->file) == head.length &&
                   fwrite(event->bytes, 1, event->length, log->file) == event->length &&
                   fwrite(tail.bytes, 1, tail.length, log->file) == tail.length &&
                   fflush(log->file) == 0
               ? CN_OK
               : cn_fail_at(error, CN_IO, log->path, -1, "cannot be written: %s", strerror(errno));
}

/* ---- Events ---- */

/* Event: wall_time = 1, step = 2. */
static struct message begin_event(int64_t step) {
    struct message event = {.length = 0};
    struct timespec now;
    uint64_t bits;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(&event, 1, WIRE_64_BITS);
    put_little(&event, bits, 8);
    if (step > 0) {
        put_key(&event, 2, WIRE_VARINT);
        put_varint(&event, (uint64_t)step);
    }
    return event;
}

/* Summary.Value: tag = 1, simple_value = 2. Summary: value = 1. NaN is not written. */
static void add_value(struct message *summary, const char *tag, double value) {
    struct message message = {.length = 0};
    const float number = (float)value;
    uint32_t bits;
    if (!isfinite(value)) {
        return;
    }
    memcpy(&bits, &number, sizeof bits);
    put_part(&message, 1, tag, strlen(tag));
    put_key(&message, 2, WIRE_32_BITS);
    put_little(&message, bits, 4);
    put_part(summary, 1, message.bytes, message.length);
}

enum cn_status event_log_epoch(struct event_log *log, const struct cn_epoch_record *record,
                               struct cn_error *error) {
    struct message event = begin_event(record->epoch), summary = {.length = 0};
    add_value(&summary, "epoch_loss", record->loss);
    add_value(&summary, "epoch_accuracy", record->accuracy);
    add_value(&summary, "epoch_val_loss", record->validation_loss);
    add_value(&summary, "epoch_val_accuracy", record->validation_accuracy);
    add_value(&summary, "epoch_learning_rate", record->learning_rate);
    for (size_t i = 0; i < TRAIN_MEANS; i++) {
        char tag[48];
        (void)snprintf(tag, sizeof tag, "epoch_%s", train_means[i].name);
        add_value(&summary, tag, train_mean(record, i));
    }
    put_part(&event, 5, summary.bytes, summary.length); /* Event: summary = 5 */
    return write_record(log, &event, error);
}

enum cn_status event_log_open(const char *folder, struct event_log **ret_log,
                              struct cn_error *error) {
    static const char version[] = "brain.Event:2";
    char host[64] = "host";
    struct event_log *log = calloc(1, sizeof *log);
    if (log == NULL) {
        return cn_fail(error, CN_MEMORY, "no memory for an event file");
    }
    fill_table(log->table);
    (void)gethostname(host, sizeof host - 1);
    const int length =
        snprintf(log->path, sizeof log->path, "%s/events.out.tfevents.%lld.%s.%ld.v2", folder,
                 (long long)time(NULL), host, (long)getpid());
    enum cn_status status = CN_OK;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        status = cn_fail_at(error, CN_IO, folder, -1, "cannot be made: %s", strerror(errno));
    } else if (length < 0 || length >= PATH_BYTES) {
        status =
            cn_fail_at(error, CN_INVALID, folder, -1,
                       "the name of the log's file is longer than %zu bytes", sizeof log->path - 1);
    } else if ((log->file = fopen(log->path, "wb")) == NULL) {
        status = cn_fail_at(error, CN_IO, log->path, -1, "cannot be written: %s", strerror(errno));
    } else {
        struct message event = begin_event(0);
        put_part(&event, 3, version, sizeof version - 1); /* Event: file_version = 3 */
        status = write_record(log, &event, error);
    }
    if (status != CN_OK) {
        event_log_close(log);
        return status;
    }
    *ret_log = log;
    return CN_OK;
}

void event_log_close(struct event_log *log) {
    if (log != NULL && log->file != NULL) {
        (void)fclose(log->file);
    }
    free(log);
}
