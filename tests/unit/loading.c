/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenSSL provider: how keys come in, and what does not disturb them. */
#include "provider-keys.h"

#include <pthread.h>
#include <sys/wait.h>

/* A provider of its own that has not read its configuration yet. */
static OSSL_LIB_CTX *fresh_context(void)
{
    OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();

    assert_int_equal(OSSL_PROVIDER_add_builtin(fresh, "hsmux", hsmux_provider_init), 1);
    assert_non_null(OSSL_PROVIDER_load(fresh, "default"));
    assert_non_null(OSSL_PROVIDER_load(fresh, "hsmux"));
    return fresh;
}

static void free_context(OSSL_LIB_CTX *fresh)
{
    static const char *const names[] = { "default", "hsmux" };

    for (int i = 0; i < 2; i++) {
        OSSL_PROVIDER *provider = OSSL_PROVIDER_load(fresh, names[i]);

        /* Once for this call and once for fresh_context(). */
        OSSL_PROVIDER_unload(provider);
        OSSL_PROVIDER_unload(provider);
    }
    OSSL_LIB_CTX_free(fresh);
}

static void software_keys_do_not_care_for_a_broken_configuration(void **state)
{
    OSSL_LIB_CTX *fresh = fresh_context();
    BIO *pem = BIO_new(BIO_s_mem());
    EVP_PKEY *key;

    (void)state;
    write_config("[nonsense");
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        PEM_write_bio_PrivateKey(pem, twins[kind], NULL, NULL, 0, NULL, NULL);
        key = PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, fresh, NULL);
        assert_int_equal(EVP_PKEY_eq(key, twins[kind]), 1);
        EVP_PKEY_free(key);
        i2d_PrivateKey_bio(pem, twins[kind]);
        key = d2i_PrivateKey_ex_bio(pem, NULL, fresh, NULL);
        assert_int_equal(EVP_PKEY_eq(key, twins[kind]), 1);
        EVP_PKEY_free(key);
        assert_int_equal(ERR_peek_error(), 0);
    }
    write_config("");
    BIO_free(pem);
    free_context(fresh);
}

static void a_mended_configuration_works_at_once(void **state)
{
    OSSL_LIB_CTX *fresh = fresh_context();
    BIO *pem = reference_of(P256), *again = reference_of(P256);
    EVP_PKEY *key;

    (void)state;
    write_config("[nonsense");
    assert_null(PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, fresh, NULL));
    queue_says("hsmux.conf:1");
    write_config("");
    key = PEM_read_bio_PrivateKey_ex(again, NULL, NULL, NULL, fresh, NULL);
    assert_int_equal(EVP_PKEY_eq(key, twins[P256]), 1);
    EVP_PKEY_free(key);
    BIO_free(pem);
    BIO_free(again);
    free_context(fresh);
}

/* A damaged reference is no key, or the same key, or one that cannot sign. */
static void try_flipped(const unsigned char *der, long len)
{
    BIO *pem = BIO_new(BIO_s_mem());
    unsigned char sig[512];
    size_t sig_len = sizeof(sig);
    EVP_PKEY *key;

    PEM_write_bio(pem, "HSMUX KEY REFERENCE", "", der, len);
    key = read_pem(pem);
    if (key && EVP_PKEY_eq(key, twins[P256]) != 1)
        assert_false(sign(key, P256, sig, &sig_len));
    EVP_PKEY_free(key);
    BIO_free(pem);
    ERR_clear_error();
}

static void a_flipped_bit_gives_no_other_key(void **state)
{
    BIO *pem = reference_of(P256);
    char *name, *header;
    unsigned char *der;
    long len;

    (void)state;
    assert_int_equal(PEM_read_bio(pem, &name, &header, &der, &len), 1);
    for (long at = 0; at < len * 8; at++) {
        der[at / 8] ^= (unsigned char)(1 << at % 8);
        try_flipped(der, len);
        der[at / 8] ^= (unsigned char)(1 << at % 8);
    }
    for (long cut = 0; cut < len; cut++)
        try_flipped(der, cut);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(pem);
}

/* A certificate of its own for the twin, on the token, where it gets the key's label. */
static void put_certificate(int kind)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE };
    EVP_MD *md = EVP_MD_fetch(libctx, kinds[kind].digest, NULL);
    X509 *certificate = X509_new_ex(libctx, NULL);
    struct hx_buf part = { 0 };
    unsigned char *der = NULL;
    hx *context;

    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const unsigned char *)"device",
                               -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_set_pubkey(certificate, twins[kind]);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_true(X509_sign(certificate, twins[kind], md) > 0);
    part.len = (size_t)i2d_X509(certificate, &der);
    part.data = der;
    assert_int_equal(hx_new(NULL, &context), 0);
    if (hx_import(context, "soft", &spec, &part, 1, NULL) != 0)
        fail_msg("%s", hx_last_error());
    hx_free(context);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_MD_free(md);
}

static void assert_yields(const char *address, int expect, int type)
{
    OSSL_STORE_INFO *info = fetch(address, expect);

    if (!info)
        ERR_print_errors_fp(stderr);
    assert_non_null(info);
    assert_int_equal(OSSL_STORE_INFO_get_type(info), type);
    OSSL_STORE_INFO_free(info);
}

static void a_store_yields_what_is_expected(void **state)
{
    (void)state;
    put_certificate(P384);
    assert_yields("hsm:", 0, OSSL_STORE_INFO_PKEY);
    assert_yields("hsm:", OSSL_STORE_INFO_CERT, OSSL_STORE_INFO_CERT);
    assert_yields("hsm:", OSSL_STORE_INFO_PUBKEY, OSSL_STORE_INFO_PUBKEY);
    assert_yields("hsm:soft/", 0, OSSL_STORE_INFO_NAME);
    assert_yields("hsm:soft/cert", 0, OSSL_STORE_INFO_NAME);
    assert_yields("hsm:soft/key/rsa", 0, OSSL_STORE_INFO_PKEY);
    assert_yields("hsm:soft/cert/p384", 0, OSSL_STORE_INFO_CERT);
    assert_null(fetch("hsm:soft/key/rsa", OSSL_STORE_INFO_CERT));
    assert_int_equal(ERR_peek_error(), 0);
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    assert_null(fetch("hsm:soft/key/nothing", 0));
    queue_says("nothing");
    assert_null(fetch("hsm:hard/", 0));
    queue_says("hard");
    ERR_clear_error();
}

/* The same text on each device of a fleet, without address or public key. */
static void a_fleets_reference_is_the_credential(void **state)
{
    struct hx_bytes text = { 0 };
    EVP_PKEY *key;
    BIO *pem;

    (void)state;
    assert_int_equal(hx_default_reference(&text), 0);
    pem = BIO_new_mem_buf(text.data, (int)text.len);
    key = read_pem(pem);
    if (!key)
        ERR_print_errors_fp(stderr);
    assert_int_equal(EVP_PKEY_eq(key, twins[P384]), 1);
    assert_signs(key, P384);
    EVP_PKEY_free(key);
    BIO_free(pem);
    hx_bytes_free(&text);
}

static int count_names(const char *address)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(address, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info;
    int count = 0;

    while (!OSSL_STORE_eof(store)) {
        info = OSSL_STORE_load(store);
        count += info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_NAME;
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return count;
}

static void a_listing_names_each_object_once(void **state)
{
    int count = 0;

    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        count++;
    assert_int_equal(count_names("hsm:soft/key"), count);
    assert_int_equal(count_names("hsm:soft/cert"), 1);
    assert_true(count_names("hsm:soft/") >= count + 1);
}

static void a_child_goes_on_with_its_parents_key(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind)) {
        EVP_PKEY *key = open_key(kind);
        unsigned char sig[512];
        size_t len = sizeof(sig);
        int status;
        pid_t child;

        assert_signs(key, kind);
        child = fork();
        if (!child)
            _exit(!sign(key, kind, sig, &len) || !verify(twins[kind], kind, sig, len) || !verify(key, kind, sig, len));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_signs(key, kind);
        EVP_PKEY_free(key);
    }
}

static void *sign_often(void *key)
{
    unsigned char sig[512];

    for (int i = 0; i < 50; i++) {
        size_t len = sizeof(sig);

        if (!sign(key, P256, sig, &len) || !verify(key, P256, sig, len))
            return key;
    }
    return NULL;
}

static void threads_share_a_key(void **state)
{
    EVP_PKEY *key = open_key(P256);
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, sign_often, key);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    EVP_PKEY_free(key);
}

static void *load_fresh(void *fresh)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex("hsm:soft/key/p256", fresh, NULL, NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_INFO *info = OSSL_STORE_load(store);

    OSSL_STORE_close(store);
    OSSL_STORE_INFO_free(info);
    return info ? NULL : fresh;
}

static void threads_may_come_first_at_once(void **state)
{
    OSSL_LIB_CTX *fresh = fresh_context();
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, load_fresh, fresh);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    free_context(fresh);
}

/* A key of the token's was used first in this context; then somebody wants one of his own, from anybody. */
static void assert_no_token_makes_it(int kind)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *software = OSSL_PROVIDER_load(context, "default"), *tokens;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char sig[512];
    size_t len = sizeof(sig);
    BIO *reference = reference_of(kind);
    EVP_PKEY *key, *own;

    OSSL_PROVIDER_add_builtin(context, "hsmux", hsmux_provider_init);
    tokens = OSSL_PROVIDER_load(context, "hsmux");
    key = PEM_read_bio_PrivateKey_ex(reference, NULL, NULL, NULL, context, NULL);
    assert_ptr_equal(EVP_PKEY_get0_provider(key), tokens);
    assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, kinds[kind].digest, context, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const unsigned char *)message, sizeof(message)), 1);
    own = kinds[kind].group ? EVP_PKEY_Q_keygen(context, NULL, "EC", kinds[kind].group)
                            : EVP_PKEY_Q_keygen(context, NULL, kinds[kind].type, (size_t)2048);
    assert_non_null(own);
    assert_ptr_equal(EVP_PKEY_get0_provider(own), software);
    EVP_PKEY_free(own);
    EVP_PKEY_free(key);
    EVP_MD_CTX_free(ctx);
    BIO_free(reference);
    OSSL_PROVIDER_unload(tokens);
    OSSL_PROVIDER_unload(software);
    OSSL_LIB_CTX_free(context);
}

static void whoever_wants_a_key_of_his_own_gets_a_software_one(void **state)
{
    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        assert_no_token_makes_it(kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(software_keys_do_not_care_for_a_broken_configuration),
        cmocka_unit_test(a_mended_configuration_works_at_once),
        cmocka_unit_test(a_flipped_bit_gives_no_other_key),
        cmocka_unit_test(a_store_yields_what_is_expected),
        cmocka_unit_test(a_fleets_reference_is_the_credential),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test(a_listing_names_each_object_once),
        cmocka_unit_test(a_child_goes_on_with_its_parents_key),
        cmocka_unit_test(threads_share_a_key),
        cmocka_unit_test(threads_may_come_first_at_once),
        cmocka_unit_test(whoever_wants_a_key_of_his_own_gets_a_software_one),
    };

    return can_run() ? cmocka_run_group_tests(tests, set_up, tear_down) : 77;
}
