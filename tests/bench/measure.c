/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, medians, a signature and a TLS handshake. */
#include "measure.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void give_up(const char *what, const char *whom)
{
    fprintf(stderr, "bench: %s '%s'\n", what, whom);
    ERR_print_errors_fp(stderr);
    exit(1);
}

double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(const double *values, int count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return sorted[count / 2];
}

double median_ratio(const double *these, const double *those, int count)
{
    double ratio[ROUNDS_MAX];

    for (int i = 0; i < count; i++)
        ratio[i] = these[i] / those[i];
    return median(ratio, count);
}

double median_difference(const double *these, const double *those, int count)
{
    double difference[ROUNDS_MAX];

    for (int i = 0; i < count; i++)
        difference[i] = these[i] - those[i];
    return median(difference, count);
}

EVP_PKEY *load_pem(OSSL_LIB_CTX *libctx, const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, libctx, NULL) : NULL;

    BIO_free(bio);
    if (!key)
        give_up("cannot load", path);
    return key;
}

void sign(OSSL_LIB_CTX *libctx, EVP_PKEY *key)
{
    static const unsigned char message[32] = "what is signed while it is timed";
    unsigned char sig[1024];
    size_t len = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (EVP_DigestSignInit_ex(ctx, NULL, "SHA256", libctx, NULL, key, NULL) != 1 ||
        EVP_DigestSign(ctx, sig, &len, message, sizeof message) != 1)
        give_up("cannot sign with a key of type", EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "?");
    EVP_MD_CTX_free(ctx);
}

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
