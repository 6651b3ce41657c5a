/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin's objects on SoftHSM: keys and their signatures, certificates, namesakes, and what is passed over.
 */
#include "pkcs11-fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make_tokens(void **state)
{
    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("edge");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

/* A file of the directory; for free(). */
static struct hx_buf slurp(const char *name)
{
    static unsigned char data[4096];
    char path[128];
    FILE *file;
    struct hx_buf buf = { data, 0 };

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    buf.len = fread(data, 1, sizeof data, file);
    fclose(file);
    return buf;
}

static int import(void *token, const char *label, const char *id, uint32_t flags, const struct hx_buf *der)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = label, .flags = flags };
    struct plugin_bytes ref;
    int r;

    if (id)
        spec.id = (struct hx_buf){ id, strlen(id) };
    plugin_bytes_init(&ref);
    r = plugin->import(token, &spec, der, 1, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

/* SoftHSM leaks what it parses of an Ed25519 key. */
__attribute__((weak)) void __lsan_disable(void);
__attribute__((weak)) void __lsan_enable(void);

static void sign_by_ed25519(void *token)
{
    if (__lsan_disable)
        __lsan_disable();
    sign_and_verify(token, "ed25519", HX_EDDSA, 0, 0);
    if (__lsan_enable)
        __lsan_enable();
}

static void every_key_type_signs_by_every_scheme(void **state)
{
    static const uint32_t hashes[] = { HX_SHA1, HX_SHA256, HX_SHA384, HX_SHA512 };
    static const uint32_t salts[] = { 20, 32, 48, 64 };
    void *token = open_and_login("edge");
    struct plugin_objects keys;

    (void)state;
    assert_int_equal(generate(token, HX_RSA, 2048, "rsa", NULL, 0), 0);
    assert_int_equal(generate(token, HX_P256, 0, "p256", NULL, 0), 0);
    assert_int_equal(generate(token, HX_P384, 0, "p384", NULL, 0), 0);
    assert_int_equal(generate(token, HX_P521, 0, "p521", NULL, 0), 0);
    assert_int_equal(generate(token, HX_ED25519, 0, "ed25519", NULL, 0), 0);
    keys = list(token, HX_PRIVATE_KEY, "rsa");
    assert_int_equal(keys.object[0].bits, 2048);
    assert_int_equal(keys.object[0].rsa_e, 65537);
    assert_int_equal(keys.object[0].flags, HX_IN_HARDWARE);
    assert_int_equal(keys.object[0].usage, HX_SIGN_DIGEST | HX_DECRYPT);
    plugin_objects_free(&keys);
    for (size_t i = 0; i < 4; i++) {
        sign_and_verify(token, "rsa", HX_RSA_PKCS1, hashes[i], 0);
        sign_and_verify(token, "rsa", HX_RSA_PSS, hashes[i], salts[i]);
        sign_and_verify(token, "p521", HX_ECDSA, hashes[i], 0);
    }
    sign_and_verify(token, "rsa", HX_RSA_PKCS1, 0, 0);
    sign_and_verify(token, "p256", HX_ECDSA, HX_SHA256, 0);
    sign_and_verify(token, "p384", HX_ECDSA, HX_SHA384, 0);
    sign_by_ed25519(token);
    plugin->close(token);
}

static void what_a_key_cannot_do_is_refused_before_the_module_is_asked(void **state)
{
    void *token = open_and_login("edge"), *key = load_by_label(token, HX_PRIVATE_KEY, "p256");
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256, .spare = { 0, 0, 1 } };
    struct plugin_bytes out;

    (void)state;
    forget_calls();
    assert_refused(sign(key, HX_RSA_PKCS1, HX_SHA256, 0, &out), HX_E_UNSUPPORTED, "'p256'");
    assert_refused(sign(key, HX_ECDSA, HX_SHA512, 0, &out), HX_E_INVALID, "64 bytes");
    assert_refused(plugin->sign(key, &alg, "0123", 4, &out.out), HX_E_UNSUPPORTED, "unknown parameters");
    alg = (struct hx_alg){ .scheme = 99 };
    assert_refused(plugin->sign(key, &alg, "0123", 4, &out.out), HX_E_UNSUPPORTED, "no such scheme");
    assert_refused(plugin->read(key, HX_VALUE, &out.out), HX_E_UNSUPPORTED, "cannot be read");
    assert_refused(plugin->read(key, 77, &out.out), HX_E_UNSUPPORTED, "part 77");
    assert_int_equal(calls(NULL), 0);
    plugin->unload(key);
    plugin->close(token);
}

static void making_a_key_twice_needs_replace(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects keys;

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "again", "again", 0), 0);
    assert_refused(generate(token, HX_P256, 0, "again", NULL, 0), HX_E_EXISTS, "'again'");
    assert_refused(generate(token, HX_P256, 0, "elsewhere", "again", 0), HX_E_EXISTS, "same id");
    assert_int_equal(generate(token, HX_P384, 0, "again", "again", HX_REPLACE), 0);
    keys = list(token, 0, "again");
    assert_int_equal(keys.count, 2); /* private and public */
    assert_int_equal(keys.object[0].type, HX_P384);
    plugin_objects_free(&keys);
    sign_and_verify(token, "again", HX_ECDSA, HX_SHA384, 0);
    assert_int_equal(generate(token, HX_ED25519, 0, "kept", NULL, 0), 0);
    forget_calls();
    setenv("P11_COUNTER_FAIL", "C_DestroyObject:0:0x1b", 1); /* not for want of the new one */
    assert_refused(generate(token, HX_ED25519, 0, "kept", NULL, HX_REPLACE), HX_E_UNSUPPORTED, "both are there");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(calls("C_GenerateKeyPair"), 1);
    assert_refused(generate(token, HX_RSA, 2048, "odd", NULL, HX_RESTRICTED), HX_E_UNSUPPORTED, "properties");
    assert_refused(generate(token, HX_GENERIC, 0, "odd", NULL, 0), HX_E_UNSUPPORTED, "only private keys and secrets");
    assert_refused(generate(token, 99, 0, "odd", NULL, 0), HX_E_UNSUPPORTED, "type 99");
    plugin->close(token);
}

static void removing_a_key_takes_its_public_half_along(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, "again");
    struct hx_object *key = &keys.object[0];

    (void)state;
    assert_int_equal(keys.count, 1);
    assert_int_equal(plugin->remove(token, HX_PRIVATE_KEY, key->ref.data, key->ref.len), 0);
    assert_refused(plugin->remove(token, HX_PRIVATE_KEY, key->ref.data, key->ref.len), HX_E_NOT_FOUND,
                   "no private key 'again', id 616761696E");
    assert_refused(plugin->remove(token, HX_CERTIFICATE, key->ref.data, key->ref.len), HX_E_INVALID, "reference");
    assert_refused(plugin->remove(token, HX_PRIVATE_KEY, "junk", 4), HX_E_INVALID, "reference");
    plugin_objects_free(&keys);
    keys = list(token, 0, "again");
    assert_int_equal(keys.count, 0);
    plugin_objects_free(&keys);
    plugin->close(token);
}

static void a_certificate_goes_in_and_comes_out_again(void **state)
{
    void *token = open_and_login("edge"), *certificate;
    struct plugin_objects found;
    struct plugin_bytes value;
    struct hx_buf der;

    (void)state;
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=device -keyout %s/k -outform "
        "DER -out %s/c",
        directory, directory);
    der = slurp("c");
    assert_int_equal(import(token, "device", "p256", 0, &der), 0);
    assert_refused(import(token, "device", NULL, 0, &der), HX_E_EXISTS, "'device'");
    assert_int_equal(import(token, "device", "p256", HX_REPLACE, &der), 0);
    certificate = load_by_label(token, HX_CERTIFICATE, "device");
    plugin_bytes_init(&value);
    assert_int_equal(plugin->read(certificate, HX_VALUE, &value.out), 0);
    assert_int_equal(value.len, der.len);
    assert_memory_equal(value.data, der.data, der.len);
    plugin_bytes_free(&value);
    assert_refused(plugin->read(certificate, HX_PUBLIC, &value.out), HX_E_UNSUPPORTED, "no asymmetric key");
    plugin->unload(certificate);
    found = list(token, HX_CERTIFICATE, NULL);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.object[0].id.len, 4);
    plugin_objects_free(&found);
    der.len--;
    assert_refused(import(token, "cut", NULL, 0, &der), HX_E_INVALID, "no X.509 certificate");
    der.len = 0;
    assert_refused(import(token, "empty", NULL, 0, &der), HX_E_INVALID, "no X.509 certificate");
    plugin->close(token);
}

static void namesakes_are_told_apart(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects keys, info;
    void *first, *second;
    struct plugin_bytes a, b;

    (void)state;
    for (int i = 0; i < 2; i++)
        run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
            " --keypairgen --key-type rsa:2048 --label twin --id 7777");
    keys = list(token, HX_PRIVATE_KEY, "twin");
    assert_int_equal(keys.count, 2);
    assert_int_not_equal(memcmp(keys.object[0].ref.data, keys.object[1].ref.data, keys.object[0].ref.len), 0);
    plugin->close(token);
    token = open_and_login("edge");
    first = load(token, &keys.object[0]);
    second = load(token, &keys.object[1]);
    plugin_bytes_init(&a);
    plugin_bytes_init(&b);
    assert_int_equal(plugin->read(first, HX_PUBLIC, &a.out), 0);
    assert_int_equal(plugin->read(second, HX_PUBLIC, &b.out), 0);
    assert_int_equal(a.len, 256);
    assert_memory_not_equal(a.data, b.data, 256);
    plugin_bytes_free(&a);
    plugin_bytes_free(&b);
    plugin->unload(first);
    plugin->unload(second);
    plugin_objects_init(&info, NULL);
    assert_refused(
        plugin->load(token, HX_PRIVATE_KEY, keys.object[0].ref.data, keys.object[0].ref.len - 8, &info.list, &first),
        HX_E_AMBIGUOUS, "holds 2 of private key 'twin', id 7777");
    plugin_objects_free(&keys);
    plugin->close(token);
}

static void labels_are_taken_to_the_letter(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects keys;

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "spaced  ", "sp", 0), 0);
    keys = list(token, HX_PRIVATE_KEY, "spaced");
    assert_int_equal(keys.count, 0);
    plugin_objects_free(&keys);
    sign_and_verify(token, "spaced  ", HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

/* As a PKCS#12 import leaves it: neither CKA_EC_POINT nor a public-key object. */
static void a_key_without_a_public_half_says_so_and_signs(void **state)
{
    struct plugin_bytes out;
    void *token, *key;

    (void)state;
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out %s/alone", directory);
    run("softhsm2-util --import %s/alone --token edge --label alone --id a10e --pin " TEST_PIN " --no-public-key",
        directory);
    token = open_and_login("edge");
    key = load_by_label(token, HX_PRIVATE_KEY, "alone");
    plugin_bytes_init(&out);
    assert_refused(plugin->read(key, HX_PUBLIC, &out.out), HX_E_UNSUPPORTED, "no public half of the key 'alone'");
    assert_int_equal(sign(key, HX_ECDSA, HX_SHA256, 0, &out), 0);
    assert_int_equal(out.len, 64);
    plugin_bytes_free(&out);
    plugin->unload(key);
    plugin->close(token);
}

static void keys_without_certificates_and_certificates_without_keys_are_listed(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects all;
    struct hx_buf der = slurp("c");

    (void)state;
    assert_int_equal(import(token, "stranger", "nobody", 0, &der), 0);
    all = list(token, 0, NULL);
    assert_non_null(plugin_objects_find(&all, HX_CERTIFICATE, "stranger"));
    assert_null(plugin_objects_find(&all, HX_PRIVATE_KEY, "stranger"));
    assert_non_null(plugin_objects_find(&all, HX_PRIVATE_KEY, "ed25519"));
    assert_null(plugin_objects_find(&all, HX_CERTIFICATE, "ed25519"));
    plugin_objects_free(&all);
    plugin->close(token);
}

static void keys_of_unknown_types_are_passed_over(void **state)
{
    void *token;
    struct plugin_objects all;

    (void)state;
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
        " --keypairgen --key-type EC:secp256k1 --label strange --id 31");
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
        " --keygen --key-type AES:16 --label strange --id 32");
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
        " --keygen --key-type GENERIC:32 --label mac --id 33");
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
        " --write-object %s/k --type data --label papers",
        directory);
    token = open_and_login("edge");
    all = list(token, 0, NULL);
    assert_null(plugin_objects_find(&all, 0, "strange"));
    assert_non_null(plugin_objects_find(&all, HX_SECRET_KEY, "mac"));
    assert_int_equal(plugin_objects_find(&all, HX_SECRET_KEY, "mac")->bits, 256);
    assert_non_null(plugin_objects_find(&all, HX_DATA, "papers"));
    assert_non_null(plugin_objects_find(&all, HX_PRIVATE_KEY, "rsa"));
    plugin_objects_free(&all);
    plugin->close(token);
}

static void data_can_be_read_and_random_bytes_differ(void **state)
{
    void *token = open_and_login("edge"), *data = load_by_label(token, HX_DATA, "papers");
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    struct hx_buf file = slurp("k");
    struct plugin_bytes value;

    (void)state;
    plugin_bytes_init(&value);
    assert_int_equal(plugin->read(data, HX_VALUE, &value.out), 0);
    assert_int_equal(value.len, file.len);
    assert_memory_equal(value.data, file.data, file.len);
    plugin_bytes_free(&value);
    plugin->unload(data);
    assert_int_equal(plugin->random(token, a, sizeof a), 0);
    assert_int_equal(plugin->random(token, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    plugin->close(token);
}

/* The first reading stops before the first attribute, as careless modules do at one that is missing. */
static void what_a_module_left_out_is_read_again(void **state)
{
    void *token = open_and_login("edge");
    struct plugin_objects whole = list(token, HX_PRIVATE_KEY, "rsa"), again;

    (void)state;
    setenv("P11_COUNTER_FAIL", "C_GetAttributeValue:1:0x12", 1);
    again = list(token, HX_PRIVATE_KEY, "rsa");
    unsetenv("P11_COUNTER_FAIL");
    assert_int_equal(again.count, 1);
    assert_int_equal(again.object[0].bits, 2048);
    assert_int_equal(again.object[0].usage, whole.object[0].usage);
    assert_int_equal(again.object[0].id.len, whole.object[0].id.len);
    assert_memory_equal(again.object[0].id.data, whole.object[0].id.data, whole.object[0].id.len);
    plugin_objects_free(&whole);
    plugin_objects_free(&again);
    plugin->close(token);
}

static void a_label_of_a_thousand_bytes_is_read_whole(void **state)
{
    void *token;
    char label[1001];
    struct plugin_objects keys;

    (void)state;
    memset(label, 'x', 1000);
    label[1000] = '\0';
    run("pkcs11-tool --module $P11_COUNTER_MODULE --token-label edge --login --pin " TEST_PIN
        " --keypairgen --key-type EC:prime256v1 --id 99 --label %s",
        label);
    token = open_and_login("edge");
    keys = list(token, HX_PRIVATE_KEY, label);
    assert_int_equal(keys.count, 1);
    assert_string_equal(keys.object[0].label, label);
    plugin_objects_free(&keys);
    sign_and_verify(token, label, HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

int pkcs11_object_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_type_signs_by_every_scheme),
        cmocka_unit_test(what_a_key_cannot_do_is_refused_before_the_module_is_asked),
        cmocka_unit_test(making_a_key_twice_needs_replace),
        cmocka_unit_test(removing_a_key_takes_its_public_half_along),
        cmocka_unit_test(a_certificate_goes_in_and_comes_out_again),
        cmocka_unit_test(namesakes_are_told_apart),
        cmocka_unit_test(labels_are_taken_to_the_letter),
        cmocka_unit_test(a_key_without_a_public_half_says_so_and_signs),
        cmocka_unit_test(keys_without_certificates_and_certificates_without_keys_are_listed),
        cmocka_unit_test(keys_of_unknown_types_are_passed_over),
        cmocka_unit_test(data_can_be_read_and_random_bytes_differ),
        cmocka_unit_test(what_a_module_left_out_is_read_again),
        cmocka_unit_test(a_label_of_a_thousand_bytes_is_read_whole),
    };

    return cmocka_run_group_tests_name("objects", tests, make_tokens, stop);
}
