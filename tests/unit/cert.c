/* SPDX-License-Identifier: Apache-2.0 */
/* What a credential needs of certificates: their facts, who issued them, and files of several. */
#include "der.h"
#include "encode.h"
#include "keys.h"

#include <hsmux/hsmux.h>
#include <openssl/x509v3.h>

static EVP_PKEY *leaf_key, *ca_key;
static struct hx_bytes leaf, ca;

static void add_extension(X509 *x509, int nid, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, text);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static struct hx_bytes make_ca(EVP_PKEY *key, const char *constraints, const char *usage)
{
    X509 *x509 = cert_make(key, "the CA", "the CA");

    if (constraints)
        add_extension(x509, NID_basic_constraints, constraints);
    if (usage)
        add_extension(x509, NID_key_usage, usage);
    return cert_sign(x509, key);
}

static int setup(void **state)
{
    if (keys_setup(state))
        return -1;
    leaf_key = key_make("EC:P-256");
    ca_key = key_make("EC:P-384");
    ca = make_ca(ca_key, "critical,CA:TRUE", "keyCertSign,cRLSign");
    leaf = cert_sign(cert_make(leaf_key, "d\xc3\xa9vice 7", "the CA"), ca_key);
    return 0;
}

static int teardown(void **state)
{
    hx_bytes_free(&leaf);
    hx_bytes_free(&ca);
    EVP_PKEY_free(leaf_key);
    EVP_PKEY_free(ca_key);
    return keys_teardown(state);
}

static void a_certificate_tells_its_facts(void **state)
{
    AUTO_BYTES struct hx_bytes spki = key_spki(leaf_key);
    struct cert_facts facts = { 0 }, issuer = { 0 };

    (void)state;
    assert_int_equal(cert_facts(leaf.data, leaf.len, &facts), 0);
    assert_true(bytes_equal(facts.spki.data, facts.spki.len, spki.data, spki.len));
    assert_string_equal(facts.common_name, "d\xc3\xa9vice 7");
    assert_false(facts.is_ca);
    assert_true(facts.not_before == 0);
    assert_true(facts.not_after == INT64_C(253402300799));
    assert_int_equal(cert_facts(ca.data, ca.len, &issuer), 0);
    assert_true(issuer.is_ca);
    assert_true(bytes_equal(facts.issuer.data, facts.issuer.len, issuer.subject.data, issuer.subject.len));
    assert_false(bytes_equal(facts.subject.data, facts.subject.len, issuer.subject.data, issuer.subject.len));
    cert_facts_free(&facts);
    cert_facts_free(&issuer);
    assert_null(facts.common_name);
}

static void a_ca_is_what_may_sign_certificates(void **state)
{
    static const struct {
        const char *constraints, *usage;
        int is_ca;
    } cases[] = {
        { "CA:TRUE", NULL, 1 },
        { "CA:TRUE,pathlen:0", "keyCertSign", 1 },
        { "CA:TRUE", "digitalSignature", 0 },
        { "CA:FALSE", NULL, 0 },
        { NULL, "keyCertSign", 0 },
        { NULL, NULL, 0 }, /* self-signed, as a device's certificate may be */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BYTES struct hx_bytes der = make_ca(leaf_key, cases[i].constraints, cases[i].usage);
        struct cert_facts facts = { 0 };

        assert_int_equal(cert_facts(der.data, der.len, &facts), 0);
        assert_int_equal(facts.is_ca, cases[i].is_ca);
        cert_facts_free(&facts);
    }
}

static void a_common_name_is_text_without_a_nul(void **state)
{
    X509 *bmp = cert_make(leaf_key, "first", "the CA"), *nul = cert_make(leaf_key, NULL, "the CA");
    AUTO_BYTES struct hx_bytes none = cert_sign(cert_make(leaf_key, NULL, "the CA"), ca_key), der = { 0 }, bad = { 0 };
    struct cert_facts facts = { 0 };

    (void)state;
    name_add(X509_get_subject_name(bmp), V_ASN1_BMPSTRING, "\0l\0\xe4\0s\0t", 8);
    der = cert_sign(bmp, ca_key);
    assert_int_equal(cert_facts(der.data, der.len, &facts), 0);
    assert_string_equal(facts.common_name, "l\xc3\xa4st");
    cert_facts_free(&facts);
    assert_int_equal(cert_facts(none.data, none.len, &facts), 0);
    assert_null(facts.common_name);
    cert_facts_free(&facts);
    name_add(X509_get_subject_name(nul), V_ASN1_UTF8STRING, "good\0evil", 9);
    bad = cert_sign(nul, ca_key);
    assert_int_equal(cert_facts(bad.data, bad.len, &facts), HX_E_INVALID);
    assert_non_null(strstr(hx_last_error(), "NUL"));
    assert_null(facts.spki.data);
}

static void a_key_of_a_foreign_type_is_kept_as_it_is(void **state)
{
    EVP_PKEY *foreign = key_make("EC:secp256k1");
    AUTO_BYTES struct hx_bytes spki = key_spki(foreign), der = cert_sign(cert_make(foreign, "x", "the CA"), ca_key);
    struct cert_facts facts = { 0 };

    (void)state;
    assert_int_equal(cert_facts(der.data, der.len, &facts), 0);
    assert_true(bytes_equal(facts.spki.data, facts.spki.len, spki.data, spki.len));
    cert_facts_free(&facts);
    EVP_PKEY_free(foreign);
}

static void an_issuer_is_known_by_name_and_signature(void **state)
{
    static const char *const types[] = {
        "RSA:2048", "EC:P-256", "EC:P-521", "ED25519", "EC:secp256k1", "RSA-PSS:2048"
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        EVP_PKEY *key = key_make(types[i]), *other = key_make(types[i]);
        AUTO_BYTES struct hx_bytes issuer = make_ca(key, "CA:TRUE", NULL), twin = make_ca(other, "CA:TRUE", NULL);
        AUTO_BYTES struct hx_bytes cert = cert_sign(cert_make(leaf_key, "x", "the CA"), key);
        AUTO_BYTES struct hx_bytes stray = cert_sign(cert_make(leaf_key, "x", "another CA"), key);

        if (cert_issued_by(cert.data, cert.len, issuer.data, issuer.len) != 1)
            fail_msg("%s: %s", types[i], hx_last_error());
        assert_int_equal(cert_issued_by(issuer.data, issuer.len, issuer.data, issuer.len), 1);
        assert_int_equal(cert_issued_by(cert.data, cert.len, twin.data, twin.len), 0);
        assert_int_equal(cert_issued_by(cert.data, cert.len, ca.data, ca.len), 0);
        assert_int_equal(cert_issued_by(stray.data, stray.len, issuer.data, issuer.len), 0);
        assert_int_equal(cert_issued_by(issuer.data, issuer.len, cert.data, cert.len), 0);
        assert_int_equal(cert_issued_by("junk", 4, issuer.data, issuer.len), 0);
        assert_int_equal(cert_issued_by(cert.data, cert.len, "", 0), 0);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
    }
}

static void no_bit_of_a_certificate_may_be_flipped(void **state)
{
    struct cert_facts facts = { 0 };

    (void)state;
    assert_int_equal(cert_issued_by(leaf.data, leaf.len, ca.data, ca.len), 1);
    for (size_t bit = 0; bit < 8 * leaf.len; bit++) {
        leaf.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (cert_issued_by(leaf.data, leaf.len, ca.data, ca.len))
            fail_msg("bit %zu of a certificate may be flipped", bit);
        if (!cert_facts(leaf.data, leaf.len, &facts))
            cert_facts_free(&facts);
        leaf.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t len = 0; len < leaf.len; len++) {
        AUTO_FREE void *cut = malloc(len + 1);

        memcpy(cut, leaf.data, len);
        assert_int_equal(cert_facts(cut, len, &facts), HX_E_INVALID);
    }
}

struct seen {
    int count, stop_at;
    struct hx_bytes last;
};

static int see(void *arg, const void *der, size_t len)
{
    struct seen *seen = arg;

    hx_bytes_free(&seen->last);
    assert_int_equal(bytes_append(&seen->last, der, len), 0);
    return ++seen->count == seen->stop_at ? 55 : 0;
}

/* Certificates found in text, or the error; the last one must be what is expected (NULL: anything). */
static int count(const void *text, size_t len, int stop_at, const struct hx_bytes *expected)
{
    struct seen seen = { .stop_at = stop_at };
    int result = cert_each(text, len, see, &seen);

    if (expected)
        assert_true(bytes_equal(seen.last.data, seen.last.len, expected->data, expected->len));
    hx_bytes_free(&seen.last);
    return result ? result : seen.count;
}

static const char sealed_key[] = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                 "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAECAwQFBgcICQ==\n"
                                 "-----END RSA PRIVATE KEY-----\n"
                                 "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAECAwQFBgcICQ==\n"
                                 "-----END ENCRYPTED PRIVATE KEY-----\n";

static void certificates_are_found_among_other_blocks(void **state)
{
    AUTO_BYTES struct hx_bytes pem = { 0 };

    (void)state;
    assert_int_equal(bytes_text(&pem, "\xef\xbb\xbf"), 0);
    assert_int_equal(cert_to_pem(ca.data, ca.len, &pem), 0);
    assert_int_equal(bytes_text(&pem, "subject=some words\n"), 0);
    assert_int_equal(bytes_text(&pem, sealed_key), 0);
    assert_int_equal(count(pem.data, pem.len, 0, &ca), 1);
    assert_int_equal(cert_to_pem(leaf.data, leaf.len, &pem), 0);
    assert_int_equal(count(pem.data, pem.len, 0, &leaf), 2);
    assert_int_equal(count(pem.data, pem.len - 1, 0, &leaf), 2); /* no newline at the end */
    assert_int_equal(count(pem.data, pem.len, 1, &ca), 55);
    assert_int_equal(count(leaf.data, leaf.len, 0, &leaf), 1);
    assert_int_equal(count(leaf.data, leaf.len, 1, &leaf), 55);
    assert_int_equal(count(sealed_key, sizeof sealed_key - 1, 0, NULL), 0);
}

static void a_trusted_certificate_is_stripped(void **state)
{
    static const char *const labels[] = { "X509 CERTIFICATE", "TRUSTED CERTIFICATE" };
    AUTO_BYTES struct hx_bytes pem = { 0 }, trusted = { 0 }, wrong = { 0 };

    (void)state;
    assert_int_equal(bytes_append(&trusted, leaf.data, leaf.len), 0);
    assert_int_equal(bytes_append(&trusted, "\x30\x03\x0c\x01x", 5), 0);
    assert_int_equal(der_to_pem(labels[0], ca.data, ca.len, &pem), 0);
    assert_int_equal(der_to_pem(labels[1], trusted.data, trusted.len, &pem), 0);
    assert_int_equal(count(pem.data, pem.len, 0, &leaf), 2);
    assert_int_equal(der_to_pem(labels[0], trusted.data, trusted.len, &wrong), 0);
    assert_int_equal(count(wrong.data, wrong.len, 0, NULL), HX_E_INVALID);
}

static void what_holds_no_certificate_is_said(void **state)
{
    AUTO_BYTES struct hx_bytes pem = { 0 }, longer = { 0 };
    struct hx_bytes none = { 0 };

    (void)state;
    assert_int_equal(count("", 0, 0, NULL), HX_E_INVALID);
    assert_int_equal(count("hello\n", 6, 0, NULL), HX_E_INVALID);
    assert_non_null(strstr(hx_last_error(), "neither PEM nor a DER certificate"));
    assert_int_equal(count(leaf.data, leaf.len - 1, 0, NULL), HX_E_INVALID);
    assert_int_equal(cert_to_pem(leaf.data, leaf.len, &pem), 0);
    assert_int_equal(count(pem.data, pem.len - 10, 0, NULL), HX_E_INVALID);
    assert_non_null(strstr(hx_last_error(), "damaged"));
    pem.data[pem.len / 2] = '*';
    assert_int_equal(count(pem.data, pem.len, 0, NULL), HX_E_INVALID);
    assert_int_equal(bytes_append(&longer, leaf.data, leaf.len), 0);
    assert_int_equal(bytes_append(&longer, "", 1), 0);
    assert_int_equal(cert_to_pem(longer.data, longer.len, &none), HX_E_INVALID);
    assert_null(none.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_tells_its_facts),
        cmocka_unit_test(a_ca_is_what_may_sign_certificates),
        cmocka_unit_test(a_common_name_is_text_without_a_nul),
        cmocka_unit_test(a_key_of_a_foreign_type_is_kept_as_it_is),
        cmocka_unit_test(an_issuer_is_known_by_name_and_signature),
        cmocka_unit_test(no_bit_of_a_certificate_may_be_flipped),
        cmocka_unit_test(certificates_are_found_among_other_blocks),
        cmocka_unit_test(a_trusted_certificate_is_stripped),
        cmocka_unit_test(what_holds_no_certificate_is_said),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
