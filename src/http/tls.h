/* tls.h: a certificate with its key and rules for TLS connections, by GnuTLS. */
#ifndef CONVNET_HTTP_TLS_H
#define CONVNET_HTTP_TLS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "convnet/status.h"

enum { HTTP_TLS_FILE_MAX = 1024 * 1024 };

struct http_tls_files {
    const char *certificate; /* PEM: the server's certificate, then those of its issuers */
    const char *key;         /* PEM, without a password */
    const char *client_ca;  /* PEM: the issuers of clients' certificates; NULL: clients need none */
    const char *priorities; /* GnuTLS's priority string */
};

struct http_tls; /* read-only, reference-counted */

/* Reads the files. CN_INVALID: not PEM, a key that does not fit the certificate, or priorities that
 * are malformed or allow less than TLS 1.2. The caller releases its reference with
 * http_tls_release. */
enum cn_status http_tls_read(const struct http_tls_files *files, struct http_tls **ret_tls,
                             struct cn_error *error);
struct http_tls *http_tls_retain(struct http_tls *tls);
void http_tls_release(struct http_tls *tls); /* accepts NULL */

/* Sets up a new session; false if memory runs out. The session must end before the reference that
 * was retained for it is released. */
bool http_tls_begin(const struct http_tls *tls, gnutls_session_t session);

/* When the server's certificate expires, in seconds since 1970; -1: unknown. */
long long http_tls_expiry(const struct http_tls *tls);

#endif
