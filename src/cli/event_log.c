/* event_log.c: see event_log.h. A file is a sequence of records
 * (tensorflow/core/lib/io/record_writer.h: length, its checksum, bytes, their checksum). Each is an
 * Event (tensorflow/core/util/event.proto) in protobuf's encoding. One thread. */
#include "cli/event_log.h"
#include "cli/protobuf.h"
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

enum { PATH_BYTES = 4096 };

struct event_log {
    FILE *file;
    char path[PATH_BYTES];
    uint32_t table[256]; /* for CRC-32C, indexed by byte */
};

/* ---- Records ---- */

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), reflected. */
static void fill_table(uint32_t table[static 256]) {
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ ((table[i] & 1) != 0 ? 0x82f63b78u : 0);
    }
}

/* Record_writer.h rotates and offsets checksums, since the bytes may contain checksums themselves.
 */
static uint32_t masked_checksum(const struct event_log *log, const void *bytes, size_t length) {
    const unsigned char *next = bytes;
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < length; i++)
        sum = sum >> 8 ^ log->table[(sum ^ next[i]) & 0xff];
    sum = ~sum;
    return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

/* Writes an event as a record, and empties it. */
static enum cn_status write_record(struct event_log *log, struct cn_text *event,
                                   struct cn_error *error) {
    struct cn_text record = {0};
    size_t length = 0;
    protobuf_put_little(&record, event->length, 8);
    protobuf_put_little(&record, masked_checksum(log, record.bytes, record.length), 4);
    cn_text_add_bytes(&record, event->bytes, event->length);
    protobuf_put_little(&record, masked_checksum(log, event->bytes, event->length), 4);
    record.failed |= event->failed;
    char *bytes = cn_text_take(&record, &length);
    free(event->bytes);
    *event = (struct cn_text){0};
    const bool good =
        bytes == NULL || (fwrite(bytes, 1, length, log->file) == length && fflush(log->file) == 0);
    const int number = errno;
    free(bytes);
    return bytes == NULL ? cn_fail(error, CN_MEMORY, "no memory for an event")
           : good
               ? CN_OK
               : cn_fail_at(error, CN_IO, log->path, -1, "cannot be written: %s", strerror(number));
}

/* ---- Events ---- */

/* Event: wall_time = 1, step = 2. */
static struct cn_text begin_event(int64_t step) {
    struct cn_text event = {0};
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    protobuf_add_double(&event, 1, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
    if (step > 0)
        protobuf_add_int(&event, 2, step);
    return event;
}

/* Summary.Value: tag = 1, simple_value = 2. Summary: value = 1. NaN is not written. */
static void add_value(struct cn_text *summary, const char *tag, double value) {
    struct cn_text message = {0};
    if (!isfinite(value))
        return;
    protobuf_add_string(&message, 1, tag);
    protobuf_add_float(&message, 2, (float)value);
    protobuf_add_message(summary, 1, &message);
}

enum cn_status event_log_epoch(struct event_log *log, const struct cn_epoch_record *record,
                               struct cn_error *error) {
    struct cn_text event = begin_event(record->epoch), summary = {0};
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
    protobuf_add_message(&event, 5, &summary); /* Event: summary = 5 */
    return write_record(log, &event, error);
}

enum cn_status event_log_open(const char *folder, struct event_log **ret_log,
                              struct cn_error *error) {
    char host[64] = "host";
    struct event_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for an event file");
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
        struct cn_text event = begin_event(0);
        protobuf_add_string(&event, 3, "brain.Event:2"); /* Event: file_version = 3 */
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
    if (log != NULL && log->file != NULL)
        (void)fclose(log->file);
    free(log);
}
