/* SPDX-License-Identifier: Apache-2.0 */
/* Mutual TLS in C with nothing but the library and libssl: no key file, no certificate file, no openssl.cnf.  The
 * device's credential is asked of hsmux, and its key is used through the provider, by its reference. */
#include <hsmux/hsmux.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const char *reason)
{
    fprintf(stderr, "client: %s: %s\n", what, reason);
    if (ERR_peek_error())
        ERR_print_errors_fp(stderr);
    return 0;
}

/* The default provider first: naming one turns off the automatic activation of that one. */
static int load_provider(void)
{
    if (!OSSL_PROVIDER_load(NULL, "default"))
        return fail("provider 'default'", "cannot be loaded");
    OSSL_PROVIDER_set_default_search_path(NULL, MODULES_DIRECTORY);
    if (!OSSL_PROVIDER_load(NULL, "hsmux"))
        return fail("provider 'hsmux'", "not in " MODULES_DIRECTORY);
    return 1;
}

/* The certificate first, then the chain, as hsmux gives them. */
static int use_certificates(SSL_CTX *tls, const struct hx_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int ok = certificate && SSL_CTX_use_certificate(tls, certificate) == 1;

    X509_free(certificate);
    while (ok && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (SSL_CTX_add0_chain_cert(tls, certificate) != 1) {
            X509_free(certificate);
            ok = 0;
        }
    if (ok)
        ERR_clear_error(); /* "no start line": there are no more */
    BIO_free(bio);
    return ok;
}

static int use_key(SSL_CTX *tls, const struct hx_bytes *reference)
{
    BIO *bio = BIO_new_mem_buf(reference->data, (int)reference->len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    int ok = key && SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

static int use_credential(hx *device, SSL_CTX *tls)
{
    struct hx_bytes certificates = { 0 }, reference = { 0 };
    hx_key *key = NULL;
    int ok = 0;

    if (hx_credential_get(device, NULL, "certificate", &certificates) < 0 || hx_key_open(device, "hsm:", &key) < 0 ||
        hx_key_reference(key, &reference) < 0)
        fail("credential", hx_last_error());
    else if (!use_certificates(tls, &certificates) || !use_key(tls, &reference))
        fail(hx_key_address(key), "libssl does not take it");
    else
        ok = 1;
    hx_key_close(key);
    hx_bytes_free(&certificates);
    hx_bytes_free(&reference);
    return ok;
}

static int talk(SSL_CTX *tls, const char *host, const char *port, const char *path)
{
    BIO *server = BIO_new_ssl_connect(tls);
    SSL *ssl = NULL;
    char buffer[4096];
    int len, ok;

    BIO_get_ssl(server, &ssl);
    if (!ssl)
        return fail(host, "no memory for a connection");
    SSL_set_tlsext_host_name(ssl, host);
    /* An address is compared as one; a name as a name. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1)
        SSL_set1_host(ssl, host);
    ERR_clear_error();
    BIO_set_conn_hostname(server, host);
    BIO_set_conn_port(server, port);
    ok = BIO_do_connect(server) == 1 && BIO_printf(server, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, host) > 0;
    if (!ok)
        fail(host, X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    while (ok && (len = BIO_read(server, buffer, sizeof(buffer))) > 0)
        fwrite(buffer, 1, (size_t)len, stdout);
    /* A server of TLS 1.3 that does not take the certificate says so only now. */
    if (ok && SSL_get_error(ssl, len) != SSL_ERROR_ZERO_RETURN)
        ok = fail(host, "the connection broke");
    BIO_free_all(server);
    return ok;
}

int main(int argc, char **argv)
{
    SSL_CTX *tls = NULL;
    hx *device = NULL;
    int ok = 0;

    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: client HOST PORT PATH [CA]\n");
        return 2;
    }
    if (!load_provider())
        return 1;
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (argc == 5 ? SSL_CTX_load_verify_file(tls, argv[4]) != 1 : SSL_CTX_set_default_verify_paths(tls) != 1)
        fail(argc == 5 ? argv[4] : "system's CAs", "cannot be read");
    else if (hx_new(NULL, &device) < 0)
        fail("configuration", hx_last_error());
    else
        ok = use_credential(device, tls) && talk(tls, argv[1], argv[2], argv[3]);
    hx_free(device);
    SSL_CTX_free(tls);
    return !ok;
}
