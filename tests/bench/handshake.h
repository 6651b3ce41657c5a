/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS 1.3 handshake without a network, for the measuring programs. */
#ifndef BENCH_HANDSHAKE_H
#define BENCH_HANDSHAKE_H

#include <openssl/ssl.h>

SSL_CTX *tls_server(OSSL_LIB_CTX *, EVP_PKEY *, const char *cert); /* TLS 1.3, no tickets */
void tls_handshake(SSL_CTX *server, SSL_CTX *client); /* in memory */

#endif
