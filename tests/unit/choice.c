/* SPDX-License-Identifier: Apache-2.0 */
/* The one credential that nobody configured: which key it is, and when that is an error. */
#include "scene.h"

static void a_lone_key_is_the_credential(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure("");
    put_key(0, "bare", 1);
    expect_credential(NULL, "address", "hsm:first/key/bare");
    expect_credential(NULL, "why", "the only key that can sign; it has no certificate");
    assert_int_equal(hx_credential_get(ctx, NULL, "certificate", &text), HX_E_NOT_FOUND);
    expect_said("hsmux cert import");
    assert_int_equal(hx_credential_get(ctx, NULL, "common-name", &text), HX_E_NOT_FOUND);
    assert_int_equal(hx_credential_get(ctx, NULL, "nonsense", &text), HX_E_INVALID);
}

static void a_key_with_certificate_comes_before_bare_ones(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "bare", 1);
    put_key(0, "good", 2);
    put_key(0, "bare too", 3);
    put_cert(0, "good", 2, FAKE_VALID, 0);
    expect_credential(NULL, "address", "hsm:edge/key/good");
    expect_credential("hsm:", "why", "the only key with a certificate");
    expect_credential("", "registration-id", "good");
}

static void a_certificate_is_paired_by_public_key_and_not_by_name(void **state)
{
    struct fake_object *cert;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    cert = put_cert(0, "one", 2, FAKE_VALID, 0);
    cert->id[0] = 1;
    expect_credential(NULL, "address", "hsm:edge/key/two");
}

static void two_certified_keys_are_an_error_that_shows_both_ways_out(void **state)
{
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    put_key(0, "two two", 2);
    put_key(0, "bare", 3);
    put_cert(0, "one", 1, FAKE_VALID, 0);
    put_cert(0, "two", 2, FAKE_VALID, 0);
    assert_int_equal(hx_key_open(ctx, "hsm:", &key), HX_E_AMBIGUOUS);
    expect_said("'hsm:edge/key/one', 'hsm:edge/key/two%20two'");
    expect_said(conf_path);
    expect_said("[credential] key = hsm:edge/key/one or [credential] key = hsm:edge/key/two%20two");
    assert_null(strstr(hx_last_error(), "bare"));
}

static void two_bare_keys_are_an_error(void **state)
{
    struct hx_key *key;

    (void)state;
    two_tokens();
    configure("");
    put_key(0, "one", 1);
    put_key(1, "two", 2);
    assert_int_equal(hx_key_open(ctx, "hsm:", &key), HX_E_AMBIGUOUS);
    expect_said("'hsm:first/key/one', 'hsm:second/key/two'");
}

static void keys_that_share_a_label_are_told_apart_by_id(void **state)
{
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "same", 1);
    put_key(0, "same", 2);
    assert_int_equal(hx_key_open(ctx, "hsm:", &key), HX_E_AMBIGUOUS);
    expect_said("[credential] key = hsm:edge/key/same?id=01 or [credential] key = hsm:edge/key/same?id=02");
}

static void validity_breaks_a_tie(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "old", 1);
    put_key(0, "now", 2);
    put_key(0, "soon", 3);
    put_cert(0, "old", 1, FAKE_EXPIRED, 0);
    put_cert(0, "now", 2, FAKE_VALID, 0);
    put_cert(0, "soon", 3, FAKE_NOT_YET, 0);
    expect_credential(NULL, "address", "hsm:edge/key/now");
    expect_credential(NULL, "why", "the only key with a certificate that is valid now");
    assert_string_equal(said, "");
}

/* A device without a clock wakes up in 1970. */
static void a_certificate_that_is_not_yet_valid_is_used_with_a_warning(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "bare", 1);
    put_key(0, "soon", 2);
    put_cert(0, "soon", 2, FAKE_NOT_YET, 0);
    expect_credential(NULL, "address", "hsm:edge/key/soon");
    assert_non_null(strstr(said, "'hsm:edge/cert/soon?id=02' is not yet valid"));
    assert_non_null(strstr(said, "used all the same"));
}

static void an_expired_certificate_is_used_with_a_warning(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "old", 1);
    put_cert(0, "old", 1, FAKE_EXPIRED, 0);
    expect_credential(NULL, "common-name", "old");
    assert_non_null(strstr(said, "is expired"));
}

static void two_invalid_certificates_are_no_choice(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure(EDGE);
    put_key(0, "old", 1);
    put_key(0, "soon", 2);
    put_cert(0, "old", 1, FAKE_EXPIRED, 0);
    put_cert(0, "soon", 2, FAKE_NOT_YET, 0);
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_AMBIGUOUS);
}

static void of_two_certificates_of_one_key_the_valid_one_counts(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure(EDGE);
    put_key(0, "key", 1);
    strcpy(put_cert(0, "a", 1, FAKE_EXPIRED, 0)->common_name, "");
    put_cert(0, "b", 1, FAKE_VALID, 0);
    put_cert(0, "c", 1, FAKE_NOT_YET, 0);
    put_cert(0, "d", 1, FAKE_CA, 0);
    expect_result(hx_credential_get(ctx, NULL, "common-name", &text), HX_OK);
    assert_string_equal((char *)text.data, "b");
    hx_bytes_free(&text);
}

static void the_certificate_of_a_ca_counts_only_where_there_is_no_other(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "ca", 1);
    put_key(0, "device", 2);
    put_key(0, "bare", 3);
    put_cert(0, "ca", 1, FAKE_CA, 0);
    put_cert(0, "device", 2, FAKE_EXPIRED, 1);
    expect_credential(NULL, "address", "hsm:edge/key/device");
}

/* What `openssl req -x509` makes says CA:TRUE. */
static void a_self_signed_ca_certificate_beats_bare_keys(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "bare", 1);
    put_key(0, "self", 2);
    put_cert(0, "self", 2, FAKE_CA, 0);
    expect_credential(NULL, "address", "hsm:edge/key/self");
    expect_credential(NULL, "common-name", "fake CA 2");
}

static void two_ca_certificates_are_no_choice(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    put_key(0, "bare", 3);
    put_cert(0, "one", 1, FAKE_CA, 0);
    put_cert(0, "two", 2, FAKE_CA, 0);
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_AMBIGUOUS);
    assert_null(strstr(hx_last_error(), "bare"));
}

static void keys_that_may_not_sign_are_passed_over(void **state)
{
    (void)state;
    configure(EDGE);
    put_key(0, "attest", 1)->flags = HX_RESTRICTED;
    put_cert(0, "attest", 1, FAKE_VALID, 0);
    put_key(0, "agree", 2)->usage = HX_DERIVE;
    put_cert(0, "agree", 2, FAKE_VALID, 0);
    put_key(0, "plain", 3);
    expect_credential(NULL, "address", "hsm:edge/key/plain");
}

static void an_empty_token_has_no_credential(void **state)
{
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    assert_int_equal(hx_key_open(ctx, "hsm:", &key), HX_E_NOT_FOUND);
    expect_said("looked on token 'edge'");
    expect_said("hsmux key generate");
}

static void no_token_has_no_credential(void **state)
{
    struct hx_key *key;

    (void)state;
    fake->tokens = 0;
    configure("");
    assert_int_equal(hx_key_open(ctx, "hsm:", &key), HX_E_NOT_FOUND);
    expect_said("finds a token");
}

static void a_configured_token_that_cannot_be_opened_is_an_error(void **state)
{
    static const int results[] = { HX_E_NOT_FOUND, HX_E_ACCESS, HX_E_DEVICE };
    struct hx_bytes text;

    (void)state;
    two_tokens();
    put_key(0, "key", 1);
    fake->token[1].absent = true;
    for (int i = 0; i < 3; i++) {
        fake->token[1].absent_result = results[i];
        configure(EDGE OTHER);
        assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), results[i]);
        expect_said("token 'other': ");
        expect_said("token 'second' is absent");
    }
}

static void without_a_configuration_what_is_absent_or_forbidden_steps_aside(void **state)
{
    static const int results[] = { HX_E_NOT_FOUND, HX_E_ACCESS };

    (void)state;
    two_tokens();
    put_key(1, "key", 1);
    for (int i = 0; i < 2; i++) {
        configure("");
        fake->script[FAKE_OPEN] = (struct fake_script){ .result = results[i], .times = 1 };
        expect_credential(NULL, "address", "hsm:second/key/key");
    }
}

/* A token without a label goes by its serial number, which another bears as its label: an address must not say one
 * and mean the other. */
static void two_tokens_of_one_name_are_an_error(void **state)
{
    struct hx_key *key = NULL;

    (void)state;
    two_tokens();
    strcpy(fake->token[0].label, "F0002");
    strcpy(fake->token[1].label, "");
    put_key(0, "device", 1);
    put_key(1, "device", 2);
    put_cert(1, "device", 2, FAKE_VALID, 0);
    configure("");
    expect_result(hx_key_open(ctx, "hsm:", &key), HX_E_AMBIGUOUS);
    expect_said("two tokens would be called 'F0002'");
    assert_null(key);
}

static void without_a_configuration_what_fails_is_an_error(void **state)
{
    static const struct {
        enum fake_call call;
        unsigned skip;
    } fails[] = { { FAKE_SCAN, 0 }, { FAKE_OPEN, 0 }, { FAKE_LIST, 0 }, { FAKE_LIST, 1 },
                  { FAKE_READ, 0 }, { FAKE_READ, 1 }, { FAKE_READ, 2 }, { FAKE_READ, 3 } };
    struct hx_bytes text;

    (void)state;
    two_tokens();
    for (unsigned i = 0; i < 2; i++) {
        put_key(i, "key", 1 + i);
        put_cert(i, "key", 1 + i, FAKE_VALID, 0);
    }
    for (size_t i = 0; i < sizeof fails / sizeof *fails; i++) {
        configure("");
        fake->script[fails[i].call] = (struct fake_script){ HX_E_DEVICE, fails[i].skip, 1, 0 };
        assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_DEVICE);
        assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_AMBIGUOUS);
    }
}

static void a_scan_without_permission_steps_aside(void **state)
{
    struct hx_bytes text;

    (void)state;
    configure("");
    fake->script[FAKE_SCAN] = (struct fake_script){ .result = HX_E_ACCESS, .times = 1 };
    assert_int_equal(hx_credential_get(ctx, NULL, "address", &text), HX_E_NOT_FOUND);
    expect_said("passed over: plugin 'fake': scan: permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_lone_key_is_the_credential),
        SCENE_TEST(a_key_with_certificate_comes_before_bare_ones),
        SCENE_TEST(a_certificate_is_paired_by_public_key_and_not_by_name),
        SCENE_TEST(two_certified_keys_are_an_error_that_shows_both_ways_out),
        SCENE_TEST(two_bare_keys_are_an_error),
        SCENE_TEST(keys_that_share_a_label_are_told_apart_by_id),
        SCENE_TEST(validity_breaks_a_tie),
        SCENE_TEST(a_certificate_that_is_not_yet_valid_is_used_with_a_warning),
        SCENE_TEST(an_expired_certificate_is_used_with_a_warning),
        SCENE_TEST(two_invalid_certificates_are_no_choice),
        SCENE_TEST(of_two_certificates_of_one_key_the_valid_one_counts),
        SCENE_TEST(the_certificate_of_a_ca_counts_only_where_there_is_no_other),
        SCENE_TEST(a_self_signed_ca_certificate_beats_bare_keys),
        SCENE_TEST(two_ca_certificates_are_no_choice),
        SCENE_TEST(keys_that_may_not_sign_are_passed_over),
        SCENE_TEST(an_empty_token_has_no_credential),
        SCENE_TEST(no_token_has_no_credential),
        SCENE_TEST(a_configured_token_that_cannot_be_opened_is_an_error),
        SCENE_TEST(without_a_configuration_what_is_absent_or_forbidden_steps_aside),
        SCENE_TEST(two_tokens_of_one_name_are_an_error),
        SCENE_TEST(without_a_configuration_what_fails_is_an_error),
        SCENE_TEST(a_scan_without_permission_steps_aside),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
