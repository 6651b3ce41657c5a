/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from references: lazy, bound to one public key whatever happens to address, token or reference. */
#include "scene.h"

static struct hx_bytes der_of(const struct hx_bytes *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    struct hx_bytes der = { 0 };
    char *name, *header;
    unsigned char *data;
    long len;

    assert_int_equal(PEM_read_bio(bio, &name, &header, &data, &len), 1);
    assert_string_equal(name, "HSMUX KEY REFERENCE");
    assert_int_equal(bytes_append(&der, data, (size_t)len), HX_OK);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    BIO_free(bio);
    return der;
}

/* The reference of the key at this address, and its public key. */
static struct hx_bytes reference_of(const char *address, struct hx_bytes *ret_spki)
{
    struct hx_bytes pem, der;
    struct hx_key *key;

    expect_result(hx_key_open(ctx, address, &key), HX_OK);
    expect_result(hx_key_reference(key, &pem), HX_OK);
    if (ret_spki)
        expect_result(hx_key_public(key, ret_spki), HX_OK);
    der = der_of(&pem);
    hx_key_close(key);
    hx_bytes_free(&pem);
    return der;
}

static struct hx_key *from_reference(const struct hx_bytes *der)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_from_reference(ctx, der->data, der->len, &key), HX_OK);
    return key;
}

static void expect_refused(const struct hx_bytes *der, int result, const char *reason)
{
    struct hx_key *key = NULL;

    expect_result(hx_key_from_reference(ctx, der->data, der->len, &key), result);
    expect_said(reason);
    assert_null(key);
}

static void a_reference_opens_no_device_before_the_first_signature(void **state)
{
    struct hx_bytes der, spki, own;
    struct hx_object info;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", &spki);
    configure(EDGE); /* closes the token */
    fake->calls[FAKE_OPEN] = 0;
    key = from_reference(&der);
    assert_string_equal(hx_key_address(key), "hsm:edge/key/one");
    expect_result(hx_key_info(key, &info), HX_OK);
    assert_int_equal(info.kind, HX_PRIVATE_KEY);
    assert_int_equal(info.type, HX_P256);
    assert_int_equal(info.bits, 256);
    expect_result(hx_key_public(key, &own), HX_OK);
    assert_true(bytes_equal(own.data, own.len, spki.data, spki.len));
    assert_int_equal(fake->calls[FAKE_OPEN], 0);
    expect_result(sign_with(key, &spki), HX_OK);
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    hx_key_close(key);
    hx_bytes_free(&own);
    hx_bytes_free(&spki);
    hx_bytes_free(&der);
}

static void without_a_configuration_the_token_is_found_at_the_first_signature(void **state)
{
    struct hx_bytes der;
    struct hx_key *key;

    (void)state;
    two_tokens();
    configure("");
    put_key(1, "one", 1);
    der = reference_of("hsm:second/key/one?id=01", NULL);
    configure("");
    fake->calls[FAKE_SCAN] = 0;
    key = from_reference(&der);
    assert_int_equal(fake->calls[FAKE_SCAN], 0);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
    hx_bytes_free(&der);
}

static void open_load_opens_the_device_at_once(void **state)
{
    struct hx_bytes der;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", NULL);
    configure(EDGE "open = load\n");
    fake->calls[FAKE_OPEN] = 0;
    hx_key_close(from_reference(&der));
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    fake->token[0].absent = true;
    configure(EDGE "open = load\n");
    expect_refused(&der, HX_E_NOT_FOUND, "is absent");
    hx_bytes_free(&der);
}

static void a_reference_does_not_sign_with_another_key_of_that_name(void **state)
{
    struct fake_object *object;
    struct hx_bytes der;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    object = put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", NULL);
    object->uid = 0;
    object = put_key(0, "one", 2);
    key = from_reference(&der);
    expect_result(sign_with(key, NULL), HX_E_INVALID);
    expect_said("is not the key that the reference was made for");
    object->public_unreadable = true; /* now only the signature tells */
    expect_result(sign_with(key, NULL), HX_E_DEVICE);
    expect_said("does not fit its public key");
    object->uid = 0;
    expect_result(sign_with(key, NULL), HX_E_NOT_FOUND);
    expect_said("'hsm:edge/key/one': not found");
    expect_result(sign_with(key, NULL), HX_E_NOT_FOUND);
    expect_said("no object 'hsm:edge/key/one'");
    put_key(0, "one", 1);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
    hx_bytes_free(&der);
}

static void references_can_be_switched_off(void **state)
{
    struct hx_bytes der;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", NULL);
    configure("[hsmux]\nreferences = off\n" EDGE);
    expect_refused(&der, HX_E_CONFIG, "references = off");
    hx_bytes_free(&der);
}

static struct hx_bytes make_reference(const char *address, const struct hx_bytes *spki)
{
    struct hx_bytes pem = { 0 }, der;

    expect_result(encode_reference(address, spki->data, spki->len, &pem), HX_OK);
    der = der_of(&pem);
    hx_bytes_free(&pem);
    return der;
}

static void the_default_reference_is_whatever_the_device_has(void **state)
{
    struct hx_bytes pem, der;
    struct hx_key *key;

    (void)state;
    configure("");
    expect_result(hx_default_reference(&pem), HX_OK);
    der = der_of(&pem);
    expect_refused(&der, HX_E_NOT_FOUND, "no credential");
    put_key(0, "one", 1);
    key = from_reference(&der);
    assert_string_equal(hx_key_address(key), "hsm:first/key/one");
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
    hx_bytes_free(&pem);
    hx_bytes_free(&der);
}

static void a_reference_may_name_a_credential(void **state)
{
    struct hx_bytes spki, other, der, wrong;
    struct hx_key *key;

    (void)state;
    put_key(0, "one", 1);
    put_key(0, "two", 2);
    configure(EDGE "[credential web]\nkey = hsm:edge/key/one\n");
    der = reference_of("hsm:edge/key/one", &spki);
    hx_bytes_free(&der);
    der = reference_of("hsm:edge/key/two", &other);
    hx_bytes_free(&der);
    der = make_reference("hsm:web", &spki);
    wrong = make_reference("hsm:web", &other);
    key = from_reference(&der);
    assert_string_equal(hx_key_address(key), "hsm:edge/key/one");
    expect_result(sign_with(key, &spki), HX_OK);
    hx_key_close(key);
    expect_refused(&wrong, HX_E_INVALID, "is not the key that the reference was made for");
    hx_bytes_free(&spki);
    hx_bytes_free(&other);
    hx_bytes_free(&wrong);
    hx_bytes_free(&der);
}

static void a_reference_names_one_private_key_of_a_known_token(void **state)
{
    static const struct {
        const char *address, *reason;
        int result;
    } refused[] = {
        { "hsm:edge/cert/one", "names no private key", HX_E_INVALID },
        { "hsm:edge/key", "names no private key", HX_E_INVALID },
        { "hsm:edge/", "names no private key", HX_E_INVALID },
        { "hsm:egde/key/one", "there are: 'edge'", HX_E_CONFIG },
        { "hsm:nothing", "no [credential nothing]", HX_E_NOT_FOUND },
        { "hsm:edge/key/%zz", "key reference", HX_E_INVALID },
    };
    struct hx_bytes spki, der;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", &spki);
    hx_bytes_free(&der);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        der = make_reference(refused[i].address, &spki);
        expect_refused(&der, refused[i].result, refused[i].reason);
        hx_bytes_free(&der);
    }
    hx_bytes_free(&spki);
}

/* The damaged reference is refused, or cannot sign, or signs as the key that it was made for. */
static void try_damaged(const void *der, size_t len, const struct hx_bytes *spki, unsigned *good)
{
    struct hx_key *key = NULL;
    struct hx_bytes own;

    if (hx_key_from_reference(ctx, der, len, &key))
        return;
    if (!sign_with(key, NULL)) {
        expect_result(sign_with(key, spki), HX_OK);
        expect_result(hx_key_public(key, &own), HX_OK);
        assert_true(bytes_equal(own.data, own.len, spki->data, spki->len));
        hx_bytes_free(&own);
        (*good)++;
    }
    hx_key_close(key);
}

/* Every neighbour by one bit of the label, and of the id, is a key as well. */
static void put_neighbours(void)
{
    static const char *const labels[] = { "onf", "ong", "ona", "ole", "ooe", "one ", "nne", "mne" };

    for (unsigned i = 0; i < sizeof labels / sizeof *labels; i++)
        put_key(0, labels[i], 2 + i % 2);
    put_key(0, "one", 3);
}

static void a_flipped_bit_never_gives_another_key(void **state)
{
    struct hx_bytes der, spki;
    unsigned good = 0;

    (void)state;
    configure(EDGE "[credential]\nkey = hsm:edge/key/onf\n");
    put_key(0, "one", 1);
    put_neighbours();
    der = reference_of("hsm:edge/key/one?id=01", &spki);
    for (size_t bit = 0; bit < der.len * 8; bit++) {
        der.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        try_damaged(der.data, der.len, &spki, &good);
        der.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t len = 0; len < der.len; len++)
        try_damaged(der.data, len, &spki, &good);
    assert_int_equal(good, 0);
    try_damaged(der.data, der.len, &spki, &good);
    assert_int_equal(good, 1);
    hx_bytes_free(&der);
    hx_bytes_free(&spki);
}

static void a_flipped_bit_of_the_pem_never_gives_another_key(void **state)
{
    struct hx_bytes der, spki, pem = { 0 };
    unsigned good = 0;

    (void)state;
    configure(EDGE);
    put_key(0, "one", 1);
    der = reference_of("hsm:edge/key/one", &spki);
    expect_result(encode_reference("hsm:edge/key/one", spki.data, spki.len, &pem), HX_OK);
    for (size_t bit = 0; bit < pem.len * 8; bit++) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long len = 0;
        BIO *bio;

        pem.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        if (PEM_read_bio(bio, &name, &header, &data, &len))
            try_damaged(data, (size_t)len, &spki, &good);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
        BIO_free(bio);
        pem.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_true(good < 400); /* a line break or the label may suffer, but not the content */
    ERR_clear_error();
    hx_bytes_free(&pem);
    hx_bytes_free(&der);
    hx_bytes_free(&spki);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(a_reference_opens_no_device_before_the_first_signature),
        SCENE_TEST(without_a_configuration_the_token_is_found_at_the_first_signature),
        SCENE_TEST(open_load_opens_the_device_at_once),
        SCENE_TEST(a_reference_does_not_sign_with_another_key_of_that_name),
        SCENE_TEST(references_can_be_switched_off),
        SCENE_TEST(the_default_reference_is_whatever_the_device_has),
        SCENE_TEST(a_reference_may_name_a_credential),
        SCENE_TEST(a_reference_names_one_private_key_of_a_known_token),
        SCENE_TEST(a_flipped_bit_never_gives_another_key),
        SCENE_TEST(a_flipped_bit_of_the_pem_never_gives_another_key),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
