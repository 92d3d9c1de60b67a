#include "http/identity.h"

#include <criterion/criterion.h>
#include <string.h>

static struct http_identity identity;

static bool keeps(const char *id) {
    http_identity_set(&identity, id, NULL);
    return strcmp(identity.id, id) == 0;
}

static bool traces(const char *trace) {
    http_identity_set(&identity, "a", trace);
    return strcmp(identity.trace, trace) == 0;
}

Test(identity, foreign_ids) {
    char longest[HTTP_ID_SIZE + 1];
    memset(longest, 'x', sizeof longest);
    longest[HTTP_ID_SIZE] = '\0';
    cr_assert_not(keeps(longest));
    longest[HTTP_ID_SIZE - 1] = '\0';
    cr_assert(keeps(longest));
    cr_assert(keeps("7b9f-42_A.~!"));
    cr_assert_not(keeps(""));
    cr_assert_not(keeps("a b"));
    cr_assert_not(keeps("a\nb"));
    cr_assert_not(keeps("a\"b"));
    cr_assert_not(keeps("a\\b"));
    cr_assert_not(keeps("caf\xc3\xa9"));
    cr_assert_not(keeps("a\x7f"));
}

Test(identity, own_ids) {
    struct http_identity other;
    http_identity_set(&identity, NULL, NULL);
    http_identity_set(&other, "not valid", NULL);
    cr_assert_eq(strlen(identity.id), 32);
    cr_assert_eq(strspn(identity.id, "0123456789abcdef"), 32);
    cr_assert_str_neq(identity.id, other.id);
    cr_assert_str_eq(identity.trace, "");
}

Test(identity, trace_contexts) {
    cr_assert(traces("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    cr_assert(traces("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
    static const char *const bad[] = {"",
                                      "00",
                                      "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
                                      "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
                                      "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        http_identity_set(&identity, "a", bad[i]);
        cr_assert_str_eq(identity.trace, "", "%s", bad[i]);
    }
}
