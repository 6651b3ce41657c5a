/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS 1.3 handshake without a network. */
#include "handshake.h"

#include "measure.h"

SSL_CTX *tls_server(OSSL_LIB_CTX *libctx, EVP_PKEY *key, const char *cert)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(libctx, NULL, TLS_server_method());

    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
        give_up("no server with", cert);
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(ctx, 0);
    return ctx;
}

void tls_handshake(SSL_CTX *server, SSL_CTX *client)
{
    SSL *s = SSL_new(server), *c = SSL_new(client);
    BIO *a, *b;
    int s_done = 0, c_done = 0;

    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(s, a, a);
    SSL_set_bio(c, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    for (int i = 0; i < 20 && !(s_done && c_done); i++) {
        c_done = SSL_do_handshake(c) == 1;
        s_done = SSL_do_handshake(s) == 1;
    }
    if (!s_done || !c_done)
        give_up("no handshake with", "a server");
    SSL_free(s);
    SSL_free(c);
}
