/* tls_memory.h: TLS when memory is short. */
#ifndef CONVNET_HTTP_TLS_MEMORY_H
#define CONVNET_HTTP_TLS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* GMP, which GnuTLS computes keys with, ends the process when an allocation fails. From now on it
 * has a reserve, and waits when that is used up. To be called before any key is read. */
void http_tls_memory_init(void);

/* What a handshake, and what reading certificates, needs at most, with much to spare: bytes. */
enum { HTTP_TLS_HANDSHAKE_MEMORY = 256 * 1024, HTTP_TLS_FILES_MEMORY = 4 * 1024 * 1024 };

/* True if so much memory is there now. libtasn1 4.19, which GnuTLS reads and writes certificates
 * and signatures with, crashes when an allocation fails (_asn1_copy_structure3 uses what it did not
 * get), so it must not begin without. */
bool http_tls_memory_is_there(size_t bytes);

#endif
