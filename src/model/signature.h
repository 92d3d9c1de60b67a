/* signature.h: who vouches for a model file: detached Ed25519 signatures (RFC 8032) and the keys
 * that are trusted.
 *
 * The signature of FILE is FILE.sig, five lines of text:
 *   convnet-signature/1
 *   key HEX        the public key, 32 bytes
 *   time SECONDS   when it was signed, since 1970
 *   sha256 HEX     of FILE
 *   signature HEX  Ed25519, 64 bytes, of the four lines above with their newlines
 * A secret key is one line, "convnet-secret-key/1 HEX", the seed of 32 bytes. A public key is one
 * line, "ed25519 HEX [NAME] [since=YYYY-MM-DD]"; a file of trusted keys has any number of them, and
 * lines that are empty or begin with '#'. `since`: what was signed before is not trusted.
 */
#ifndef CONVNET_MODEL_SIGNATURE_H
#define CONVNET_MODEL_SIGNATURE_H

#include "convnet/model.h"
#include "convnet/plan.h"

struct cn_trusted_keys;

/* CN_IO; CN_MALFORMED with the line as error->offset; a file without keys is refused. Caller frees
 * with cn_trusted_keys_free. */
enum cn_status cn_trusted_keys_read(const char *path, struct cn_trusted_keys **ret_keys,
                                    struct cn_error *error);
/* The same from memory. */
enum cn_status cn_trusted_keys_parse(const char *text, size_t length, const char *source,
                                     struct cn_trusted_keys **ret_keys, struct cn_error *error);
void cn_trusted_keys_free(struct cn_trusted_keys *keys); /* accepts NULL */

/* True if both have the same keys with the same dates. Both may be NULL. */
bool cn_trusted_keys_equal(const struct cn_trusted_keys *a, const struct cn_trusted_keys *b);

/* Checks that PATH.sig is a valid signature of the file by one of the keys. *ret_time: when it was
 * made. Else CN_INVALID, with the signature's path as error->source. */
enum cn_status cn_signature_check(const struct cn_trusted_keys *keys, const char *path,
                                  const char *sha256, long long *ret_time, struct cn_error *error);
/* The same with the signature in memory. */
enum cn_status cn_signature_check_text(const struct cn_trusted_keys *keys, const char *text,
                                       size_t length, const char *sha256, long long *ret_time,
                                       struct cn_error *error);

/* Signs the file that has this SHA-256 with the secret key in the file `key_path`: writes PATH.sig.
 */
enum cn_status cn_signature_write(const char *key_path, const char *path, const char *sha256,
                                  long long time, struct cn_error *error);

/* Generates a key pair: a new secret file with mode 0600, and a file with the trusted key.
 * Overwrites neither. `name` may be NULL. */
enum cn_status cn_signature_generate(const char *secret_path, const char *public_path,
                                     const char *name, struct cn_error *error);

/* cn_model_read for a file that must have a checksum and be signed by one of the keys (NULL: need
 * not be signed). Before the signature is checked only the file's SHA-256 is computed. Sets
 * model->signed_at. *ret_plan, unless ret_plan is NULL, is the plan of the network that has
 * computed the probes; caller frees with cn_plan_free. A large network that has a plan does not
 * keep its parameters beside the plan's: see cn_model_read_again. */
enum cn_status cn_model_read_trusted(const char *path, const struct cn_trusted_keys *keys,
                                     struct cn_model **ret_model, struct cn_plan **ret_plan,
                                     struct cn_error *error);

/* The network of a model without its parameters, with them, from the file that it was read from,
 * even if that has no name any more. Caller frees with cn_network_free. CN_IO: the file has
 * changed. */
enum cn_status cn_model_read_again(const struct cn_model *model, struct cn_network **ret_network,
                                   struct cn_error *error);

/* The memory that cn_model_read_again takes at most; 0: the parameters are there. */
size_t cn_model_read_again_bytes(const struct cn_model *model);

#endif
