/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys in PEM and DER, through a library context that no openssl.cnf has touched. */
#include "tool.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <string.h>

OSSL_LIB_CTX *libctx(void)
{
    static OSSL_LIB_CTX *context;

    if (!context)
        context = OSSL_LIB_CTX_new();
    return context;
}

static bool is_p12(const struct blob *text)
{
    const unsigned char *at = text->data;
    PKCS12 *p12 = d2i_PKCS12(NULL, &at, (long)text->len);

    PKCS12_free(p12);
    ERR_clear_error();
    return p12;
}

static bool is_pem(const struct blob *text)
{
    return memmem(text->data, text->len, "-----BEGIN ", 11) != NULL;
}

X509 *cert_parse(const void *der, size_t len)
{
    const unsigned char *at = der;
    X509 *cert = X509_new_ex(libctx(), NULL);

    if (cert && d2i_X509(&cert, &at, (long)len))
        return cert;
    X509_free(cert);
    return NULL;
}

static bool is_valid(const X509 *cert)
{
    return X509_cmp_time(X509_get0_notBefore(cert), NULL) < 0 && X509_cmp_time(X509_get0_notAfter(cert), NULL) > 0;
}

bool cert_better(X509 *a, X509 *b)
{
    bool authority = X509_get_extension_flags(a) & EXFLAG_CA, other = X509_get_extension_flags(b) & EXFLAG_CA;
    int later;

    if (authority != other)
        return other;
    if (is_valid(a) != is_valid(b))
        return is_valid(a);
    later = ASN1_TIME_compare(X509_get0_notBefore(a), X509_get0_notBefore(b));
    return later ? later > 0 : ASN1_TIME_compare(X509_get0_notAfter(a), X509_get0_notAfter(b)) > 0;
}

char *cert_name(X509 *cert)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len = -1;
    unsigned char *text = NULL;
    char *name = NULL;

    if (at >= 0)
        len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0 && !memchr(text, 0, (size_t)len))
        name = strndup((char *)text, (size_t)len);
    OPENSSL_free(text);
    return name;
}

/* One more certificate; 1: got it, 0: there is no more, -1: error. */
static int next_cert(BIO *in, bool pem, STACK_OF(X509) * certs)
{
    X509 *cert = X509_new_ex(libctx(), NULL);
    bool got = cert && (pem ? PEM_read_bio_X509(in, &cert, NULL, NULL) : d2i_X509_bio(in, &cert)) != NULL;
    unsigned long error = ERR_peek_last_error();

    if (got && sk_X509_push(certs, cert))
        return 1;
    X509_free(cert);
    if (pem && !got && sk_X509_num(certs) > 0 && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        return 0;
    return -1;
}

int parse_certs(const char *path, const struct blob *text, STACK_OF(X509) * *ret)
{
    AUTO_CERTS STACK_OF(X509) *certs = sk_X509_new_null();
    AUTO_BIO BIO *in = BIO_new_mem_buf(text->data, (int)text->len);
    int more;

    if (!in || !certs)
        return fail("out of memory");
    do {
        more = next_cert(in, is_pem(text), certs);
    } while (more > 0 && is_pem(text));
    if (more < 0) {
        ERR_clear_error();
        return fail("'%s': %s", path,
                    sk_X509_num(certs) ? "a certificate in it cannot be read" : "holds no certificate in PEM or DER");
    }
    ERR_clear_error();
    *ret = certs;
    certs = NULL;
    return DONE;
}

int read_certs(const char *path, STACK_OF(X509) * *ret)
{
    AUTO_BLOB struct blob text = { 0 };

    return read_input(path, &text) ? FAILED : parse_certs(path, &text, ret);
}

struct passphrase {
    const char *path, *file; /* of the key, of the passphrase */
    bool asked, failed;
};

/* libcrypto asks here when, and only when, the key is encrypted. */
static int get_passphrase(char *buf, int size, int writing, void *arg)
{
    struct passphrase *passphrase = arg;
    AUTO_BLOB struct blob line = { 0 };
    AUTO_FREE char *prompt = NULL;
    int status = FAILED;

    (void)writing;
    if (passphrase->failed)
        return -1;
    passphrase->asked = true;
    prompt = text_of("passphrase of '%s'", passphrase->path);
    if (passphrase->file)
        status = read_secret_file(passphrase->file, "passphrase", &line);
    else if (prompt)
        status = ask_secret(prompt, "--passphrase-file", &line);
    if (status || line.len > (size_t)size) {
        passphrase->failed = true;
        return -1;
    }
    memcpy(buf, line.data, line.len);
    return (int)line.len;
}

/* PKCS#8 in DER can be encrypted, too; d2i_AutoPrivateKey_ex() does not know that form. */
static EVP_PKEY *read_der(const struct blob *text, struct passphrase *passphrase)
{
    AUTO_BIO BIO *in = BIO_new_mem_buf(text->data, (int)text->len);
    const unsigned char *der = text->data;
    EVP_PKEY *pkey = d2i_AutoPrivateKey_ex(NULL, &der, (long)text->len, libctx(), NULL);

    if (!pkey && in)
        pkey = d2i_PKCS8PrivateKey_bio(in, NULL, get_passphrase, passphrase);
    return pkey;
}

int read_private_key(const char *path, const struct blob *text, const char *passphrase_file, EVP_PKEY **ret)
{
    struct passphrase passphrase = { .path = path, .file = passphrase_file };
    AUTO_BIO BIO *in = BIO_new_mem_buf(text->data, (int)text->len);
    EVP_PKEY *pkey;

    if (!in)
        return fail("out of memory");
    if (is_pem(text))
        pkey = PEM_read_bio_PrivateKey_ex(in, NULL, get_passphrase, &passphrase, libctx(), NULL);
    else
        pkey = read_der(text, &passphrase);
    ERR_clear_error();
    if (pkey) {
        *ret = pkey;
        return DONE;
    }
    if (passphrase.failed)
        return FAILED;
    if (passphrase.asked)
        return fail("'%s': the passphrase does not open it", path);
    if (is_p12(text))
        return fail("'%s': it is PKCS#12: give --p12", path);
    return fail("'%s': holds no private key in PEM, PKCS#8 or DER", path);
}

int public_key(hx_key *key, EVP_PKEY **ret)
{
    AUTO_BYTES struct hx_bytes spki = { 0 };
    const unsigned char *der;
    EVP_PKEY *pkey;

    if (hx_key_public(key, &spki))
        return fail_hx();
    der = spki.data;
    pkey = d2i_PUBKEY_ex(NULL, &der, (long)spki.len, libctx(), NULL);
    if (!pkey)
        return fail_crypto("the key's public half cannot be read");
    *ret = pkey;
    return DONE;
}
