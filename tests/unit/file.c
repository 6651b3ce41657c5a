/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin: what each type of object can do, and files that were there before. */
#include "file-fixture.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

static const uint32_t types[] = { HX_RSA, HX_P256, HX_P384, HX_P521, HX_ED25519 };
#define TYPES (sizeof types / sizeof *types)

static void the_table_follows_the_rules(void **state)
{
    (void)state;
    assert_int_equal(plugin->abi, HX_ABI);
    assert_string_equal(plugin->name, "file");
    assert_int_equal(plugin->flags, HX_THREADSAFE);
    assert_string_equal(plugin->options[1].name, "pin");
    assert_int_equal(plugin->options[1].flags, HX_SECRET);
}

static void each_type_is_generated_listed_loaded_signs_and_goes(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    for (size_t i = 0; i < TYPES; i++) {
        struct hx_object info;
        assert_int_equal(fixture_generate(f, types[i], "device", 0), 0);
        assert_int_equal(fixture_list(f, &all), 1);
        assert_int_equal(all.object->kind, HX_PRIVATE_KEY);
        assert_int_equal(all.object->type, types[i]);
        assert_int_equal(all.object->flags, 0);
        assert_int_equal(all.object->id.len, 20);
        void *object = fixture_find(f, HX_PRIVATE_KEY, "device", &info);
        assert_int_equal(fixture_sign(object, &info), 0);
        plugin->unload(object);
        assert_int_equal(plugin->remove(f->token, HX_PRIVATE_KEY, all.object->ref.data, all.object->ref.len), 0);
        plugin_objects_free(&all);
        assert_int_equal(fixture_list(f, &all), 0);
    }
}

static void generated_keys_have_the_size_and_exponent_asked_for(void **state)
{
    struct fixture *f = *state;
    struct hx_object info;
    struct plugin_bytes ref;
    struct hx_spec spec = { .type = HX_RSA, .bits = 3072, .rsa_e = 3, .label = "big" };
    plugin_bytes_init(&ref);
    assert_int_equal(plugin->generate(f->token, &spec, &ref.out), 0);
    assert_string_equal((char *)ref.data, "big.key");
    void *object = fixture_find(f, HX_PRIVATE_KEY, "big", &info);
    assert_int_equal(info.bits, 3072);
    assert_int_equal(info.rsa_e, 3);
    assert_int_equal(fixture_sign(object, &info), 0);
    plugin->unload(object);
    spec.label = "small";
    spec.bits = 1024;
    assert_int_equal(plugin->generate(f->token, &spec, &ref.out), HX_E_UNSUPPORTED);
    spec.bits = 0;
    spec.spare[1] = 1;
    assert_int_equal(plugin->generate(f->token, &spec, &ref.out), HX_E_UNSUPPORTED);
    spec.spare[1] = 0;
    spec.flags = HX_IN_HARDWARE;
    assert_int_equal(plugin->generate(f->token, &spec, &ref.out), HX_E_UNSUPPORTED);
    spec.flags = 0;
    spec.label = NULL;
    assert_int_equal(plugin->generate(f->token, &spec, &ref.out), HX_E_INVALID);
    plugin_bytes_free(&ref);
}

static void each_type_is_imported_and_is_the_same_key(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TYPES; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        assert_int_equal(fixture_import_key(f, "mine", HX_REPLACE, key, types[i]), 0);
        fixture_expect_key(f, "mine", key);
        FILE *file = fopen(fixture_path(f, "mine.key"), "r");
        EVP_PKEY *read = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        fclose(file);
        assert_int_equal(EVP_PKEY_eq(key, read), 1);
        EVP_PKEY_free(read);
        EVP_PKEY_free(key);
    }
}

static void numbers_that_do_not_fit_are_refused(void **state)
{
    struct fixture *f = *state;
    unsigned char store[8][512];
    struct hx_buf part[8];
    struct plugin_bytes ref;
    plugin_bytes_init(&ref);
    for (size_t i = 0; i < TYPES; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        size_t count = fixture_parts(key, types[i], store, part);
        struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = types[i], .label = "bad" };
        for (size_t j = 0; j < count; j++) {
            store[j][part[j].len / 2] ^= 4;
            assert_int_equal(plugin->import(f->token, &spec, part, count, &ref.out), HX_E_INVALID);
            store[j][part[j].len / 2] ^= 4;
        }
        assert_int_equal(plugin->import(f->token, &spec, part, 0, &ref.out), HX_E_INVALID);
        EVP_PKEY_free(key);
    }
    assert_false(fixture_has(f, "bad.key"));
}

static void an_existing_key_and_certificate_just_work(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    char pem[4096];
    for (size_t i = 0; i < TYPES; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        fixture_put_key(f, "device.key", key, NULL);
        fixture_put(f, "device.pem", 0644, pem, fixture_certificate_pem(key, "device", pem, sizeof pem));
        assert_int_equal(fixture_list(f, &all), 2);
        const struct hx_object *cert = plugin_objects_find(&all, HX_CERTIFICATE, "device");
        const struct hx_object *private = plugin_objects_find(&all, HX_PRIVATE_KEY, "device");
        assert_int_equal(cert->type, types[i]);
        assert_memory_equal(cert->id.data, private->id.data, 20);
        plugin_objects_free(&all);
        fixture_expect_key(f, "device", key);
        EVP_PKEY_free(key);
    }
}

static void the_id_is_the_hash_that_certificates_use(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    unsigned char id[20], *der;
    for (size_t i = 0; i < TYPES; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        size_t len = fixture_certificate(key, "x", &der);
        const unsigned char *at = der;
        X509 *cert = d2i_X509(NULL, &at, (long)len);
        assert_true(X509_pubkey_digest(cert, EVP_sha1(), id, NULL));
        assert_int_equal(fixture_import_key(f, "x", HX_REPLACE, key, types[i]), 0);
        assert_int_equal(fixture_import(f, HX_CERTIFICATE, "x", HX_REPLACE, der, len), 0);
        assert_int_equal(fixture_list(f, &all), 2);
        assert_memory_equal(all.object[0].id.data, id, 20);
        assert_memory_equal(all.object[1].id.data, id, 20);
        plugin_objects_free(&all);
        X509_free(cert);
        OPENSSL_free(der);
        EVP_PKEY_free(key);
    }
}

static void traditional_keys_are_taken(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *rsa = fixture_key(HX_RSA), *ec = fixture_key(HX_P384);
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey_traditional(bio, rsa, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(bio, &text);
    assert_non_null(strstr(text, "BEGIN RSA PRIVATE KEY"));
    fixture_put(f, "rsa.key", 0600, text, (size_t)len);
    BIO_reset(bio);
    BIO_puts(bio, "some words before\n-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n");
    PEM_write_bio_PrivateKey_traditional(bio, ec, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &text);
    fixture_put(f, "ec.pem", 0600, text, (size_t)len);
    fixture_expect_key(f, "rsa", rsa);
    fixture_expect_key(f, "ec", ec);
    BIO_free(bio);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

static void a_key_without_its_public_point_is_completed(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 1; i < 4; i++) {
        EVP_PKEY *key = fixture_key(types[i]);
        EVP_PKEY_set_int_param(key, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0);
        fixture_put_key(f, "bare.key", key, NULL);
        fixture_expect_key(f, "bare", key);
        EVP_PKEY_free(key);
    }
}

static void one_file_may_hold_key_leaf_and_chain(void **state)
{
    struct fixture *f = *state;
    struct plugin_objects all;
    struct plugin_bytes value;
    char pem[16384];
    EVP_PKEY *key = fixture_key(HX_P256), *ca = fixture_key(HX_RSA);
    unsigned char *der;
    void *object;
    fixture_put_key(f, "all.pem", key, NULL);
    size_t len = fixture_get(f, "all.pem", pem, sizeof pem);
    len += fixture_certificate_pem(key, "leaf", pem + len, sizeof pem - len);
    len += fixture_certificate_pem(ca, "ca", pem + len, sizeof pem - len);
    fixture_put(f, "all.pem", 0600, pem, len);
    assert_int_equal(fixture_list(f, &all), 3);
    const struct hx_object *leaf = plugin_objects_find(&all, HX_CERTIFICATE, "all");
    const struct hx_object *chain = plugin_objects_find(&all, HX_CERTIFICATE, "all#1");
    assert_int_equal(leaf->type, HX_P256);
    assert_int_equal(chain->type, HX_RSA);
    assert_memory_equal(chain->ref.data, "all.pem#1", chain->ref.len);
    plugin_objects_free(&all);
    fixture_expect_key(f, "all", key);
    assert_int_equal(fixture_load(f, HX_CERTIFICATE, "all.pem#1", &object), 0);
    plugin_bytes_init(&value);
    assert_int_equal(plugin->read(object, HX_VALUE, &value.out), 0);
    size_t der_len = fixture_certificate(ca, "ca", &der);
    assert_int_equal(value.len, der_len);
    plugin->unload(object);
    fixture_put(f, "ca.crt", 0644, der, der_len); /* DER, as some write it */
    assert_int_equal(fixture_load(f, HX_CERTIFICATE, "ca.crt", &object), 0);
    plugin->unload(object);
    assert_int_equal(fixture_load(f, HX_CERTIFICATE, "all.pem#2", &object), HX_E_NOT_FOUND);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "ca.crt", &object), HX_E_NOT_FOUND);
    plugin_bytes_free(&value);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca);
}

static void data_comes_back_as_it_went_in(void **state)
{
    struct fixture *f = *state;
    struct hx_object info;
    struct plugin_bytes out;
    plugin_bytes_init(&out);
    assert_int_equal(fixture_import(f, HX_DATA, "note", 0, "a\0b\n", 4), 0);
    assert_int_equal(fixture_import(f, HX_DATA, "empty", 0, "", 0), 0);
    void *object = fixture_find(f, HX_DATA, "note", &info);
    assert_int_equal(plugin->read(object, HX_VALUE, &out.out), 0);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "a\0b\n", 4);
    plugin_bytes_free(&out);
    plugin->unload(object);
    object = fixture_find(f, HX_DATA, "empty", &info);
    assert_non_null(object);
    plugin->unload(object);
}

static void random_bytes_differ(void **state)
{
    struct fixture *f = *state;
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    assert_int_equal(plugin->random(f->token, a, sizeof a), 0);
    assert_int_equal(plugin->random(f->token, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(the_table_follows_the_rules),
        T(each_type_is_generated_listed_loaded_signs_and_goes),
        T(generated_keys_have_the_size_and_exponent_asked_for),
        T(each_type_is_imported_and_is_the_same_key),
        T(numbers_that_do_not_fit_are_refused),
        T(an_existing_key_and_certificate_just_work),
        T(the_id_is_the_hash_that_certificates_use),
        T(traditional_keys_are_taken),
        T(a_key_without_its_public_point_is_completed),
        T(one_file_may_hold_key_leaf_and_chain),
        T(data_comes_back_as_it_went_in),
        T(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
