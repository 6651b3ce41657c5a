/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and secrets that are brought into a TPM do there what they did outside, and can be taken away again; what
 * belongs to the TPM or its maker stays. */
#include "tpm2-keys.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <unistd.h>

#define PARTS 8

struct parts {
    unsigned char store[PARTS][520];
    struct hx_buf part[PARTS];
    size_t count;
};

static void add(EVP_PKEY *key, const char *name, size_t width, struct parts *parts)
{
    unsigned char *to = parts->store[parts->count];
    BIGNUM *number = NULL;

    assert_true(EVP_PKEY_get_bn_param(key, name, &number));
    assert_int_equal(BN_bn2binpad(number, to, (int)width), width);
    BN_clear_free(number);
    parts->part[parts->count++] = (struct hx_buf){ to, width };
}

static void split_rsa(EVP_PKEY *key, struct parts *ret)
{
    static const char *const names[] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
                                         OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2 };
    size_t width = (size_t)EVP_PKEY_get_bits(key) / 8;

    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < 5; i++)
        add(key, names[i], i == 1 ? 4 : i > 2 ? width / 2 : width, ret);
}

static void split_ec(EVP_PKEY *key, struct parts *ret)
{
    size_t width = ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
    unsigned char *point = ret->store[1];

    memset(ret, 0, sizeof *ret);
    add(key, OSSL_PKEY_PARAM_PRIV_KEY, width, ret);
    add(key, OSSL_PKEY_PARAM_EC_PUB_X, width, ret);
    add(key, OSSL_PKEY_PARAM_EC_PUB_Y, width, ret);
    memmove(point + 1, point, width);
    point[0] = 4;
    memcpy(point + 1 + width, ret->store[2], width);
    ret->part[1].len = 1 + 2 * width;
    ret->count = 2;
}

static int import_parts(struct fixture *f, const struct hx_spec *spec, const struct parts *parts, char *ref)
{
    return import(f, spec, parts->part, parts->count, ref);
}

/* The key in the TPM is that one, and signs as it would. */
static void assert_is(struct fixture *f, const char *ref, EVP_PKEY *key)
{
    unsigned char *der = NULL;
    struct hx_bytes spki;
    int len = i2d_PUBKEY(key, &der);

    assert_int_equal(sign(f, ref, &spki), 0);
    assert_int_equal(spki.len, len);
    assert_memory_equal(spki.data, der, spki.len);
    hx_bytes_free(&spki);
    OPENSSL_free(der);
}

static void an_rsa_key_is_taken_in(void **state)
{
    static const unsigned bits[] = { 2048, 3072 };
    struct fixture *f = *state;
    char ref[TPM_REF];

    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_RSA_gen(bits[i]);
        struct hx_spec spec = spec_of(HX_RSA, i ? "larger" : "key");
        struct parts parts;

        split_rsa(key, &parts);
        assert_int_equal(import_parts(f, &spec, &parts, ref), 0);
        assert_is(f, ref, key);
        EVP_PKEY_free(key);
    }
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void an_ec_key_is_taken_in(void **state)
{
    static const struct {
        uint32_t type;
        const char *curve;
    } rows[] = { { HX_P256, "P-256" }, { HX_P384, "P-384" } };
    struct fixture *f = *state;
    char ref[TPM_REF];

    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_EC_gen(rows[i].curve);
        struct hx_spec spec = spec_of(rows[i].type, rows[i].curve);
        struct parts parts;

        split_ec(key, &parts);
        assert_int_equal(import_parts(f, &spec, &parts, ref), 0);
        assert_is(f, ref, key);
        assert_int_equal(import_parts(f, &spec, &parts, NULL), HX_E_EXISTS);
        EVP_PKEY_free(key);
    }
}

static void it_may_go_into_a_file_or_to_a_handle_and_has_the_pin(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct hx_spec spec = spec_of(HX_P256, "key");
    struct parts parts;
    char ref[TPM_REF];

    split_ec(key, &parts);
    spec.place = "key.tss";
    assert_int_equal(import_parts(f, &spec, &parts, ref), 0);
    assert_string_equal(ref, "k:key.tss");
    assert_is(f, ref, key);
    plugin_host_set(&f->host, "pin", "");
    open_token(f);
    spec.place = "0x81000333";
    spec.label = "other";
    assert_int_equal(import_parts(f, &spec, &parts, NULL), HX_E_LOGIN);
    assert_int_equal(f->plugin->login(f->token, "4711", 4), 0);
    assert_int_equal(import_parts(f, &spec, &parts, ref), 0);
    assert_string_equal(ref, "h:81000333");
    tpm_fixture_run(&f->tpm, "echo x >message; tpm2_sign -c 0x81000333 -g sha256 -p 4711 -o signature message");
    tpm_fixture_run(&f->tpm, "! tpm2_sign -c 0x81000333 -g sha256 -o signature message");
    EVP_PKEY_free(key);
}

static void halves_that_do_not_belong_together_are_refused(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    struct hx_spec spec = spec_of(HX_P256, "key");
    struct parts parts, others;

    split_ec(key, &parts);
    split_ec(other, &others);
    parts.part[0] = others.part[0];
    assert_int_not_equal(import_parts(f, &spec, &parts, NULL), 0);
    parts.count = 1;
    assert_int_equal(import_parts(f, &spec, &parts, NULL), HX_E_INVALID);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    key = EVP_RSA_gen(2048);
    other = EVP_RSA_gen(2048);
    split_rsa(key, &parts);
    split_rsa(other, &others);
    spec = spec_of(HX_RSA, "key");
    parts.part[3] = others.part[3];
    assert_int_not_equal(import_parts(f, &spec, &parts, NULL), 0);
    parts.count = 3;
    assert_int_equal(import_parts(f, &spec, &parts, NULL), HX_E_INVALID);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    assert_int_equal(persistent(f), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void what_the_tpm_does_not_take_is_said_before(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = EVP_RSA_gen(1536);
    struct hx_spec spec = spec_of(HX_RSA, "key");
    struct parts parts;

    split_rsa(key, &parts);
    assert_int_equal(import_parts(f, &spec, &parts, NULL), HX_E_UNSUPPORTED);
    assert_said(f, "RSA keys of 1536 bits");
    EVP_PKEY_free(key);
}

/* Is some of the number in what went to the TPM? */
static bool travelled(const struct fixture *f, const struct hx_buf *number)
{
    FILE *file = fopen(path_of(f, "pcap"), "rb");
    static unsigned char text[1 << 20];
    size_t len;

    assert_non_null(file);
    len = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_true(len > 0 && len < sizeof text);
    return memmem(text, len, (const char *)number->data + number->len - 16, 16) != NULL;
}

static void with_parameter_encryption_nobody_on_the_bus_reads_it(void **state)
{
    static unsigned char secret[100] = "a secret of more than a block, which is hashed before it is brought there";
    struct fixture *f = *state;
    EVP_PKEY *keys[] = { EVP_RSA_gen(2048), EVP_EC_gen("P-384") };
    struct hx_spec rsa = spec_of(HX_RSA, NULL), ec = spec_of(HX_P384, NULL), other = spec_of(HX_GENERIC, NULL);
    struct hx_buf whole = { secret, sizeof secret }, shorter = { secret, 30 };
    struct parts parts[2];
    char ref[TPM_REF];

    split_rsa(keys[0], &parts[0]);
    split_ec(keys[1], &parts[1]);
    plugin_host_set(&f->host, "tcti", f->tpm.counted);
    for (int encrypts = 0; encrypts < 2; encrypts++) {
        plugin_host_set(&f->host, "parameter-encryption", encrypts ? "yes" : "no");
        close_token(f);
        tpm_fixture_forget(&f->tpm);
        open_token(f);
        assert_int_equal(import_parts(f, &rsa, &parts[0], ref), 0);
        assert_is(f, ref, keys[0]);
        assert_int_equal(import_parts(f, &ec, &parts[1], ref), 0);
        assert_is(f, ref, keys[1]);
        assert_int_equal(import(f, &other, &shorter, 1, ref), 0);
        assert_int_equal(travelled(f, &parts[0].part[3]), !encrypts);
        assert_int_equal(travelled(f, &parts[1].part[0]), !encrypts);
        assert_int_equal(travelled(f, &shorter), !encrypts);
        assert_int_equal(import(f, &other, &whole, 1, ref), 0);
        assert_false(travelled(f, &whole)); /* its hash does */
    }
    close_token(f);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

static const struct {
    uint32_t hash;
    const EVP_MD *(*md)(void);
} hashes[] = { { HX_SHA256, EVP_sha256 }, { HX_SHA384, EVP_sha384 }, { HX_SHA1, EVP_sha1 } };

/* One that is longer than a block is good for HMAC-SHA-256 alone. */
static void a_secret_makes_the_macs_that_it_did(void **state)
{
    static const size_t sizes[] = { 1, 20, 32, 63, 64, 65, 128, 129, 1000, 1024 };
    struct fixture *f = *state;
    unsigned char secret[1025], expected[64];
    struct hx_spec spec = spec_of(HX_GENERIC, NULL);
    char ref[TPM_REF];

    memset(secret, 0x5a, sizeof secret);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct loaded key;

        spec.bits = (uint32_t)sizes[i] * 8;
        assert_int_equal(import(f, &spec, &(struct hx_buf){ secret, sizes[i] }, 1, ref), 0);
        assert_int_equal(load(f, HX_SECRET_KEY, ref, &key), 0);
        for (size_t j = 0; j < (sizes[i] <= 64 ? 3 : 1); j++) {
            struct hx_alg alg = { .scheme = HX_HMAC, .hash = hashes[j].hash };
            struct plugin_bytes mac;
            unsigned len = 0;

            plugin_bytes_init(&mac);
            assert_int_equal(f->plugin->sign(key.object, &alg, "message", 7, &mac.out), 0);
            HMAC(hashes[j].md(), secret, (int)sizes[i], (const unsigned char *)"message", 7, expected, &len);
            assert_int_equal(mac.len, len);
            assert_memory_equal(mac.data, expected, len);
            plugin_bytes_free(&mac);
        }
        unload(f, &key);
    }
    assert_int_equal(import(f, &spec, &(struct hx_buf){ secret, 1025 }, 1, NULL), HX_E_INVALID);
    assert_int_equal(import(f, &spec, &(struct hx_buf){ secret, 0 }, 1, NULL), HX_E_INVALID);
    assert_int_equal(import(f, &spec, (struct hx_buf[]){ { secret, 1 }, { secret, 1 } }, 2, NULL), HX_E_INVALID);
}

static void a_removed_key_is_gone_with_its_label(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    char ref[TPM_REF];

    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(remove_ref(f, HX_SECRET_KEY, ref), HX_E_NOT_FOUND);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "h:81000201"), HX_E_NOT_FOUND);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "k:../x"), HX_E_NOT_FOUND);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, ref), 0);
    assert_false(labels_say(f, "device"));
    assert_int_equal(persistent(f), 0);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, ref), HX_E_NOT_FOUND);
    assert_int_equal(generate(f, &spec, ref), 0);
}

/* Else it would be gone, and said to be there. */
static void where_its_label_cannot_go_a_key_stays(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    char ref[TPM_REF];
    int result;

    if (geteuid())
        skip();
    assert_int_equal(generate(f, &spec, ref), 0);
    tpm_fixture_run(&f->tpm, "chmod 755 .");
    assert_int_equal(seteuid(12345), 0);
    result = remove_ref(f, HX_PRIVATE_KEY, ref);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, HX_E_ACCESS);
    assert_int_equal(persistent(f), 1);
}

/* A key that somebody else has put there is no less the owner's. */
static void storage_keys_and_the_makers_stay(void **state)
{
    static const struct tpm_fixture_key keys[] = {
        { .handle = 0x81000001,
          .type = TPM2_ALG_RSA,
          .size = 2048,
          .attributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA },
        { .handle = 0x81000002,
          .type = TPM2_ALG_ECC,
          .size = TPM2_ECC_NIST_P256,
          .attributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA },
        { .handle = 0x81010001, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 },
        { .handle = 0x81000005, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 },
    };
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "srk");

    tpm_fixture_make(&f->tpm, keys, 4);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "h:81000001"), HX_E_UNSUPPORTED);
    assert_said(f, "storage root key");
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "h:81000002"), HX_E_UNSUPPORTED);
    assert_said(f, "attestation key");
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "h:81010001"), HX_E_UNSUPPORTED);
    assert_said(f, "endorsement");
    assert_int_equal(generate(f, &spec, NULL), HX_E_EXISTS);
    spec.flags = HX_REPLACE;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    assert_int_equal(persistent(f), 4);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, "h:81000005"), 0);
    assert_int_equal(persistent(f), 3);
}

/* What another program writes into the file of labels counts at once, for the object it names alone. */
static void labels_are_read_anew(void **state)
{
    static const struct tpm_fixture_key key = { .handle = 0x81000005,
                                                .type = TPM2_ALG_ECC,
                                                .size = TPM2_ECC_NIST_P256 };
    struct fixture *f = *state;

    tpm_fixture_make(&f->tpm, &key, 1);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "mine", NULL), 0);
    tpm_fixture_run(&f->tpm, "mkdir -p place; echo '81000005 - - mine' >place/labels");
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "mine", NULL), 1);
    tpm_fixture_run(&f->tpm, "echo '81000005 - - yours' >place/labels");
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "mine", NULL), 0);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "yours", NULL), 1);
    tpm_fixture_run(&f->tpm, "echo '81000005 000bffff - mine' >place/labels");
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "mine", NULL), 0);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, NULL, NULL), 1);
    tpm_fixture_run(&f->tpm, "echo '81000005 - gone mine' >place/labels"); /* we bind what goes to its Name */
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "mine", NULL), 1);
    tpm_fixture_run(&f->tpm, "chmod 666 place/labels");
    plugin_host_clear(&f->host);
    struct plugin_objects found;
    plugin_objects_init(&found, NULL);
    tpm_fixture_run(&f->tpm, "echo '81000005 - - other' >place/labels");
    assert_int_equal(f->plugin->list(f->token, &found.list), HX_E_CONFIG);
    assert_said(f, "chmod go-w");
    plugin_objects_free(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_rsa_key_is_taken_in),
        T(an_ec_key_is_taken_in),
        T(it_may_go_into_a_file_or_to_a_handle_and_has_the_pin),
        T(halves_that_do_not_belong_together_are_refused),
        T(a_secret_makes_the_macs_that_it_did),
        T(a_removed_key_is_gone_with_its_label),
        T(where_its_label_cannot_go_a_key_stays),
        T(what_the_tpm_does_not_take_is_said_before),
        T(with_parameter_encryption_nobody_on_the_bus_reads_it),
        T(storage_keys_and_the_makers_stay),
        T(labels_are_read_anew),
    };

    setenv("TSS2_LOG", "all+none", 1); /* what is refused here is meant to be */
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
