#include "http/address.h"

#include <criterion/criterion.h>
#include <string.h>

static struct http_address read_one(const char *text, int port) {
    struct http_address addresses[HTTP_MAX_ADDRESSES];
    size_t count = 0;
    cr_assert_eq(http_addresses_read("address", text, port, addresses, &count, NULL), CN_OK, "%s",
                 text);
    cr_assert_eq(count, 1);
    return addresses[0];
}

Test(address, two_overlap_if_they_need_one_port_of_this_machine) {
    static const struct {
        const char *first, *second;
        bool overlap;
    } rows[] = {
        {"127.0.0.1", "localhost", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.1", "0.0.0.0", true},
        {"::1", "[0:0::1]", true},
        {"::1", "::2", false},
        {"::1", "::", true},
        {"::", "0.0.0.0", false},
        {"fe80::1%1", "[fe80::1%1]", true},
        {"fe80::1%1", "fe80::1%2", false},
        {"fe80::1%1", "fe80::2%1", false},
        {"fe80::1%1", "::", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct http_address first = read_one(rows[i].first, 8080),
                                  second = read_one(rows[i].second, 8080),
                                  other = read_one(rows[i].second, 8081),
                                  any = read_one(rows[i].second, 0);
        cr_assert_eq(http_address_overlaps(&first, &second), rows[i].overlap, "%s, %s",
                     rows[i].first, rows[i].second);
        cr_assert_eq(http_address_overlaps(&second, &first), rows[i].overlap, "%s, %s",
                     rows[i].second, rows[i].first);
        cr_assert_not(http_address_overlaps(&first, &other));
        cr_assert_not(http_address_overlaps(&any, &any), "the system chooses two ports");
    }
}

Test(address, lists) {
    static const struct {
        const char *list;
        enum cn_status status;
        size_t count;
    } rows[] = {
        {"", CN_OK, 0},          {" 127.0.0.1 , ::1", CN_OK, 2}, {"[fe80::1%1],::", CN_OK, 2},
        {",", CN_INVALID, 0},    {"::1,", CN_INVALID, 0},        {"::1 ::2", CN_INVALID, 0},
        {"[::1", CN_INVALID, 0}, {"[127.0.0.1]", CN_INVALID, 0}, {"example.org", CN_INVALID, 0},
        {"::1%", CN_INVALID, 0},
    };
    struct http_address addresses[HTTP_MAX_ADDRESSES];
    char many[4 * (HTTP_MAX_ADDRESSES + 1) + 1] = "";
    size_t count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(http_addresses_read("address", rows[i].list, 80, addresses, &count, NULL),
                     rows[i].status, "'%s'", rows[i].list);
        cr_assert(rows[i].status != CN_OK || count == rows[i].count, "'%s'", rows[i].list);
    }
    for (size_t i = 0; i < HTTP_MAX_ADDRESSES; i++)
        strcat(many, i > 0 ? ",::1" : "::1");
    cr_assert_eq(http_addresses_read("address", many, 80, addresses, &count, NULL), CN_OK);
    cr_assert_eq(count, HTTP_MAX_ADDRESSES);
    strcat(many, ",::1");
    cr_assert_eq(http_addresses_read("address", many, 80, addresses, &count, NULL), CN_LIMIT);
}
