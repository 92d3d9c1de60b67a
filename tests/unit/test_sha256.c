/* test_sha256.c: compares the checksum with FIPS 180-4's published examples, in one part and in
 * many. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/sha256.h"

Test(sha256, published_examples) {
    static const struct {
        const char *message;
        const char *text;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CN_SHA256_TEXT];
        const size_t length = strlen(rows[i].message);
        const struct cn_file_part whole = {rows[i].message, length};
        cn_sha256(&whole, 1, text);
        cr_assert_str_eq(text, rows[i].text);

        const struct cn_file_part parts[] = {{rows[i].message, length / 3},
                                             {"", 0},
                                             {rows[i].message + length / 3, length - length / 3}};
        cn_sha256(parts, 3, text);
        cr_assert_str_eq(text, rows[i].text);
    }
}
