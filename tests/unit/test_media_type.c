/* test_media_type.c: the quality of a media type in an Accept header. */
#include "api/media_type.h"

#include <criterion/criterion.h>

static const struct {
    const char *accept, *type;
    int quality;
} CASES[] = {
    {NULL, "text/html", 0},
    {"", "text/html", 0},
    {"*/*", "text/html", 0},
    {"text/*", "text/html", 0},
    {"text/html", "text/html", 1000},
    {"TEXT/HTML", "text/html", 1000},
    {"text/html5", "text/html", 0},
    {"xtext/html", "text/html", 0},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html", 1000},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml", 900},
    {"application/json, text/html;q=0.75", "text/html", 750},
    {"application/json, text/html ; level=1 ; Q=0.333", "text/html", 333},
    {"text/html;q=0", "text/html", 0},
    {"text/html;q=0.000", "text/html", 0},
    {"text/html;q=1.000", "text/html", 1000},
    {"text/html;q=1.9", "text/html", 1000},
    {"text/html;q=", "text/html", 1000},
    {"text/html;q=x", "text/html", 1000},
    {"text/html;", "text/html", 1000},
    {"text/plain;q=0.2,text/html", "text/html", 1000},
    {",, ,\ttext/html", "text/html", 1000},
    {"text/plain;q=0.2", "text/html", 0},
};

Test(accept, finds_the_quality_of_a_type_by_its_name) {
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        cr_assert_eq(http_accept_quality(CASES[i].accept, CASES[i].type), CASES[i].quality,
                     "%s in \"%s\"", CASES[i].type, CASES[i].accept);
}
