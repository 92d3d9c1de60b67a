/* fuzz_keys.c: any bytes as a file of API keys, of trusted keys, and as a signature. */
#include "fuzz/fuzz.h"
#include "http/keys.h"
#include "model/signature.h"

static const char one_key[] =
    "ed25519 d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a me\n";
static const char sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct cn_trusted_keys *known;
    struct http_keys *keys = NULL;
    struct cn_trusted_keys *trusted = NULL;
    struct cn_error error = {0}, other = {0}, third = {0};
    long long time = 0;
    if (known == NULL &&
        cn_trusted_keys_parse(one_key, sizeof one_key - 1, "known", &known, NULL) != CN_OK)
        abort();
    char *text = malloc(length + 1);
    if (text == NULL)
        return 0;
    memcpy(text, bytes, length);
    text[length] = '\0';
    enum cn_status status = cn_trusted_keys_parse(text, length, "input", &trusted, &error);
    fuzz_check(status, &error, trusted != NULL);
    cn_trusted_keys_free(trusted);
    status = cn_signature_check_text(known, text, length, sha256, &time, &other);
    fuzz_check(status, &other, status == CN_OK);
    status = http_keys_parse(text, length, "input", &keys, &third);
    fuzz_check(status, &third, keys != NULL);
    if (keys != NULL && (http_keys_count(keys) == 0 || http_keys_find(keys, "") != NULL))
        abort();
    http_keys_free(keys);
    free(text);
    return 0;
}
