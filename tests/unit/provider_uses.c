/* SPDX-License-Identifier: Apache-2.0 */
/* What programs make with a key: certificates, requests, revocation lists, CMS, OCSP, TLS; each checked where nobody
 * has heard of us. */
#include "provider-rows.h"

#include <openssl/cms.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static void a_certificate_is_signed(void **state)
{
    const struct subject *subject = *state;
    const struct subject *other = &subjects[other_kind(subject->kind)];
    X509 *certificate = self_signed(subject), *read = in_plain(certificate);

    assert_int_equal(X509_verify(read, subject->public), 1);
    assert_int_equal(X509_verify(certificate, subject->key), 1);
    assert_int_equal(X509_check_private_key(certificate, subject->key), 1);
    assert_int_equal(X509_check_private_key(certificate, other->key), 0);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(read), subject->public), 1);
    X509_free(read);
    X509_free(certificate);
    ERR_clear_error();
}

static void a_certificate_is_signed_with_pss(void **state)
{
    const struct subject *subject = *state;
    X509 *certificate = unsigned_certificate(subject), *read;
    const struct way way = { NULL, RSA_PKCS1_PSS_PADDING, "digest", NULL };
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;

    assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, "SHA384", libctx, NULL, subject->key, NULL), 1);
    assert_true(set_way(pctx, &way, false));
    assert_true(X509_sign_ctx(certificate, ctx) > 0);
    read = in_plain(certificate);
    assert_int_equal(X509_get_signature_nid(read), NID_rsassaPss);
    assert_int_equal(X509_verify(read, subject->public), 1);
    X509_free(read);
    X509_free(certificate);
    EVP_MD_CTX_free(ctx);
}

static void a_request_is_signed(void **state)
{
    const struct subject *subject = *state;
    X509_REQ *request = X509_REQ_new_ex(libctx, NULL), *read = X509_REQ_new_ex(plain, NULL);
    unsigned char *der = NULL;
    const unsigned char *at;
    int len;

    name_it(X509_REQ_get_subject_name(request));
    assert_int_equal(X509_REQ_set_pubkey(request, subject->key), 1);
    assert_true(X509_REQ_sign(request, subject->key, digest_of(subject)) > 0);
    len = i2d_X509_REQ(request, &der);
    at = der;
    assert_non_null(d2i_X509_REQ(&read, &at, len));
    assert_int_equal(X509_REQ_verify_ex(read, subject->public, plain, NULL), 1);
    assert_int_equal(X509_REQ_verify_ex(request, subject->key, libctx, NULL), 1);
    assert_int_equal(X509_REQ_check_private_key(request, subject->key), 1);
    OPENSSL_free(der);
    X509_REQ_free(read);
    X509_REQ_free(request);
}

static void a_revocation_list_is_signed(void **state)
{
    const struct subject *subject = *state;
    X509_CRL *list = X509_CRL_new_ex(libctx, NULL), *read = X509_CRL_new_ex(plain, NULL);
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    X509_NAME *name = X509_NAME_new();
    unsigned char *der = NULL;
    const unsigned char *at;
    int len;

    name_it(name);
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, name);
    X509_CRL_set1_lastUpdate(list, now);
    assert_true(X509_CRL_sign(list, subject->key, digest_of(subject)) > 0);
    len = i2d_X509_CRL(list, &der);
    at = der;
    assert_non_null(d2i_X509_CRL(&read, &at, len));
    assert_int_equal(X509_CRL_verify(read, subject->public), 1);
    assert_int_equal(X509_CRL_verify(list, subject->key), 1);
    OPENSSL_free(der);
    ASN1_TIME_free(now);
    X509_NAME_free(name);
    X509_CRL_free(read);
    X509_CRL_free(list);
}

static X509_STORE *store_of(X509 *certificate)
{
    X509_STORE *store = X509_STORE_new();

    assert_int_equal(X509_STORE_add_cert(store, certificate), 1);
    return store;
}

/* Without a digest: OpenSSL asks the key for its default. */
static void a_message_is_signed_with_cms(void **state)
{
    const struct subject *subject = *state;
    X509 *certificate = self_signed(subject), *read = in_plain(certificate);
    BIO *data = BIO_new_mem_buf("data", 4), *der = BIO_new(BIO_s_mem());
    X509_STORE *store = store_of(read);
    CMS_ContentInfo *cms = CMS_sign_ex(certificate, subject->key, NULL, data, CMS_BINARY, libctx, NULL);
    CMS_ContentInfo *copy = CMS_ContentInfo_new_ex(plain, NULL);

    if (!cms)
        ERR_print_errors_fp(stderr);
    assert_non_null(cms);
    assert_int_equal(i2d_CMS_bio(der, cms), 1);
    assert_non_null(d2i_CMS_bio(der, &copy));
    assert_int_equal(CMS_verify(copy, NULL, store, NULL, NULL, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY), 1);
    CMS_ContentInfo_free(copy);
    CMS_ContentInfo_free(cms);
    X509_STORE_free(store);
    BIO_free(data);
    BIO_free(der);
    X509_free(read);
    X509_free(certificate);
}

static void an_ocsp_answer_is_signed(void **state)
{
    const struct subject *subject = *state;
    X509 *certificate = self_signed(subject);
    X509_STORE *store = store_of(certificate);
    OCSP_BASICRESP *answer = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, certificate, certificate);
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);

    assert_non_null(OCSP_basic_add1_status(answer, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, NULL));
    assert_int_equal(OCSP_basic_sign(answer, certificate, subject->key, digest_of(subject), NULL, 0), 1);
    assert_int_equal(OCSP_basic_verify(answer, NULL, store, OCSP_NOCHECKS | OCSP_NOVERIFY), 1);
    ASN1_TIME_free(now);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(answer);
    X509_STORE_free(store);
    X509_free(certificate);
}

static int accept_all(int ok, X509_STORE_CTX *ctx)
{
    (void)ok;
    (void)ctx;
    return 1;
}

static SSL_CTX *side(OSSL_LIB_CTX *in_context, const SSL_METHOD *method, int version, X509 *certificate, EVP_PKEY *key)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(in_context, NULL, method);

    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_all);
    return ctx;
}

/* The one with the token's key talks to one that has never heard of us, through memory. */
static void shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx, int kind)
{
    SSL *server = SSL_new(server_ctx), *client = SSL_new(client_ctx);
    BIO *one, *other;

    assert_int_equal(BIO_new_bio_pair(&one, 0, &other, 0), 1);
    SSL_set_bio(server, one, one);
    SSL_set_bio(client, other, other);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    for (int turn = 0; turn < 20 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client)); turn++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    if (!SSL_is_init_finished(server) || !SSL_is_init_finished(client)) {
        ERR_print_errors_fp(stderr);
        fail_msg("no handshake with '%s'", kinds[kind].label);
    }
    SSL_free(client);
    SSL_free(server);
}

static void tls_shakes_hands(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    const struct subject *subject = *state;
    X509 *certificate = self_signed(subject), *read = in_plain(certificate);

    for (int i = 0; i < 2; i++) {
        SSL_CTX *with_token = side(libctx, TLS_method(), versions[i], certificate, subject->key);
        SSL_CTX *without;
        EVP_PKEY *software;
        unsigned char *der = NULL;
        const unsigned char *at;
        int len = i2d_PrivateKey(subject->twin, &der);

        at = der;
        software = d2i_AutoPrivateKey_ex(NULL, &at, len, plain, NULL);
        without = side(plain, TLS_method(), versions[i], read, software);
        shake_hands(with_token, without, subject->kind);
        shake_hands(without, with_token, subject->kind);
        assert_int_equal(ERR_peek_error(), 0);
        SSL_CTX_free(with_token);
        SSL_CTX_free(without);
        EVP_PKEY_free(software);
        OPENSSL_free(der);
    }
    X509_free(read);
    X509_free(certificate);
}

static void tls_refuses_a_foreign_certificate(void **state)
{
    const struct subject *subject = *state;
    X509 *certificate = self_signed(&subjects[subject->kind == P256 ? P384 : P256]);
    SSL_CTX *ctx = SSL_CTX_new_ex(libctx, NULL, TLS_method());

    assert_int_equal(SSL_CTX_use_certificate(ctx, certificate), 1);
    assert_true(SSL_CTX_use_PrivateKey(ctx, subject->key) != 1 || SSL_CTX_check_private_key(ctx) != 1);
    assert_reason();
    SSL_CTX_free(ctx);
    X509_free(certificate);
}

/* The calls of the days before EVP_DigestSign. */
static void the_oldest_calls_sign(void **state)
{
    const struct subject *subject = *state;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_MD *md = EVP_MD_fetch(libctx, "SHA256", NULL);
    const struct way way = { .digest = "SHA256" };
    unsigned char sig[512];
    unsigned len = sizeof(sig);

    assert_int_equal(EVP_SignInit_ex(ctx, md, NULL), 1);
    assert_int_equal(EVP_SignUpdate(ctx, "data", 4), 1);
    assert_int_equal(EVP_SignFinal_ex(ctx, sig, &len, subject->key, libctx, NULL), 1);
    assert_true(verify_message(plain, subject->public, &way, "data", 4, sig, len));
    assert_int_equal(EVP_VerifyInit_ex(ctx, md, NULL), 1);
    assert_int_equal(EVP_VerifyUpdate(ctx, "data", 4), 1);
    assert_int_equal(EVP_VerifyFinal_ex(ctx, sig, len, subject->key, libctx, NULL), 1);
    EVP_MD_free(md);
    EVP_MD_CTX_free(ctx);
}

int main(void)
{
    static const struct row rows[] = {
        { "X509_sign", a_certificate_is_signed, ALL_TYPES },
        { "X509_sign_ctx with pss", a_certificate_is_signed_with_pss, RSA_KEYS },
        { "X509_REQ_sign", a_request_is_signed, ALL_TYPES },
        { "X509_CRL_sign", a_revocation_list_is_signed, ALL_TYPES },
        { "CMS_sign", a_message_is_signed_with_cms, HASHING },
        { "OCSP_basic_sign", an_ocsp_answer_is_signed, ALL_TYPES },
        { "TLS 1.2 and 1.3", tls_shakes_hands, ALL_TYPES },
        { "another certificate", tls_refuses_a_foreign_certificate, ALL_TYPES },
        { "EVP_SignFinal", the_oldest_calls_sign, HASHING },
    };

    return run_rows(rows, sizeof(rows) / sizeof(*rows));
}
