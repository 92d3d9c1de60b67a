/* tls.c: reads certificates and sets up sessions. libmicrohttpd runs the handshakes. Each session
 * gets its credentials here and keeps them, so that new credentials can be installed while old ones
 * are in use. It does not reload by itself. Thread-safe: only the reference count changes. */
#include "http/tls.h"

#include <gmp.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomics.h"
#include "base/file.h"
#include "base/time.h"

/* ---- Memory ----
 * GnuTLS itself needs no help when memory is short; the two libraries under it do. One mutex guards
 * the reserve. */

/* The most memory that a handshake and the reading of certificates need, with a wide margin, in
 * bytes. */
enum { HANDSHAKE_MEMORY = 256 * 1024, FILES_MEMORY = 4 * 1024 * 1024 };

/* Enough for several simultaneous handshakes with 8192-bit keys; unused pages cost no memory. */
enum { BLOCK = 16 * 1024, BLOCKS = 64 };

static pthread_mutex_t reserve_mutex = PTHREAD_MUTEX_INITIALIZER;
static alignas(max_align_t) char reserve[BLOCKS][BLOCK];
static bool reserve_used[BLOCKS];

static bool is_reserve(const void *memory) {
    const uintptr_t at = (uintptr_t)memory, begin = (uintptr_t)reserve;
    return at >= begin && at < begin + sizeof reserve;
}

static void *reserve_take(size_t size) {
    void *taken = NULL;
    (void)pthread_mutex_lock(&reserve_mutex);
    for (size_t i = 0; i < BLOCKS && taken == NULL && size <= BLOCK; i++)
        if (!reserve_used[i]) {
            reserve_used[i] = true;
            taken = reserve[i];
        }
    (void)pthread_mutex_unlock(&reserve_mutex);
    return taken;
}

/* Never returns NULL, since GMP would use it. */
static void *gmp_take(size_t size) {
    void *memory = malloc(size);
    while (memory == NULL && (memory = reserve_take(size)) == NULL) {
        (void)nanosleep(&(struct timespec){.tv_nsec = CN_MILLISECOND}, NULL);
        memory = malloc(size);
    }
    return memory;
}

static void gmp_give(void *memory, size_t size) {
    (void)size;
    if (!is_reserve(memory)) {
        free(memory);
        return;
    }
    (void)pthread_mutex_lock(&reserve_mutex);
    reserve_used[(size_t)((char *)memory - reserve[0]) / BLOCK] = false;
    (void)pthread_mutex_unlock(&reserve_mutex);
}

static void *gmp_change(void *memory, size_t old_size, size_t size) {
    void *changed = is_reserve(memory) ? NULL : realloc(memory, size);
    if (changed != NULL)
        return changed;
    changed = gmp_take(size);
    memcpy(changed, memory, old_size < size ? old_size : size);
    gmp_give(memory, old_size);
    return changed;
}

static void set_functions(void) {
    mp_set_memory_functions(gmp_take, gmp_change, gmp_give);
}

/* GMP, GnuTLS's library for key arithmetic, ends the process when an allocation fails. From now on
 * it has a reserve, and waits when that is used up. Call this before any key is read. */
static void tls_memory_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_functions);
}

/* True if this much memory is free now. libtasn1 4.19, GnuTLS's library for certificates and
 * signatures, crashes when an allocation fails (_asn1_copy_structure3 uses the result unchecked),
 * so it must not start without. */
static bool tls_memory_is_there(size_t bytes) {
    void *volatile memory = malloc(bytes);
    free(memory);
    return memory != NULL;
}

struct http_tls {
    atomic_uint references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priorities;
    bool asks_clients;
};

static enum cn_status status_of(int result) {
    return result == GNUTLS_E_MEMORY_ERROR ? CN_MEMORY : CN_INVALID;
}

static enum cn_status read_pem(const char *path, gnutls_datum_t *ret_datum,
                               struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, HTTP_TLS_FILE_MAX, &bytes, &length, error);
    if (status == CN_OK)
        *ret_datum = (gnutls_datum_t){.data = bytes, .size = (unsigned)length};
    return status;
}

static void free_pem(gnutls_datum_t *datum) {
    if (datum->data != NULL)
        explicit_bzero(datum->data, datum->size);
    free(datum->data);
}

static enum cn_status read_certificate(struct http_tls *tls, const struct http_tls_files *files,
                                       struct cn_error *error) {
    gnutls_datum_t certificate = {0}, key = {0};
    enum cn_status status = read_pem(files->certificate, &certificate, error);
    if (status == CN_OK)
        status = read_pem(files->key, &key, error);
    if (status == CN_OK) {
        int result = gnutls_certificate_set_x509_key_mem2(tls->credentials, &certificate, &key,
                                                          GNUTLS_X509_FMT_PEM, NULL, 0);
        if (result == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
            status =
                cn_fail_at(error, CN_INVALID, files->key, -1,
                           "this key does not belong to the certificate in %s", files->certificate);
        else if (result < 0)
            status = cn_fail_at(error, status_of(result), files->certificate, -1,
                                "the certificate, or the key in %s, cannot be used: %s", files->key,
                                gnutls_strerror(result));
    }
    free_pem(&certificate);
    free_pem(&key);
    return status;
}

static enum cn_status read_client_ca(struct http_tls *tls, const char *path,
                                     struct cn_error *error) {
    gnutls_datum_t pem = {0};
    enum cn_status status = read_pem(path, &pem, error);
    if (status != CN_OK)
        return status;
    int result = gnutls_certificate_set_x509_trust_mem(tls->credentials, &pem, GNUTLS_X509_FMT_PEM);
    free_pem(&pem);
    if (result < 0)
        return cn_fail_at(error, status_of(result), path, -1, "%s", gnutls_strerror(result));
    if (result == 0)
        return cn_fail_at(error, CN_INVALID, path, -1, "the file contains no certificate");
    tls->asks_clients = true;
    return CN_OK;
}

static enum cn_status read_priorities(struct http_tls *tls, const char *text,
                                      struct cn_error *error) {
    const char *at = text;
    const unsigned *versions = NULL;
    int result = gnutls_priority_init(&tls->priorities, text, &at);
    if (result == GNUTLS_E_MEMORY_ERROR)
        return cn_fail(error, CN_MEMORY, "no memory for tls-priorities");
    if (result != GNUTLS_E_SUCCESS)
        return cn_fail(error, CN_INVALID, "tls-priorities have an error at '%.60s': %s", at,
                       gnutls_strerror(result));
    int count = gnutls_priority_protocol_list(tls->priorities, &versions);
    for (int i = 0; i < count; i++)
        if (versions[i] != GNUTLS_TLS1_2 && versions[i] != GNUTLS_TLS1_3)
            return cn_fail(error, CN_INVALID,
                           "tls-priorities '%.80s' allow %s; only TLS 1.2 and 1.3 are served", text,
                           gnutls_protocol_get_name(versions[i]));
    if (count <= 0)
        return cn_fail(error, CN_INVALID, "tls-priorities '%.80s' allow no version of TLS", text);
    return CN_OK;
}

enum cn_status http_tls_read(const struct http_tls_files *files, struct http_tls **ret_tls,
                             struct cn_error *error) {
    struct http_tls *tls = calloc(1, sizeof *tls);
    enum cn_status status = CN_OK;
    if (tls == NULL || !tls_memory_is_there(FILES_MEMORY)) {
        free(tls);
        return cn_fail(error, CN_MEMORY, "no memory for a certificate");
    }
    tls->references = 1;
    tls_memory_init();
    if (gnutls_certificate_allocate_credentials(&tls->credentials) != GNUTLS_E_SUCCESS)
        status = cn_fail(error, CN_MEMORY, "no memory for a certificate");
    if (status == CN_OK)
        status = read_priorities(tls, files->priorities, error);
    if (status == CN_OK)
        status = read_certificate(tls, files, error);
    if (status == CN_OK && files->client_ca != NULL)
        status = read_client_ca(tls, files->client_ca, error);
    if (status != CN_OK) {
        http_tls_release(tls);
        return status;
    }
    *ret_tls = tls;
    return CN_OK;
}

struct http_tls *http_tls_retain(struct http_tls *tls) {
    cn_reference_take(&tls->references);
    return tls;
}

void http_tls_release(struct http_tls *tls) {
    if (tls == NULL || !cn_reference_give(&tls->references))
        return;
    if (tls->credentials != NULL)
        gnutls_certificate_free_credentials(tls->credentials);
    if (tls->priorities != NULL)
        gnutls_priority_deinit(tls->priorities);
    free(tls);
}

bool http_tls_begin(const struct http_tls *tls, gnutls_session_t session) {
    static gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                            .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    static unsigned char http_1_1[] = "http/1.1", http_1_0[] = "http/1.0";
    static const gnutls_datum_t protocols[] = {{http_1_1, sizeof http_1_1 - 1},
                                               {http_1_0, sizeof http_1_0 - 1}};
    if (!tls_memory_is_there(HANDSHAKE_MEMORY))
        return false;
    if (tls->asks_clients) {
        /* The handshake fails without a client certificate that the client CA has signed. */
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert2(session, &purpose, 1, 0);
    }
    /* A client that offers protocols, but none of these, is refused. The credentials are set last:
     * without them no handshake succeeds. */
    return gnutls_alpn_set_protocols(session, protocols, 2, GNUTLS_ALPN_MANDATORY) >= 0 &&
           gnutls_priority_set(session, tls->priorities) >= 0 &&
           gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) >= 0;
}

long long http_tls_expiry(const struct http_tls *tls) {
    gnutls_x509_crt_t *chain = NULL;
    unsigned count = 0;
    long long expiry = -1;
    if (gnutls_certificate_get_x509_crt(tls->credentials, 0, &chain, &count) != GNUTLS_E_SUCCESS)
        return -1;
    if (count > 0)
        expiry = (long long)gnutls_x509_crt_get_expiration_time(chain[0]);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
    return expiry;
}
