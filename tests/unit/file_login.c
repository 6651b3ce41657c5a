/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin: encrypted keys and secrets, and the PIN that opens them. */
#include "file-fixture.h"

#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <unistd.h>

#define PIN "correct horse"

static int login(struct fixture *f, const char *pin)
{
    return plugin->login(f->token, pin, strlen(pin));
}

static uint32_t token_flags(struct fixture *f)
{
    struct plugin_tokens tokens;
    plugin_tokens_init(&tokens);
    assert_int_equal(plugin->describe(f->token, &tokens.tokens), 0);
    assert_int_equal(tokens.count, 1);
    assert_string_equal(tokens.info->label, "file");
    uint32_t flags = tokens.info->flags;
    plugin_tokens_free(&tokens);
    return flags;
}

static void an_encrypted_key_wants_a_login(void **state)
{
    struct fixture *f = *state;
    void *object;
    EVP_PKEY *key = fixture_key(HX_P256);
    assert_int_equal(token_flags(f), 0);
    fixture_put_key(f, "k.key", key, PIN);
    assert_int_equal(token_flags(f), HX_TOKEN_LOGIN);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_LOGIN);
    assert_int_equal(login(f, "wrong"), HX_E_PIN);
    assert_false(plugin_host_said(&f->host, "wrong"));
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_LOGIN);
    assert_int_equal(login(f, PIN), 0);
    fixture_expect_key(f, "k", key);
    assert_int_equal(login(f, "wrong"), HX_E_PIN);
    fixture_expect_key(f, "k", key);
    assert_int_equal(plugin->login(f->token, NULL, 0), HX_E_UNSUPPORTED);
    assert_int_equal(plugin->login(f->token, "", 0), HX_E_INVALID);
    EVP_PKEY_free(key);
}

static void a_key_of_another_passphrase_is_named(void **state)
{
    struct fixture *f = *state;
    void *object;
    EVP_PKEY *key = fixture_key(HX_P256), *other = fixture_key(HX_RSA);
    fixture_put_key(f, "k.key", key, PIN);
    fixture_put_key(f, "other.key", other, "something else");
    assert_int_equal(login(f, PIN), 0);
    fixture_expect_key(f, "k", key);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "other.key", &object), HX_E_PIN);
    assert_true(plugin_host_said(&f->host, "other.key"));
    assert_false(plugin_host_said(&f->host, PIN));
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

/* A key under PBES2 whose key derivation nobody offers, as those of the legacy provider are. */
static void a_cipher_that_is_not_offered_says_nothing_of_the_pin(void **state)
{
    static const unsigned char pbkdf2[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c };
    struct fixture *f = *state;
    void *object;
    char text[4096];
    unsigned char *der = NULL;
    char *name = NULL, *header = NULL;
    long len = 0;
    EVP_PKEY *key = fixture_key(HX_P256);
    fixture_put_key(f, "k.key", key, PIN);
    BIO *in = BIO_new_mem_buf(text, (int)fixture_get(f, "k.key", text, sizeof text)), *out = BIO_new(BIO_s_mem());
    assert_true(PEM_read_bio(in, &name, &header, &der, &len));
    unsigned char *at = memmem(der, (size_t)len, pbkdf2, sizeof pbkdf2);
    assert_non_null(at);
    at[sizeof pbkdf2 - 1] = 0x7f;
    assert_true(PEM_write_bio(out, name, "", der, len) > 0);
    char *pem;
    long pem_len = BIO_get_mem_data(out, &pem);
    fixture_put(f, "k.key", 0600, pem, (size_t)pem_len);
    assert_int_equal(login(f, PIN), 0);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_UNSUPPORTED);
    assert_true(plugin_host_said(&f->host, "openssl pkcs8 -topk8"));
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(in);
    BIO_free(out);
    EVP_PKEY_free(key);
}

static void a_certificate_tells_what_an_encrypted_key_is(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    char pem[4096];
    EVP_PKEY *key = fixture_key(HX_P384);
    fixture_put_key(f, "k.key", key, PIN);
    assert_int_equal(fixture_list(f, &all), 1);
    assert_int_equal(all.object->type, 0);
    assert_true(all.object->usage & HX_SIGN_DIGEST);
    plugin_objects_free(&all);
    fixture_put(f, "k.crt", 0644, pem, fixture_certificate_pem(key, "k", pem, sizeof pem));
    assert_int_equal(fixture_list(f, &all), 2);
    const struct hx_object *private = plugin_objects_find(&all, HX_PRIVATE_KEY, "k");
    const struct hx_object *cert = plugin_objects_find(&all, HX_CERTIFICATE, "k");
    assert_int_equal(private->type, HX_P384);
    assert_memory_equal(private->id.data, cert->id.data, 20);
    plugin_objects_free(&all);
    EVP_PKEY_free(key);
}

static void new_keys_are_encrypted_after_login(void **state)
{
    static const uint32_t types[] = { HX_RSA, HX_P256, HX_ED25519 };
    struct fixture *f = *state;
    struct plugin_objects all;
    char pem[8192];
    void *object;
    assert_int_equal(login(f, PIN), 0);
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        assert_int_equal(fixture_import_key(f, "k", HX_REPLACE, key, types[i]), 0);
        fixture_expect_key(f, "k", key);
        fixture_get(f, "k.key", pem, sizeof pem);
        assert_non_null(strstr(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        BIO *bio = BIO_new_mem_buf(pem, -1);
        char passphrase[] = PIN;
        EVP_PKEY *read = PEM_read_bio_PrivateKey(bio, NULL, NULL, passphrase); /* as openssl would */
        assert_int_equal(EVP_PKEY_eq(key, read), 1);
        BIO_free(bio);
        EVP_PKEY_free(read);
        fixture_reopen(f);
        assert_int_equal(fixture_list(f, &all), 1);
        assert_int_equal(all.object->type, types[i]); /* its public part can be read without the PIN */
        plugin_objects_free(&all);
        assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_LOGIN);
        assert_int_equal(login(f, PIN), 0);
        EVP_PKEY_free(key);
    }
}

static void a_public_key_of_another_is_noticed(void **state)
{
    struct fixture *f = *state;
    char pem[8192], *text;
    void *object;
    EVP_PKEY *key = fixture_key(HX_P256), *other = fixture_key(HX_P256);
    fixture_put_key(f, "k.key", key, NULL);
    size_t len = fixture_get(f, "k.key", pem, sizeof pem);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, other);
    long public_len = BIO_get_mem_data(bio, &text);
    memcpy(pem + len, text, (size_t)public_len);
    fixture_put(f, "k.key", 0600, pem, len + (size_t)public_len);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "another key"));
    BIO_free(bio);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void secrets_are_encrypted_too(void **state)
{
    struct fixture *f = *state;
    struct plugin_bytes out;
    char text[4096];
    unsigned char tag[64];
    unsigned len;
    void *object;
    assert_int_equal(login(f, PIN), 0);
    assert_int_equal(fixture_import(f, HX_SECRET_KEY, "s", 0, "shared secret", 13), 0);
    fixture_get(f, "s.secret", text, sizeof text);
    assert_non_null(strstr(text, "ENCRYPTED SECRET"));
    assert_null(strstr(text, "shared secret"));
    fixture_reopen(f);
    assert_int_equal(token_flags(f), HX_TOKEN_LOGIN);
    assert_int_equal(fixture_load(f, HX_SECRET_KEY, "s.secret", &object), HX_E_LOGIN);
    assert_int_equal(login(f, "wrong"), HX_E_PIN);
    assert_int_equal(login(f, PIN), 0);
    assert_int_equal(fixture_load(f, HX_SECRET_KEY, "s.secret", &object), 0);
    plugin_bytes_init(&out);
    struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA256 };
    assert_int_equal(plugin->sign(object, &alg, "m", 1, &out.out), 0);
    HMAC(EVP_sha256(), "shared secret", 13, (const unsigned char *)"m", 1, tag, &len);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, tag, len);
    plugin_bytes_free(&out);
    plugin->unload(object);
}

static void nothing_is_written_in_plain_where_a_pin_is_configured(void **state)
{
    struct fixture *f = *state;
    plugin_host_set(&f->host, "pin", PIN);
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), HX_E_LOGIN);
    assert_int_equal(fixture_generate(f, HX_GENERIC, "k", 0), HX_E_LOGIN);
    assert_int_equal(fixture_import(f, HX_SECRET_KEY, "k", 0, "x", 1), HX_E_LOGIN);
    assert_int_equal(login(f, PIN), 0);
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), 0);
    assert_int_equal(token_flags(f), HX_TOKEN_LOGIN);
}

static void the_encryption_of_old_says_how_to_convert(void **state)
{
    struct fixture *f = *state;
    void *object;
    char *text;
    EVP_PKEY *key = fixture_key(HX_P256);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey_traditional(bio, key, EVP_aes_128_cbc(), (const unsigned char *)PIN, sizeof PIN - 1, NULL,
                                         NULL);
    long len = BIO_get_mem_data(bio, &text);
    fixture_put(f, "k.key", 0600, text, (size_t)len);
    assert_int_equal(login(f, PIN), 0);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "k.key", &object), HX_E_UNSUPPORTED);
    assert_true(plugin_host_said(&f->host, "openssl pkcs8 -topk8"));
    BIO_free(bio);
    EVP_PKEY_free(key);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_encrypted_key_wants_a_login),
        T(a_cipher_that_is_not_offered_says_nothing_of_the_pin),
        T(a_key_of_another_passphrase_is_named),
        T(a_certificate_tells_what_an_encrypted_key_is),
        T(new_keys_are_encrypted_after_login),
        T(a_public_key_of_another_is_noticed),
        T(secrets_are_encrypted_too),
        T(nothing_is_written_in_plain_where_a_pin_is_configured),
        T(the_encryption_of_old_says_how_to_convert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
