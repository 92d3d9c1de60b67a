#include "http/origin.h"

#include <criterion/criterion.h>

Test(origin, what_an_operator_may_write) {
    cr_assert(http_origin_hosts_are_valid("none"));
    cr_assert(http_origin_hosts_are_valid("*"));
    cr_assert(http_origin_hosts_are_valid("a, b.example"));
    cr_assert_not(http_origin_hosts_are_valid(""));
    cr_assert_not(http_origin_hosts_are_valid(","));
    cr_assert_not(http_origin_hosts_are_valid("a:80"));
    cr_assert_not(http_origin_hosts_are_valid("http://a"));
    cr_assert_not(http_origin_hosts_are_valid("*.a"));
}

Test(origin, hosts) {
    static const char *const good[] = {
        "localhost", "LOCALHOST:80", "localhost.", "a.localhost", "127.0.0.1:8080", "10.1.2.3",
        "[::1]",     "[::1]:80",     "",           "b.example",   "B.Example.:80",  "c"};
    static const char *const bad[] = {"evil",
                                      "localhost.evil",
                                      "evillocalhost",
                                      "127.0.0.1.evil",
                                      "b.example.evil",
                                      "xc",
                                      "[evil]",
                                      "256.1.1.1",
                                      "::1",
                                      "none"};
    cr_assert(http_origin_host_is_allowed(NULL, "none"));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(http_origin_host_is_allowed(good[i], "b.example,c"), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(http_origin_host_is_allowed(bad[i], "b.example,c"), "%s", bad[i]);
        cr_assert(http_origin_host_is_allowed(bad[i], "*"), "%s", bad[i]);
    }
}

static bool allowed(const char *origin, const char *site, const char *mode, const char *named) {
    const struct http_origin fields = {
        .host = "localhost:8080", .origin = origin, .site = site, .mode = mode};
    return http_origin_is_allowed(&fields, named);
}

Test(origin, pages) {
    const char *own = "http://localhost:8080", *other = "http://localhost:3000";
    cr_assert(allowed(NULL, NULL, NULL, "none"), "no browser");
    cr_assert(allowed(own, NULL, NULL, "none"));
    cr_assert(allowed(own, "same-origin", "cors", NULL));
    cr_assert(allowed("https://digits.example", "same-origin", "cors", "none"), "behind a proxy");
    cr_assert(allowed(NULL, "none", "navigate", "none"), "typed");
    cr_assert(allowed(NULL, "cross-site", "navigate", "none"), "a link");
    cr_assert_not(allowed(NULL, "cross-site", "no-cors", "none"));
    cr_assert_not(allowed(NULL, "cross-site", NULL, "none"));
    cr_assert_not(allowed("http://evil", "cross-site", "navigate", "none"), "a form");
    cr_assert_not(allowed("http://evil", "cross-site", "cors", "http://good"));
    cr_assert_not(allowed("http://evil", NULL, NULL, NULL));
    cr_assert_not(allowed("null", NULL, NULL, "none"));
    cr_assert_not(allowed(other, "same-site", "cors", "none"));
    cr_assert_not(allowed("http://localhost", NULL, NULL, "none"), "another port");
    cr_assert(allowed(other, "same-site", "cors", "http://localhost:3000"));
    cr_assert(allowed("http://evil", "cross-site", "cors", "*"));
    cr_assert(allowed(NULL, "cross-site", "no-cors", "*"));
}
