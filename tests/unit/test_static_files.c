/* test_static_files.c: the page's files in the program, and the conditions under which they are
 * sent again. */
#include "api/routes.h"
#include "api/static_files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "api/static_files.h"
#include "http/exchange.h"

static bool has_route(const char *path) {
    bool found = false;
    for (size_t r = 0; r < api_route_count; r++)
        found |= strcmp(api_routes[r].method, "GET") == 0 &&
                 (strcmp(api_routes[r].pattern, path) == 0 ||
                  (strcmp(api_routes[r].pattern, "/page/{file}") == 0 &&
                   strncmp(path, "/page/", 6) == 0));
    return found;
}

Test(page, the_program_holds_each_file_to_the_byte) {
    static char path[512], bytes[65536];
    for (size_t i = 0; i < http_page_row_count; i++) {
        const char *name = http_page_rows[i].name;
        const struct api_embedded *built_in = api_embedded_find(name);
        cr_assert(has_route(http_page_rows[i].path), "%s", http_page_rows[i].path);
        cr_assert_not_null(built_in, "%s", name);
        (void)snprintf(path, sizeof path, "%s/../../src/api/web/%s", TEST_DATA_DIR, name);
        FILE *file = fopen(path, "rb");
        cr_assert_not_null(file, "%s", path);
        const size_t length = fread(bytes, 1, sizeof bytes, file);
        (void)fclose(file);
        cr_assert_eq(built_in->length, length, "%s", name);
        cr_assert_eq(memcmp(built_in->bytes, bytes, length), 0, "%s", name);
    }
}

Test(page, a_tag_matches_what_names_it) {
    cr_assert(http_page_matches("\"a\"", "\"a\""));
    cr_assert(http_page_matches("W/\"a\"", "\"a\""));
    cr_assert(http_page_matches("\"b\", \"a\"", "\"a\""));
    cr_assert(http_page_matches("\"b\",W/\"a\" , \"c\"", "\"a\""));
    cr_assert(http_page_matches("*", "\"a\""));
    cr_assert_not(http_page_matches(NULL, "\"a\""));
    cr_assert_not(http_page_matches("", "\"a\""));
    cr_assert_not(http_page_matches("\"b\"", "\"a\""));
    cr_assert_not(http_page_matches("\"ab\"", "\"a\""));
    cr_assert_not(http_page_matches("\"a", "\"a\""));
    cr_assert_not(http_page_matches("a", "\"a\""));
}
