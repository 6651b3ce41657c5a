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

static CK_RV create(struct p11_session *session, void *arg, struct p11_made *made)
{
    const struct creation *creation = arg;
    const struct parsed *parsed = creation->parsed;
    const char *label = creation->spec->label;
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_CERTIFICATE_TYPE type = CKC_X_509;
    struct p11_template template = { 0 };

    p11_add(&template, CKA_CLASS, &class, sizeof class);
    p11_add(&template, CKA_CERTIFICATE_TYPE, &type, sizeof type);
    p11_add_bool(&template, CKA_TOKEN, true);
    p11_add_bool(&template, CKA_PRIVATE, false);
    p11_add(&template, CKA_VALUE, creation->der->data, creation->der->len);
    p11_add(&template, CKA_SUBJECT, parsed->subject, (size_t)parsed->subject_len);
    p11_add(&template, CKA_ISSUER, parsed->issuer, (size_t)parsed->issuer_len);
    p11_add(&template, CKA_SERIAL_NUMBER, parsed->serial, (size_t)parsed->serial_len);
    p11_add(&template, CKA_ID, creation->id.data, creation->id.len);
    if (label)
        p11_add(&template, CKA_LABEL, label, strlen(label));
    return p11_create_object(session, &template, made);
}

static int import(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *der,
                  const struct parsed *parsed, struct hx_out *out)
{
    struct creation creation = { spec, der, parsed, { parsed->key_id, parsed->key_id_len } };
    struct p11_making making = { .spec = spec, .id = spec->id, .create = create, .arg = &creation };
    int r;

    if (spec->id.len)
        creation.id = spec->id;
    r = p11_make(token, &making);
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
