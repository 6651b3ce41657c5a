/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux cert: the credential's certificate chain, one certificate object, or a key's certificate, as PEM. */
#include "tool.h"

#include <openssl/err.h>
#include <openssl/pem.h>

struct search {
    hx *context;
    EVP_PKEY *pkey;
    X509 *cert; /* the one that holds it */
};

static int emit_cert(const struct call *call, X509 *cert)
{
    AUTO_BIO BIO *out = BIO_new(BIO_s_mem());
    char *pem;
    long len;

    if (!out || !PEM_write_bio_X509(out, cert))
        return fail_crypto("the certificate cannot be encoded");
    len = BIO_get_mem_data(out, &pem);
    return emit(call, pem, (size_t)len);
}

static int compare_key(void *arg, const char *address, const struct hx_object *object)
{
    struct search *search = arg;
    AUTO_BYTES struct hx_bytes der = { 0 };
    X509 *cert;

    if (object->kind != HX_CERTIFICATE || hx_read(search->context, address, HX_VALUE, &der))
        return 0;
    cert = cert_parse(der.data, der.len);
    if (cert && EVP_PKEY_eq(X509_get0_pubkey(cert), search->pkey) == 1)
        search->cert = cert;
    else
        X509_free(cert);
    ERR_clear_error();
    return search->cert ? 1 : 0;
}

/* A key's certificate is the one on its token that holds the same public key. */
static int print_of_key(const struct call *call, hx *context, const char *address)
{
    AUTO_KEY hx_key *key = NULL;
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    AUTO_FREE char *token = address_token(address), *where = NULL;
    struct search search = { .context = context };
    int status = FAILED, result;

    if (!token)
        return fail("out of memory");
    if (token_address(token, "cert", &where))
        return FAILED;
    if (hx_key_open(context, address, &key))
        return fail_hx();
    if (public_key(key, &pkey))
        return FAILED;
    search.pkey = pkey;
    result = hx_each(context, where, compare_key, &search);
    if (search.cert)
        status = emit_cert(call, search.cert);
    else if (result)
        fail_hx();
    else
        fail("'%s' is a key, and no certificate on its token belongs to it: write hsm:TOKEN/cert/LABEL", address);
    X509_free(search.cert);
    return status;
}

/* An address that fits none or several objects is left to the library, which says so. */
int print_cert(const struct call *call, hx *context, const char *address)
{
    AUTO_FOUND struct found found = { 0 };
    AUTO_BYTES struct hx_bytes der = { 0 };
    X509 *cert;
    int status;

    if (find_objects(context, address, &found))
        return FAILED;
    if (found.count == 1 && found.kind == HX_PRIVATE_KEY)
        return print_of_key(call, context, found.address);
    if (found.count == 1 && found.kind != HX_CERTIFICATE)
        return fail("'%s' is no certificate: write hsm:TOKEN/cert/LABEL", found.address);
    if (hx_read(context, address, HX_VALUE, &der))
        return fail_hx();
    cert = cert_parse(der.data, der.len);
    status = cert ? emit_cert(call, cert) : fail_crypto("this object is no X.509 certificate");
    X509_free(cert);
    return status;
}

int cert_run(const struct call *call)
{
    const char *address = call->args ? call->arg[0] : "hsm:", *name;
    AUTO_HX hx *context = NULL;
    AUTO_BYTES struct hx_bytes bytes = { 0 };

    if (open_context(call, &context))
        return FAILED;
    if (!is_credential(address, &name))
        return print_cert(call, context, address);
    if (hx_credential_get(context, name, "certificate", &bytes))
        return fail_hx();
    return emit(call, bytes.data, bytes.len);
}
