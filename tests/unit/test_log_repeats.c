/* test_log_repeats.c: warnings that clients can provoke do not fill the log, and are still counted.
 */
#include "daemon/log.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const uint64_t second = 1000000000;
static struct log_repeats repeats;

static unsigned left_out;
static bool allow(const char *text, uint64_t now) {
    left_out = 99;
    return log_repeats_allow(&repeats, text, now, &left_out);
}

Test(log_repeats, five_alike_in_ten_seconds) {
    for (int i = 0; i < 1000; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "connection %d refused", i);
        cr_assert_eq(allow(text, second + (uint64_t)i * 9 * second / 1000), i < 5, "%d", i);
        cr_assert_eq(left_out, 0u);
    }
    cr_assert(allow("connection 7 refused", 12 * second));
    cr_assert_eq(left_out, 995u, "the next one says how many were not written: %u", left_out);
    cr_assert(allow("connection 8 refused", 12 * second));
    cr_assert_eq(left_out, 0u, "once");
}

Test(log_repeats, others_are_not_held_up) {
    for (int i = 0; i < 100; i++)
        (void)allow("one kind 1", second);
    cr_assert_not(allow("one kind 7", second));
    cr_assert(allow("another kind", second));
    cr_assert_eq(left_out, 0u);
}
