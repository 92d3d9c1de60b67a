/* status.h: the status that every fallible function returns, and the error that explains it.
 *
 * Ownership words in the public headers: "caller frees with F": the returned object belongs to the
 * caller, who ends it with F; "borrowed until E": the pointer remains the callee's and is valid
 * until E; "takes ownership": the callee frees the argument, also after a failure. Outputs are
 * named ret_..., come last before the error, and are unchanged after a failure. */
#ifndef CONVNET_STATUS_H
#define CONVNET_STATUS_H

#include "convnet/declare.h"

CN_DECLARATIONS_BEGIN

enum cn_status {
    CN_OK = 0,
    CN_INVALID,     /* a value violates a rule: shape, range, option, argument */
    CN_MALFORMED,   /* foreign bytes do not follow their format */
    CN_UNSUPPORTED, /* well formed, but this library cannot process it */
    CN_UNUSABLE,    /* a valid picture that cannot be used: blank, or of the wrong size */
    CN_LIMIT,       /* larger than a limit allows */
    CN_IO,          /* the operating system refused; the text carries strerror */
    CN_MEMORY,      /* allocation failed */
    CN_CANCELED     /* the caller asked to stop */
};

enum { CN_ERROR_TEXT = 320, CN_ERROR_SOURCE = 160 };

/* One failure. `text` is a sentence with the offending value and the rule; `source` is the file or
 * stream ("" if none) and `offset` the byte in it, or the line of a text (-1 if unknown).
 * Zero-initialise (= {0}) before the first use; later errors do not replace the first. */
struct cn_error {
    enum cn_status status;
    long long offset;
    char source[CN_ERROR_SOURCE];
    char text[CN_ERROR_TEXT];
};

/* Records a failure in `error` unless it already holds one; `error` may be NULL.
 * Returns `status`, so that a check reads `return cn_fail(error, CN_INVALID, "...");`. */
enum cn_status cn_fail(struct cn_error *error, enum cn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* cn_fail with the position of the fault: `source` (may be NULL) and `offset` (-1 if unknown). */
enum cn_status cn_fail_at(struct cn_error *error, enum cn_status status, const char *source,
                          long long offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The name of a status, such as "invalid", for logs and metrics; a constant string. */
const char *cn_status_name(enum cn_status status);

CN_DECLARATIONS_END

#endif
