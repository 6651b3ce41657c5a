/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, as far as a credential needs them.  A template of our own reads them, since libcrypto's X509 would
 * decode the public key at once, in whatever library context it is given. */
#include "der.h"
#include "encode.h"
#include "error.h"

#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

typedef struct {
    ASN1_INTEGER *version, *serial;
    X509_ALGOR *algorithm;
    X509_NAME *issuer;
    X509_VAL *validity;
    X509_NAME *subject;
    ASN1_STRING *spki; /* its whole DER */
    ASN1_BIT_STRING *issuer_id, *subject_id;
    STACK_OF(X509_EXTENSION) * extensions;
} TO_BE_SIGNED;

ASN1_SEQUENCE(TO_BE_SIGNED) = {
    ASN1_EXP_OPT(TO_BE_SIGNED, version, ASN1_INTEGER, 0),
    ASN1_SIMPLE(TO_BE_SIGNED, serial, ASN1_INTEGER),
    ASN1_SIMPLE(TO_BE_SIGNED, algorithm, X509_ALGOR),
    ASN1_SIMPLE(TO_BE_SIGNED, issuer, X509_NAME),
    ASN1_SIMPLE(TO_BE_SIGNED, validity, X509_VAL),
    ASN1_SIMPLE(TO_BE_SIGNED, subject, X509_NAME),
    ASN1_SIMPLE(TO_BE_SIGNED, spki, ASN1_SEQUENCE),
    ASN1_IMP_OPT(TO_BE_SIGNED, issuer_id, ASN1_BIT_STRING, 1),
    ASN1_IMP_OPT(TO_BE_SIGNED, subject_id, ASN1_BIT_STRING, 2),
    ASN1_EXP_SEQUENCE_OF_OPT(TO_BE_SIGNED, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END(TO_BE_SIGNED)

typedef struct {
    TO_BE_SIGNED *signed_part;
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} CERTIFICATE;

ASN1_SEQUENCE(CERTIFICATE) = {
    ASN1_SIMPLE(CERTIFICATE, signed_part, TO_BE_SIGNED),
    ASN1_SIMPLE(CERTIFICATE, algorithm, X509_ALGOR),
    ASN1_SIMPLE(CERTIFICATE, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(CERTIFICATE)

typedef struct {
    ASN1_STRING *signed_part; /* its whole DER */
    X509_ALGOR *algorithm;
    ASN1_BIT_STRING *signature;
} ENVELOPE;

ASN1_SEQUENCE(ENVELOPE) = {
    ASN1_SIMPLE(ENVELOPE, signed_part, ASN1_SEQUENCE),
    ASN1_SIMPLE(ENVELOPE, algorithm, X509_ALGOR),
    ASN1_SIMPLE(ENVELOPE, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(ENVELOPE)

static void certificate_free(CERTIFICATE **certificate)
{
    ASN1_item_free((ASN1_VALUE *)*certificate, ASN1_ITEM_rptr(CERTIFICATE));
}

static void envelope_free(ENVELOPE **envelope)
{
    ASN1_item_free((ASN1_VALUE *)*envelope, ASN1_ITEM_rptr(ENVELOPE));
}

/* May it sign certificates?  RFC 5280 §4.2.1.9 and §4.2.1.3. */
static int is_ca(const TO_BE_SIGNED *part)
{
    BASIC_CONSTRAINTS *constraints = X509V3_get_d2i(part->extensions, NID_basic_constraints, NULL, NULL);
    ASN1_BIT_STRING *usage = X509V3_get_d2i(part->extensions, NID_key_usage, NULL, NULL);
    int ca = constraints && constraints->ca && (!usage || ASN1_BIT_STRING_get_bit(usage, 5));

    BASIC_CONSTRAINTS_free(constraints);
    ASN1_BIT_STRING_free(usage);
    return ca;
}

static int seconds(const ASN1_TIME *time, int64_t *ret)
{
    struct tm epoch = { .tm_year = 70, .tm_mday = 1 }, tm;
    int days, rest;

    /* Not timegm(): where time_t has 32 bits the year 9999 would overflow. */
    if (!ASN1_TIME_to_tm(time, &tm) || !OPENSSL_gmtime_diff(&days, &rest, &epoch, &tm))
        return hx_error(HX_E_INVALID, "a certificate's time is not valid");
    *ret = (int64_t)days * 86400 + rest;
    return HX_OK;
}

/* The last one is the most specific. */
static int common_name(const X509_NAME *subject, char **ret)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    int at = -1, next, result;

    while ((next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        at = next;
    if (at < 0)
        return HX_OK;
    if ((result = der_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), "a certificate's common name",
                           &text)))
        return result;
    if (!(*ret = string_copy((const char *)text.data)))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    return HX_OK;
}

/* Certificates are paired with keys by comparing this, so that it must be the encoding that keys are given. */
static int public_key(const ASN1_STRING *spki, struct hx_bytes *ret)
{
    const unsigned char *der = ASN1_STRING_get0_data(spki);
    size_t len = (size_t)ASN1_STRING_length(spki);

    return spki_normal(der, len, ret) ? bytes_append(ret, der, len) : HX_OK;
}

int cert_facts(const void *der, size_t len, struct cert_facts *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(certificate_free) CERTIFICATE *certificate = der_decode(der, len, ASN1_ITEM_rptr(CERTIFICATE));
    CLEANUP(cert_facts_free) struct cert_facts facts = { 0 };
    const TO_BE_SIGNED *part;
    int result;

    if (!certificate)
        return hx_error(HX_E_INVALID, "not a certificate");
    part = certificate->signed_part;
    if ((result = public_key(part->spki, &facts.spki)) ||
        (result = der_encode(part->subject, ASN1_ITEM_rptr(X509_NAME), &facts.subject)) ||
        (result = der_encode(part->issuer, ASN1_ITEM_rptr(X509_NAME), &facts.issuer)) ||
        (result = seconds(part->validity->notBefore, &facts.not_before)) ||
        (result = seconds(part->validity->notAfter, &facts.not_after)) ||
        (result = common_name(part->subject, &facts.common_name)))
        return result;
    facts.is_ca = is_ca(part);
    *ret = facts;
    facts = (struct cert_facts){ 0 };
    return HX_OK;
}

void cert_facts_free(struct cert_facts *facts)
{
    hx_bytes_free(&facts->spki);
    hx_bytes_free(&facts->subject);
    hx_bytes_free(&facts->issuer);
    free(facts->common_name);
    *facts = (struct cert_facts){ 0 };
}

/* The signature over the signed part as it stands in der. */
static int signed_by(const void *der, size_t len, const TO_BE_SIGNED *part, const ASN1_STRING *issuer_spki)
{
    CLEANUP(envelope_free) ENVELOPE *envelope = der_decode(der, len, ASN1_ITEM_rptr(ENVELOPE));
    EVP_PKEY *key = NULL;
    int good = 0;

    if (envelope && X509_ALGOR_cmp(envelope->algorithm, part->algorithm) == 0)
        key = spki_key(ASN1_STRING_get0_data(issuer_spki), (size_t)ASN1_STRING_length(issuer_spki));
    if (key)
        good = ASN1_item_verify_ex(ASN1_ITEM_rptr(ASN1_SEQUENCE), envelope->algorithm, envelope->signature,
                                   envelope->signed_part, NULL, key, encode_libctx(), NULL) == 1;
    EVP_PKEY_free(key);
    return good;
}

int cert_issued_by(const void *cert, size_t cert_len, const void *issuer, size_t issuer_len)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(certificate_free) CERTIFICATE *below = der_decode(cert, cert_len, ASN1_ITEM_rptr(CERTIFICATE));
    CLEANUP(certificate_free) CERTIFICATE *above = der_decode(issuer, issuer_len, ASN1_ITEM_rptr(CERTIFICATE));

    /* The names first: the signature is the dear part. */
    if (!below || !above || X509_NAME_cmp(below->signed_part->issuer, above->signed_part->subject) != 0)
        return 0;
    return signed_by(cert, cert_len, below->signed_part, above->signed_part->spki);
}

int cert_to_pem(const void *der, size_t len, struct hx_bytes *ret)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(certificate_free) CERTIFICATE *certificate = der_decode(der, len, ASN1_ITEM_rptr(CERTIFICATE));

    if (!certificate)
        return hx_error(HX_E_INVALID, "not a certificate");
    return der_to_pem(PEM_STRING_X509, der, len, ret);
}

/* One block; a trusted certificate is followed by what OpenSSL trusts it for, which is left off. */
static int give(const char *label, const unsigned char *der, long len, int (*fn)(void *, const void *, size_t),
                void *arg)
{
    CLEANUP(certificate_free) CERTIFICATE *certificate = NULL;
    const unsigned char *end = der;
    bool trusted = !strcmp(label, PEM_STRING_X509_TRUSTED);

    if (!trusted && strcmp(label, PEM_STRING_X509) != 0 && strcmp(label, PEM_STRING_X509_OLD) != 0)
        return HX_OK;
    certificate = (CERTIFICATE *)ASN1_item_d2i(NULL, &end, len, ASN1_ITEM_rptr(CERTIFICATE));
    if (!certificate || (!trusted && end != der + len))
        return hx_error(HX_E_INVALID, "a PEM block '%s' holds no certificate", label);
    return fn(arg, der, (size_t)(end - der));
}

static bool no_more_blocks(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int each_block(BIO *bio, int (*fn)(void *, const void *, size_t), void *arg)
{
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    int result = HX_OK;
    bool any = false;
    long len = 0;

    /* This neither decrypts nor asks for a passphrase; a private key among the blocks is wiped. */
    while (!result && PEM_read_bio_ex(bio, &label, &header, &der, &len, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE)) {
        any = true;
        result = give(label, der, len, fn, arg);
        OPENSSL_secure_free(label);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(der, (size_t)len);
    }
    if (result)
        return result;
    if (!no_more_blocks(ERR_peek_last_error()))
        return hx_error(HX_E_INVALID, "a PEM block is damaged");
    if (!any)
        return hx_error(HX_E_INVALID, "neither PEM nor a DER certificate");
    return HX_OK;
}

int cert_each(const void *text, size_t len, int (*fn)(void *arg, const void *der, size_t der_len), void *arg)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(certificate_free) CERTIFICATE *single = der_decode(text, len, ASN1_ITEM_rptr(CERTIFICATE));
    const unsigned char *start = text;
    size_t bom = len >= 3 && !memcmp(start, "\xef\xbb\xbf", 3) ? 3 : 0;
    BIO *bio;
    int result;

    if (single)
        return fn(arg, text, len);
    if (len > INT_MAX)
        return hx_error(HX_E_INVALID, "%zu bytes are too many for certificates", len);
    if (!(bio = BIO_new_mem_buf(start + bom, (int)(len - bom))))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    result = each_block(bio, fn, arg);
    BIO_free(bio);
    return result;
}
