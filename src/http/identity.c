/* identity.c: request ids and trace contexts: checks a client's and makes new ones. It reads no
 * headers. Each thread has its own generator. */
#include "http/identity.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/random.h"
#include "base/time.h"

static bool is_id(const char *id) {
    size_t length = 0;
    for (; id[length] != '\0'; length++) {
        const unsigned char byte = (unsigned char)id[length];
        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
            return false;
    }
    return length > 0 && length < HTTP_ID_SIZE;
}

/* Ids are unique, not secret: two words of a random stream that each thread seeds once. */
static void make_id(char id[static HTTP_ID_SIZE]) {
    static _Thread_local struct cn_random random;
    static _Thread_local bool seeded;
    if (!seeded) {
        uint64_t seed[2] = {0};
        if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
            seed[0] = cn_clock_nanoseconds();
            seed[1] = (uint64_t)(uintptr_t)&random;
        }
        random = cn_random_stream(seed[0], seed[1], 0, 0);
        seeded = true;
    }
    static const char digits[] = "0123456789abcdef";
    for (int word = 0; word < 2; word++) {
        uint64_t bits = cn_random_bits(&random);
        for (int i = 0; i < 16; i++, bits >>= 4)
            *id++ = digits[bits & 15];
    }
    *id = '\0';
}

/* True for `count` lower-case hexadecimal digits, which may all be 0 only with `zero`. */
static bool is_hex(const char *text, size_t count, bool zero) {
    return strspn(text, "0123456789abcdef") >= count && (zero || strspn(text, "0") < count);
}

/* "00-" trace id "-" parent id "-" flags */
static bool is_trace(const char *text) {
    return strlen(text) == HTTP_TRACE_SIZE - 1 && strncmp(text, "00-", 3) == 0 &&
           is_hex(text + 3, 32, false) && text[35] == '-' && is_hex(text + 36, 16, false) &&
           text[52] == '-' && is_hex(text + 53, 2, true);
}

void http_identity_set(struct http_identity *identity, const char *id, const char *trace) {
    identity->trace[0] = '\0';
    if (trace != NULL && is_trace(trace))
        memcpy(identity->trace, trace, HTTP_TRACE_SIZE);
    if (id != NULL && is_id(id))
        memcpy(identity->id, id, strlen(id) + 1);
    else
        make_id(identity->id);
}
