/* SPDX-License-Identifier: Apache-2.0 */
/* Storing a certificate, with the attributes that other programs search it by.  It is parsed in a library context of
 * our own: in the application's, libcrypto would ask our own provider for help with the key inside. */
#include "make.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct parsed {
    OSSL_LIB_CTX *context;
    X509 *x509;
    unsigned char *subject, *issuer, *serial; /* for OPENSSL_free() */
    int subject_len, issuer_len, serial_len;
    unsigned char key_id[EVP_MAX_MD_SIZE]; /* SHA-1 of the public key's bits */
    unsigned key_id_len;
};

static void parsed_free(struct parsed *parsed)
{
    OPENSSL_free(parsed->subject);
    OPENSSL_free(parsed->issuer);
    OPENSSL_free(parsed->serial);
    X509_free(parsed->x509);
    OSSL_LIB_CTX_free(parsed->context);
}

static bool parse_fields(struct parsed *parsed)
{
    EVP_MD *sha1 = EVP_MD_fetch(parsed->context, "SHA1", NULL);
    bool good = sha1 && X509_pubkey_digest(parsed->x509, sha1, parsed->key_id, &parsed->key_id_len) == 1;

    EVP_MD_free(sha1);
    parsed->subject_len = i2d_X509_NAME(X509_get_subject_name(parsed->x509), &parsed->subject);
    parsed->issuer_len = i2d_X509_NAME(X509_get_issuer_name(parsed->x509), &parsed->issuer);
    parsed->serial_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(parsed->x509), &parsed->serial);
    return good && parsed->subject_len > 0 && parsed->issuer_len > 0 && parsed->serial_len > 0;
}

/* The whole of der must be one certificate. */
static bool parse(const struct hx_buf *der, struct parsed *ret)
{
    const unsigned char *at = der->data;

    if (der->len == 0 || der->len > INT32_MAX)
        return false;
    ret->context = OSSL_LIB_CTX_new();
    ret->x509 = ret->context ? X509_new_ex(ret->context, NULL) : NULL;
    if (!ret->x509 || !d2i_X509(&ret->x509, &at, (long)der->len))
        return false;
    return at == (const unsigned char *)der->data + der->len && parse_fields(ret);
}

struct creation {
    const struct hx_spec *spec;
    const struct hx_buf *der;
    const struct parsed *parsed;
    struct hx_buf id;
};

static CK_RV create(struct p11_session *session, void *arg)
{
    const struct creation *creation = arg;
    const struct parsed *parsed = creation->parsed;
    const char *label = creation->spec->label;
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_CERTIFICATE_TYPE type = CKC_X_509;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE at[] = {
        p11_attribute(CKA_CLASS, &class, sizeof class),
        p11_attribute(CKA_CERTIFICATE_TYPE, &type, sizeof type),
        p11_attribute(CKA_TOKEN, &yes, sizeof yes),
        p11_attribute(CKA_PRIVATE, &no, sizeof no),
        p11_attribute(CKA_VALUE, creation->der->data, creation->der->len),
        p11_attribute(CKA_SUBJECT, parsed->subject, (size_t)parsed->subject_len),
        p11_attribute(CKA_ISSUER, parsed->issuer, (size_t)parsed->issuer_len),
        p11_attribute(CKA_SERIAL_NUMBER, parsed->serial, (size_t)parsed->serial_len),
        p11_attribute(CKA_ID, creation->id.data, creation->id.len),
        p11_attribute(CKA_LABEL, label, label ? strlen(label) : 0),
    };
    CK_OBJECT_HANDLE handle;

    session->function = "C_CreateObject";
    return session->fn->C_CreateObject(session->handle, at, sizeof at / sizeof *at - (label ? 0 : 1), &handle);
}

static int import(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *der,
                  const struct parsed *parsed, struct hx_out *out)
{
    struct creation creation = { spec, der, parsed, { parsed->key_id, parsed->key_id_len } };
    int r;

    if (spec->id.len)
        creation.id = spec->id;
    r = p11_make(token, spec, create, &creation);
    return r ? r : p11_put_ref(token, spec, creation.id.data, creation.id.len, out);
}

int p11_import_certificate(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *der,
                           struct hx_out *out)
{
    struct parsed parsed = { 0 };
    int r = p11_check_spec(token, spec, HX_REPLACE);
    bool good;

    if (r)
        return r;
    ERR_set_mark();
    good = parse(der, &parsed);
    ERR_pop_to_mark();
    if (good)
        r = import(token, spec, der, &parsed, out);
    else
        r = hx_fail(token->host, HX_E_INVALID, "that is no X.509 certificate in DER");
    parsed_free(&parsed);
    return r;
}
