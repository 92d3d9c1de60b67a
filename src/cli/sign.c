/* sign.c: `convnet keygen`, `convnet sign` and `convnet verify`: signatures of model files; their
 * format is in model/signature.h. One thread. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "model/signature.h"

struct sign_settings {
    const char *key, *keys;
};

static const struct cli_syntax keygen_syntax = {
    CLI_OPERANDS("NAME", 1, 1),
    .text = "Make a pair of Ed25519 keys: NAME.key is secret and signs models, NAME.pub is a line "
            "for the file of the daemon's option trusted-keys.",
};

static const struct cli_option sign_options[] = {
    {"key", "FILE", CLI_STRING, offsetof(struct sign_settings, key), .letter = 'k',
     .text = "secret key that convnet keygen wrote", .required = true},
};

static const struct cli_syntax sign_syntax = {
    CLI_OPTIONS(sign_options),
    CLI_OPERANDS("MODEL", 1, 1),
    .text = "Sign a model file: write MODEL.sig beside it.",
};

static const struct cli_option verify_options[] = {
    {"trusted-keys", "FILE", CLI_STRING, offsetof(struct sign_settings, keys), .letter = 'k',
     .text = "public keys, one per line", .required = true},
};

static const struct cli_syntax verify_syntax = {
    CLI_OPTIONS(verify_options),
    CLI_OPERANDS("MODEL", 1, 1),
    .text =
        "Check that a model file is signed by a trusted key, as a daemon with trusted-keys does.",
};

int cli_keygen(int argc, char **argv) {
    struct cn_error error = {0};
    char secret[PATH_MAX], public[PATH_MAX];
    char **operands;
    size_t count;
    cli_parse(&keygen_syntax, argc, argv, NULL, &operands, &count);
    const char *slash = strrchr(operands[0], '/'), *name = slash != NULL ? slash + 1 : operands[0];
    if ((size_t)snprintf(secret, sizeof secret, "%s.key", operands[0]) >= sizeof secret ||
        (size_t)snprintf(public, sizeof public, "%s.pub", operands[0]) >= sizeof public)
        return cli_fail(argv[0], "the name is too long");
    if (name[0] == '\0' || strpbrk(name, " \t\r\n") != NULL)
        return cli_fail(argv[0], "the name must have no spaces, and at least one letter");
    if (cn_signature_generate(secret, public, name, &error) != CN_OK)
        return cli_report(argv[0], &error);
    printf("%s (secret)\n%s\n", secret, public);
    return cli_stdout_good() ? CLI_DONE : CLI_FAILED;
}

int cli_sign(int argc, char **argv) {
    struct sign_settings settings = {0};
    struct cn_error error = {0};
    struct cn_model *model = NULL;
    char **operands;
    size_t count;
    cli_parse(&sign_syntax, argc, argv, &settings, &operands, &count);
    enum cn_status status = cn_model_read(operands[0], &model, &error);
    if (status == CN_OK && !model->sealed)
        status = cn_fail_at(&error, CN_INVALID, operands[0], -1,
                            "has no checksum: first write it again with convnet edit %s -o %s",
                            operands[0], operands[0]);
    if (status == CN_OK)
        status = cn_signature_write(settings.key, operands[0], model->sha256, (long long)time(NULL),
                                    &error);
    cn_model_free(model);
    return status == CN_OK ? CLI_DONE : cli_report(argv[0], &error);
}

int cli_verify(int argc, char **argv) {
    struct sign_settings settings = {0};
    struct cn_error error = {0};
    struct cn_trusted_keys *keys = NULL;
    struct cn_model *model = NULL;
    char **operands, when[40] = "";
    size_t count;
    cli_parse(&verify_syntax, argc, argv, &settings, &operands, &count);
    enum cn_status status = cn_trusted_keys_read(settings.keys, &keys, &error);
    if (status == CN_OK)
        status = cn_model_read_trusted(operands[0], keys, &model, NULL, &error);
    cn_trusted_keys_free(keys);
    if (status != CN_OK)
        return cli_report(argv[0], &error);
    const time_t signed_at = (time_t)model->signed_at;
    struct tm utc;
    if (gmtime_r(&signed_at, &utc) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    printf("signed by a trusted key at %s, SHA-256 %s\n", when, model->sha256);
    cn_model_free(model);
    return cli_stdout_good() ? CLI_DONE : CLI_FAILED;
}
