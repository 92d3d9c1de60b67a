/* test_error.c: how failures are recorded: the first one is kept, NULL is allowed, text is cut to
 * the buffer. */
#include <criterion/criterion.h>
#include <string.h>

#include "convnet/status.h"

Test(error, records_status_and_text) {
    struct cn_error error = {0};
    const enum cn_status status = cn_fail(&error, CN_LIMIT, "%d is over %s", 7, "five");
    cr_assert_eq(status, CN_LIMIT);
    cr_assert_eq(error.status, CN_LIMIT);
    cr_assert_str_eq(error.text, "7 is over five");
    cr_assert_str_eq(error.source, "");
    cr_assert_eq(error.offset, -1);
}

Test(error, records_place) {
    struct cn_error error = {0};
    cn_fail_at(&error, CN_MALFORMED, "a.png", 1LL << 40, "bad byte");
    cr_assert_str_eq(error.source, "a.png");
    cr_assert_eq(error.offset, 1LL << 40);

    struct cn_error nowhere = {0};
    cn_fail_at(&nowhere, CN_IO, NULL, -1, "gone");
    cr_assert_str_eq(nowhere.source, "");
}

Test(error, first_failure_wins) {
    struct cn_error error = {0};
    cn_fail(&error, CN_IO, "first");
    cr_assert_eq(cn_fail_at(&error, CN_MEMORY, "x", 3, "second"), CN_MEMORY,
                 "the caller still gets its own status");
    cr_assert_eq(error.status, CN_IO);
    cr_assert_str_eq(error.text, "first");
    cr_assert_str_eq(error.source, "");
    cr_assert_eq(error.offset, -1);
}

Test(error, null_is_accepted) {
    cr_assert_eq(cn_fail(NULL, CN_CANCELED, "%s", "x"), CN_CANCELED);
    cr_assert_eq(cn_fail_at(NULL, CN_INVALID, "x", 1, "y"), CN_INVALID);
}

/* Text from a file must not control the terminal. */
Test(error, control_characters_are_taken_out) {
    struct cn_error error = {0};
    cn_fail_at(&error, CN_INVALID, "a\033[2Jb", -1, "%s",
               "x\033]0;t\a y\tz\n\xc2\x9b"
               "31m \xc3\xa9 \x7f\xc2");
    cr_assert_str_eq(error.source, "a?[2Jb");
    cr_assert_str_eq(error.text, "x?]0;t? y z ??31m \xc3\xa9 ?\xc2");
}

Test(error, long_text_is_cut) {
    char text[2 * CN_ERROR_TEXT];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct cn_error error = {0};
    cn_fail_at(&error, CN_INVALID, text, 0, "%s", text);
    cr_assert_eq(strlen(error.text), (size_t)CN_ERROR_TEXT - 1);
    cr_assert_eq(strlen(error.source), (size_t)CN_ERROR_SOURCE - 1);
}

Test(error, every_status_has_its_own_name) {
    for (int a = CN_OK; a <= CN_CANCELED; a++) {
        cr_assert_str_neq(cn_status_name((enum cn_status)a), "unknown");
        for (int b = CN_OK; b < a; b++)
            cr_assert_str_neq(cn_status_name((enum cn_status)a), cn_status_name((enum cn_status)b));
    }
    cr_assert_str_eq(cn_status_name(CN_CANCELED), "canceled");
    cr_assert_str_eq(cn_status_name((enum cn_status)99), "unknown");
}
