/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from the configuration, their certificates and chains, and keys that do not tell their public part. */
#include "scene.h"

/* The subjects' common names in a PEM chain, each followed by a blank. */
static int add_name(void *arg, const void *der, size_t len)
{
    struct cert_facts facts = { 0 };

    assert_int_equal(cert_facts(der, len, &facts), HX_OK);
    strcat(strcat(arg, facts.common_name), " ");
    cert_facts_free(&facts);
    return 0;
}

static void expect_chain(const char *name, const char *wanted)
{
    struct hx_bytes pem;
    char names[256] = "";

    expect_result(hx_credential_get(ctx, name, "certificate", &pem), HX_OK);
    assert_int_equal(cert_each(pem.data, pem.len, add_name, names), HX_OK);
    assert_string_equal(names, wanted);
    hx_bytes_free(&pem);
}

static void a_chain_is_leaf_first_and_without_its_root(void **state)
{
    (void)state;
    configure(EDGE);
    put_cert(0, "root", 7, FAKE_CA, 0);
    put_cert(0, "middle", 8, FAKE_CA, 7);
    put_cert(0, "stranger", 9, FAKE_CA, 0);
    put_cert(0, "device", 1, FAKE_VALID, 8);
    put_key(0, "device", 1);
    expect_chain(NULL, "device fake CA 8 ");
}

static void a_chain_ends_where_an_issuer_is_missing(void **state)
{
    (void)state;
    configure(EDGE);
    put_cert(0, "root", 6, FAKE_CA, 0);
    put_cert(0, "device", 1, FAKE_VALID, 8);
    put_cert(0, "middle", 8, FAKE_CA, 7);
    put_key(0, "device", 1);
    expect_chain(NULL, "device fake CA 8 ");
}

static void a_self_signed_certificate_is_its_own_chain(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "device", 1);
    put_cert(0, "device", 1, FAKE_VALID, 0);
    expect_chain(NULL, "device ");
}

static void certificates_lie_beside_the_configuration_too(void **state)
{
    const struct fake_object *chain[2];

    (void)state;
    two_tokens();
    configure(EDGE);
    chain[0] = put_cert(1, "middle", 8, FAKE_CA, 7);
    chain[1] = put_cert(1, "device", 1, FAKE_VALID, 8);
    write_pem("certs/device.pem", chain, 2);
    write_file("certs/broken.pem", "nonsense", 8);
    write_file("certs/README", "nonsense", 8);
    put_key(0, "key", 1);
    put_key(0, "bare", 2);
    expect_credential(NULL, "address", "hsm:edge/key/key");
    expect_chain(NULL, "device fake CA 8 ");
    assert_non_null(strstr(said, "certs/broken.pem"));
    assert_null(strstr(said, "README"));
}

static void the_configuration_chooses_among_keys(void **state)
{
    char why[128];

    (void)state;
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    put_cert(0, "one", 1, FAKE_VALID, 0);
    put_cert(0, "two", 2, FAKE_VALID, 0);
    configure(EDGE "[credential]\nkey = hsm:edge/key/two\nregistration-id = r\n"
                   "[credential web]\nkey = hsm:edge/key/one\ncommon-name = c\n");
    expect_credential(NULL, "address", "hsm:edge/key/two");
    expect_credential(NULL, "common-name", "two");
    expect_credential(NULL, "registration-id", "r");
    snprintf(why, sizeof why, "[credential] in %s:4", conf_path);
    expect_credential(NULL, "why", why);
    expect_credential("web", "address", "hsm:edge/key/one");
    expect_credential("hsm:web", "common-name", "c");
    expect_credential("web", "registration-id", "c");
    snprintf(why, sizeof why, "[credential web] in %s:7", conf_path);
    expect_credential("web", "why", why);
    expect_chain("web", "one ");
}

static void an_unknown_credential_is_an_error(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure(EDGE);
    assert_int_equal(hx_credential_get(ctx, "web", "address", &text), HX_E_NOT_FOUND);
    expect_said("no [credential web] in");
    assert_int_equal(hx_credential_get(ctx, "edge", "address", &text), HX_E_NOT_FOUND);
    expect_said("'edge' is a token");
}

static void a_credential_names_an_object_that_is_there(void **state)
{
    struct hx_bytes text;
    struct hx_key *key;

    (void)state;
    configure(EDGE "[credential]\nkey = hsm:\n[credential a]\nkey = hsm:a\n[credential b]\nkey = hsm:edge/key/x\n");
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_CONFIG);
    assert_int_equal(hx_key_open(ctx, "hsm:a", &key), HX_E_CONFIG);
    assert_int_equal(hx_key_open(ctx, "hsm:b", &key), HX_E_NOT_FOUND);
    expect_said("hsmux.conf:9: key: no object 'hsm:edge/key/x' on token 'edge'");
}

static void the_certificate_of_another_key_is_refused(void **state)
{
    const struct fake_object *right;
    struct hx_bytes text;

    (void)state;
    put_key(0, "device", 1);
    right = put_cert(0, "right", 1, FAKE_VALID, 0);
    put_cert(0, "other", 2, FAKE_VALID, 0);
    write_pem("certs/right.pem", &right, 1);
    configure(EDGE "[credential]\nkey = hsm:edge/key/device\ncertificate = hsm:edge/cert/other\n");
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_CONFIG);
    expect_said("hsmux.conf:6: certificate 'hsm:edge/cert/other' belongs to another key than 'hsm:edge/key/device'");
}

static void a_named_certificate_is_the_one_that_is_used(void **state)
{
    const struct fake_object *younger;

    (void)state;
    put_key(0, "device", 1);
    put_cert(0, "named", 1, FAKE_EXPIRED, 8);
    put_cert(0, "middle", 8, FAKE_CA, 7);
    younger = put_cert(0, "younger", 1, FAKE_VALID, 0);
    write_pem("certs/younger.pem", &younger, 1);
    configure(EDGE "[credential]\nkey = hsm:edge/key/device\ncertificate = hsm:edge/cert/named\n");
    expect_chain(NULL, "named fake CA 8 ");
}

static void certificate_and_chain_come_from_files(void **state)
{
    const struct fake_object *cert[3];
    char text[512];

    (void)state;
    two_tokens();
    put_key(0, "device", 1);
    cert[0] = put_cert(1, "root", 7, FAKE_CA, 0);
    cert[1] = put_cert(1, "middle", 8, FAKE_CA, 7);
    cert[2] = put_cert(1, "device", 1, FAKE_VALID, 8);
    write_pem("all.pem", cert, 3);
    write_pem("leaf.pem", cert + 2, 1);
    write_pem("rest.pem", cert, 2);
    snprintf(text, sizeof text,
             EDGE "[credential]\nkey = hsm:edge/key/device\ncertificate = %s/all.pem\n"
                  "[credential two]\nkey = hsm:edge/key/device\ncertificate = %s/leaf.pem\nchain = %s/rest.pem\n"
                  "[credential bad]\nkey = hsm:edge/key/device\ncertificate = %s/none.pem\n",
             place, place, place, place);
    configure(text);
    expect_chain(NULL, "device fake CA 8 ");
    expect_chain("two", "device fake CA 8 ");
    assert_int_equal(hx_credential_get(ctx, "bad", "address", &(struct hx_bytes){ 0 }), HX_E_CONFIG);
    expect_said("none.pem': No such file or directory");
}

/* Two certificates with the key's id, of which one fits. */
static void put_silent_key(void)
{
    put_key(0, "silent", 1)->public_unreadable = true;
    put_cert(0, "wrong", 2, FAKE_VALID, 0)->id[0] = 1;
    put_cert(0, "right", 1, FAKE_VALID, 0);
}

static void a_key_without_readable_public_part_is_proved_once(void **state)
{
    struct hx_bytes spki;
    struct hx_key *key;
    unsigned signs;

    (void)state;
    configure(EDGE);
    put_silent_key();
    put_cert(0, "elsewhere", 3, FAKE_VALID, 0);
    expect_credential(NULL, "address", "hsm:edge/key/silent");
    expect_chain(NULL, "right ");
    signs = fake->calls[FAKE_SIGN];
    assert_int_equal(signs, 2);
    for (int i = 0; i < 3; i++) {
        expect_result(hx_key_open(ctx, i ? "hsm:" : "hsm:edge/key/silent", &key), HX_OK);
        expect_result(hx_key_public(key, &spki), HX_OK);
        hx_bytes_free(&spki);
        hx_key_close(key);
    }
    assert_int_equal(fake->calls[FAKE_SIGN], signs);
}

static void a_proof_that_fails_is_no_verdict(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure(EDGE);
    put_silent_key();
    put_key(0, "other", 5);
    put_cert(0, "other", 5, FAKE_VALID, 0);
    fake->script[FAKE_SIGN] = (struct fake_script){ .result = HX_E_DEVICE, .times = 1 };
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_DEVICE);
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_AMBIGUOUS);
}

static void a_key_that_nothing_proves_is_a_bare_one(void **state)
{
    struct hx_bytes text;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "silent", 1)->public_unreadable = true;
    put_cert(0, "wrong", 2, FAKE_VALID, 0)->id[0] = 1;
    expect_credential(NULL, "why", "the only key that can sign; it has no certificate");
    expect_result(hx_key_open(ctx, "hsm:", &key), HX_OK);
    assert_int_equal(hx_key_public(key, &text), HX_E_UNSUPPORTED);
    assert_int_equal(hx_key_reference(key, &text), HX_E_UNSUPPORTED);
    hx_key_close(key);
}

static void a_named_certificate_proves_its_key_for_good(void **state)
{
    const struct fake_object *cert;
    struct hx_bytes spki;
    struct hx_key *key;
    char text[256];

    (void)state;
    two_tokens();
    put_key(0, "silent", 1)->public_unreadable = true;
    cert = put_cert(1, "device", 1, FAKE_VALID, 0);
    write_pem("device.pem", &cert, 1);
    snprintf(text, sizeof text, EDGE "[credential]\nkey = hsm:edge/key/silent\ncertificate = %s/device.pem\n", place);
    configure(text);
    expect_chain(NULL, "device ");
    expect_result(hx_key_open(ctx, "hsm:", &key), HX_OK);
    expect_result(hx_key_public(key, &spki), HX_OK);
    hx_bytes_free(&spki);
    hx_key_close(key);
    assert_int_equal(fake->calls[FAKE_SIGN], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_chain_is_leaf_first_and_without_its_root),
        SCENE_TEST(a_chain_ends_where_an_issuer_is_missing),
        SCENE_TEST(a_self_signed_certificate_is_its_own_chain),
        SCENE_TEST(certificates_lie_beside_the_configuration_too),
        SCENE_TEST(the_configuration_chooses_among_keys),
        SCENE_TEST(an_unknown_credential_is_an_error),
        SCENE_TEST(a_credential_names_an_object_that_is_there),
        SCENE_TEST(the_certificate_of_another_key_is_refused),
        SCENE_TEST(a_named_certificate_is_the_one_that_is_used),
        SCENE_TEST(certificate_and_chain_come_from_files),
        SCENE_TEST(a_key_without_readable_public_part_is_proved_once),
        SCENE_TEST(a_proof_that_fails_is_no_verdict),
        SCENE_TEST(a_key_that_nothing_proves_is_a_bare_one),
        SCENE_TEST(a_named_certificate_proves_its_key_for_good),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
