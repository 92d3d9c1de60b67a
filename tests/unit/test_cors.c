#include "http/cors.h"

#include <criterion/criterion.h>

Test(cors, what_an_operator_may_write) {
    cr_assert(http_cors_is_valid("none"));
    cr_assert(http_cors_is_valid("*"));
    cr_assert(http_cors_is_valid("https://example.org"));
    cr_assert(http_cors_is_valid("http://a, http://b:8080,http://[::1]:80"));
    cr_assert_not(http_cors_is_valid(""));
    cr_assert_not(http_cors_is_valid(" , "));
    cr_assert_not(http_cors_is_valid("example.org"));
    cr_assert_not(http_cors_is_valid("https://"));
    cr_assert_not(http_cors_is_valid("://a"));
    cr_assert_not(http_cors_is_valid("https://a/path"));
    cr_assert_not(http_cors_is_valid("https://a, *"));
    cr_assert_not(http_cors_is_valid("https://a\r\nX: y"));
}

Test(cors, who_is_allowed) {
    cr_assert_null(http_cors_allowed(NULL, "https://a"));
    cr_assert_null(http_cors_allowed("none", "https://a"));
    cr_assert_null(http_cors_allowed("none", "none"));
    cr_assert_null(http_cors_allowed("*", NULL));
    cr_assert_str_eq(http_cors_allowed("*", "https://a"), "*");
    cr_assert_str_eq(http_cors_allowed("https://b,https://a", "https://a"), "https://a");
    cr_assert_null(http_cors_allowed("https://a.example", "https://a"));
    cr_assert_null(http_cors_allowed("https://a", "https://a.example"));
    cr_assert_null(http_cors_allowed("https://a", "null"));
    cr_assert_null(http_cors_allowed("https://a", ""));
}
