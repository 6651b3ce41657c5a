/* SPDX-License-Identifier: Apache-2.0 */
/* A program with an OpenSSL of its own, linked in statically: it reads a key that OPENSSL_CONF's provider understands,
 * signs with it, shares a secret, writes it down, shakes hands over TLS 1.3, and verifies.  Usage: static-host KEY
 * CERTIFICATE CA */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what)
{
    fprintf(stderr, "static-host: %s\n", what);
    ERR_print_errors_fp(stderr);
    return 0;
}

static EVP_PKEY *read_key(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = file ? PEM_read_bio_PrivateKey(file, NULL, NULL, NULL) : NULL;

    BIO_free(file);
    if (key)
        printf("provider: %s\n", OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key)));
    else
        fail("no key");
    return key;
}

static X509 *read_certificate(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;

    BIO_free(file);
    if (!certificate)
        fail("no certificate");
    return certificate;
}

static int sign_and_verify(EVP_PKEY *key, EVP_PKEY *public)
{
    static const unsigned char message[] = "a message";
    const char *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : "SHA256";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[1024];
    size_t len = sizeof sig;
    int good = EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, key, NULL) == 1 &&
               EVP_DigestSign(ctx, sig, &len, message, sizeof message) == 1 &&
               EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, public, NULL) == 1 &&
               EVP_DigestVerify(ctx, sig, len, message, sizeof message) == 1;

    EVP_MD_CTX_free(ctx);
    return good ? puts("signed") : fail("no good signature");
}

static int decrypts(EVP_PKEY_CTX *token, EVP_PKEY_CTX *software)
{
    static const unsigned char text[] = "a secret";
    unsigned char secret[1024], out[1024];
    size_t len = sizeof secret, out_len = sizeof out;

    return EVP_PKEY_encrypt_init(software) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(software, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_encrypt(software, secret, &len, text, sizeof text) == 1 && EVP_PKEY_decrypt_init(token) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(token, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_decrypt(token, out, &out_len, secret, len) == 1 && out_len == sizeof text &&
           !memcmp(out, text, out_len);
}

static int agrees(EVP_PKEY_CTX *token, EVP_PKEY *public)
{
    EVP_PKEY *other = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_pkey(NULL, public, NULL), *software = NULL;
    unsigned char one[80], two[80];
    size_t one_len = sizeof one, two_len = sizeof two;
    int good = EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_generate(maker, &other) == 1;
    EVP_PKEY *peer = good ? EVP_PKEY_new() : NULL;
    unsigned char *point = NULL;
    size_t point_len = good ? EVP_PKEY_get1_encoded_public_key(other, &point) : 0;

    software = good ? EVP_PKEY_CTX_new_from_pkey(NULL, other, NULL) : NULL;
    good = good && EVP_PKEY_copy_parameters(peer, public) == 1 &&
           EVP_PKEY_set1_encoded_public_key(peer, point, point_len) == 1 && EVP_PKEY_derive_init(token) == 1 &&
           EVP_PKEY_derive_set_peer(token, peer) == 1 && EVP_PKEY_derive(token, one, &one_len) == 1 &&
           EVP_PKEY_derive_init(software) == 1 && EVP_PKEY_derive_set_peer(software, public) == 1 &&
           EVP_PKEY_derive(software, two, &two_len) == 1 && one_len == two_len && !memcmp(one, two, one_len);
    OPENSSL_free(point);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(other);
    EVP_PKEY_CTX_free(software);
    EVP_PKEY_CTX_free(maker);
    return good;
}

static int share_a_secret(EVP_PKEY *key, EVP_PKEY *public)
{
    EVP_PKEY_CTX *token = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    EVP_PKEY_CTX *software = EVP_PKEY_CTX_new_from_pkey(NULL, public, NULL);
    int good = EVP_PKEY_is_a(key, "RSA")  ? decrypts(token, software)
               : EVP_PKEY_is_a(key, "EC") ? agrees(token, public)
                                          : 1;

    EVP_PKEY_CTX_free(token);
    EVP_PKEY_CTX_free(software);
    return good || fail("no shared secret");
}

static int write_down(EVP_PKEY *key)
{
    BIO *out = BIO_new_fp(stdout, BIO_NOCLOSE);
    int good = EVP_PKEY_print_private(out, key, 0, NULL) == 1 &&
               PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
               PEM_write_bio_PUBKEY(out, key) == 1;

    BIO_free(out);
    return good || fail("cannot be written");
}

static SSL_CTX *side(const char *ca, X509 *certificate, EVP_PKEY *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1 && SSL_CTX_use_certificate(ctx, certificate) == 1 &&
        SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    fail("key and certificate");
    return NULL;
}

/* Both sides have the key, and each verifies the other. */
static int shake_hands(SSL_CTX *ctx)
{
    SSL *server = SSL_new(ctx), *client = SSL_new(ctx);
    BIO *one, *other;
    int good;

    BIO_new_bio_pair(&one, 0, &other, 0);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int turn = 0; turn < 20; turn++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    good = SSL_is_init_finished(server) && SSL_is_init_finished(client) && SSL_get_verify_result(client) == X509_V_OK &&
           SSL_get_verify_result(server) == X509_V_OK;
    if (good)
        printf("%s\n", SSL_get_version(client));
    SSL_free(client);
    SSL_free(server);
    return good ? 1 : fail("no handshake");
}

int main(int argc, char **argv)
{
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    SSL_CTX *ctx = NULL;
    int good;

    if (argc != 4)
        return 2;
    printf("library: %s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    key = read_key(argv[1]);
    certificate = key ? read_certificate(argv[2]) : NULL;
    good = certificate && sign_and_verify(key, X509_get0_pubkey(certificate)) &&
           share_a_secret(key, X509_get0_pubkey(certificate)) && write_down(key);
    ctx = good ? side(argv[3], certificate, key) : NULL;
    good = ctx && shake_hands(ctx);
    SSL_CTX_free(ctx);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return !good;
}
