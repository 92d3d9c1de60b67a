/* tls_memory.h: keeps TLS working when memory is short. */
#ifndef CONVNET_HTTP_TLS_MEMORY_H
#define CONVNET_HTTP_TLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* GMP, GnuTLS's library for key arithmetic, ends the process when an allocation fails. From now on
 * it has a reserve, and waits when that is used up. Call this before any key is read. */
void http_tls_memory_init(void);

/* The most memory that a handshake and the reading of certificates need, with a wide margin, in
 * bytes. */
enum { HTTP_TLS_HANDSHAKE_MEMORY = 256 * 1024, HTTP_TLS_FILES_MEMORY = 4 * 1024 * 1024 };

/* True if this much memory is free now. libtasn1 4.19, GnuTLS's library for certificates and
 * signatures, crashes when an allocation fails (_asn1_copy_structure3 uses the result unchecked),
 * so it must not start without. */
bool http_tls_memory_is_there(size_t bytes);

#endif
