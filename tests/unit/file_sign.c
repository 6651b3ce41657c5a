/* SPDX-License-Identifier: Apache-2.0 */
/* The file plugin: signing, decrypting, deriving; in many threads, and after a fork. */
#include "file-fixture.h"

#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint32_t types[] = { HX_RSA, HX_P256, HX_P384, HX_P521, HX_ED25519 };
#define TYPES (sizeof types / sizeof *types)

static void rsa_signs_in_every_way(void **state)
{
    static const uint32_t sizes[] = { 0, 20, 32, 48, 64 };
    struct fixture *f = *state;
    struct hx_object info;
    unsigned char in[256] = { 0, 1, 2, 3 };
    assert_int_equal(fixture_generate(f, HX_RSA, "r", 0), 0);
    void *object = fixture_find(f, HX_PRIVATE_KEY, "r", &info);
    for (uint32_t hash = HX_SHA1; hash <= HX_SHA512; hash++) {
        struct hx_alg alg = { .scheme = HX_RSA_PKCS1, .hash = hash };
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash]), 0);
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash] - 1), HX_E_INVALID);
        uint32_t salts[] = { sizes[hash], 20, 0, 256 - 2 - sizes[hash] };
        for (size_t i = 0; i < 4; i++) {
            alg = (struct hx_alg){ .scheme = HX_RSA_PSS, .hash = hash, .salt_len = salts[i] };
            assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash]), 0);
            assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash]), 0);
        }
        alg.salt_len++;
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash]), HX_E_INVALID);
        alg.salt_len = UINT32_MAX;
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, sizes[hash]), HX_E_INVALID);
    }
    assert_int_equal(fixture_sign_with(object, &info, &(struct hx_alg){ .scheme = HX_RSA_PKCS1 }, in, 51), 0);
    assert_int_equal(
        fixture_sign_with(
            object, &info,
            &(struct hx_alg){ .scheme = HX_RSA_PSS, .hash = HX_SHA256, .mgf_hash = HX_SHA1, .salt_len = 7 }, in, 32),
        0);
    assert_int_equal(fixture_sign_with(object, &info, &(struct hx_alg){ .scheme = HX_RSA_RAW }, in, 256), 0);
    assert_int_equal(fixture_sign_with(object, &info, &(struct hx_alg){ .scheme = HX_RSA_RAW }, in, 255), HX_E_INVALID);
    plugin->unload(object);
}

static void what_is_unknown_is_unsupported(void **state)
{
    struct fixture *f = *state;
    struct hx_object info;
    unsigned char in[32] = { 1 };
    struct hx_alg bad[] = { { .scheme = 99 },
                            { .scheme = HX_ECDSA, .spare = { 0, 0, 1 } },
                            { .scheme = HX_HMAC },
                            { .scheme = HX_RSA_PKCS1, .hash = HX_SHA256 },
                            { .scheme = HX_ECDH } };
    assert_int_equal(fixture_generate(f, HX_P256, "e", 0), 0);
    void *object = fixture_find(f, HX_PRIVATE_KEY, "e", &info), *none;
    struct plugin_bytes out;
    plugin_bytes_init(&out);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(plugin->sign(object, &bad[i], in, sizeof in, &out.out), HX_E_UNSUPPORTED);
    assert_int_equal(plugin->decrypt(object, &(struct hx_alg){ .scheme = HX_RSA_RAW }, in, 32, &out.out),
                     HX_E_UNSUPPORTED);
    assert_int_equal(plugin->read(object, HX_VALUE, &out.out), HX_E_UNSUPPORTED);
    assert_int_equal(plugin->read(object, HX_TPM2B_PUBLIC, &out.out), HX_E_UNSUPPORTED);
    assert_int_equal(plugin->read(object, 77, &out.out), HX_E_UNSUPPORTED);
    out.result = HX_E_NO_MEMORY; /* what the host's sink says goes up */
    assert_int_equal(plugin->sign(object, &(struct hx_alg){ .scheme = HX_ECDSA }, in, 32, &out.out), HX_E_NO_MEMORY);
    plugin->unload(object);
    assert_int_equal(fixture_load(f, 77, "e.key", &none), HX_E_NOT_FOUND);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "../e.key", &none), HX_E_NOT_FOUND);
    assert_int_equal(fixture_load(f, HX_PRIVATE_KEY, "", &none), HX_E_NOT_FOUND);
}

static void ecdsa_takes_digests_up_to_the_width(void **state)
{
    struct fixture *f = *state;
    unsigned char in[80] = { 9 };
    for (size_t i = 1; i < 4; i++) {
        struct hx_object info;
        assert_int_equal(fixture_generate(f, types[i], "e", HX_REPLACE), 0);
        void *object = fixture_find(f, HX_PRIVATE_KEY, "e", &info);
        size_t width = ((size_t)info.bits + 7) / 8;
        struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
        for (int n = 0; n < 300; n++) /* now and then r or s is short */
            assert_int_equal(fixture_sign_with(object, &info, &alg, in, 32), 0);
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, width + 1), HX_E_INVALID);
        assert_int_equal(fixture_sign_with(object, &info, &alg, in, 0), HX_E_INVALID);
        plugin->unload(object);
    }
}

static void rsa_decrypts_oaep(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = fixture_key(HX_RSA);
    struct hx_object info;
    unsigned char sealed[256];
    size_t len;
    struct plugin_bytes out;
    assert_int_equal(fixture_import_key(f, "r", 0, key, HX_RSA), 0);
    void *object = fixture_find(f, HX_PRIVATE_KEY, "r", &info);
    plugin_bytes_init(&out);
    for (int labelled = 0; labelled < 2; labelled++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
        EVP_PKEY_encrypt_init(ctx);
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING);
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256());
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha1());
        if (labelled)
            EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup("label"), 5);
        len = sizeof sealed;
        assert_true(EVP_PKEY_encrypt(ctx, sealed, &len, (const unsigned char *)"secret", 6) > 0);
        EVP_PKEY_CTX_free(ctx);
        struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = HX_SHA256, .mgf_hash = HX_SHA1 };
        alg.param = (struct hx_buf){ "label", labelled ? 5 : 0 };
        assert_int_equal(plugin->decrypt(object, &alg, sealed, len, &out.out), 0);
        assert_int_equal(out.len, 6);
        assert_memory_equal(out.data, "secret", 6);
        plugin_bytes_free(&out);
        alg.param.len = 4 * (1 - (size_t)labelled);
        assert_int_equal(plugin->decrypt(object, &alg, sealed, len, &out.out), HX_E_INVALID);
    }
    assert_int_equal(plugin->decrypt(object, &(struct hx_alg){ .scheme = HX_RSA_RAW }, sealed, len, &out.out), 0);
    assert_int_equal(out.len, 256);
    plugin_bytes_free(&out);
    plugin->unload(object);
    EVP_PKEY_free(key);
}

static void ecdh_agrees_with_the_peer(void **state)
{
    struct fixture *f = *state;
    unsigned char store[8][512], theirs[66];
    struct hx_buf part[8];
    struct hx_alg alg = { .scheme = HX_ECDH };
    struct plugin_bytes out;
    plugin_bytes_init(&out);
    for (size_t i = 1; i < 4; i++) {
        EVP_PKEY *key = fixture_key(types[i]), *peer = fixture_key(types[i]);
        struct hx_object info;
        size_t len = sizeof theirs;
        assert_int_equal(fixture_import_key(f, "e", HX_REPLACE, key, types[i]), 0);
        void *object = fixture_find(f, HX_PRIVATE_KEY, "e", &info);
        fixture_parts(peer, types[i], store, part);
        assert_int_equal(plugin->derive(object, &alg, part[1].data, part[1].len, &out.out), 0);
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer, NULL);
        EVP_PKEY_derive_init(ctx);
        EVP_PKEY_derive_set_peer(ctx, key);
        assert_true(EVP_PKEY_derive(ctx, theirs, &len) > 0);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, theirs, len);
        store[1][5] ^= 1; /* no longer on the curve */
        assert_int_equal(plugin->derive(object, &alg, part[1].data, part[1].len, &out.out), HX_E_INVALID);
        assert_int_equal(plugin->derive(object, &alg, part[1].data, 12, &out.out), HX_E_INVALID);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(key);
        EVP_PKEY_free(peer);
        plugin_bytes_free(&out);
        plugin->unload(object);
    }
}

static void secrets_authenticate_and_stay(void **state)
{
    struct fixture *f = *state;
    struct hx_object info;
    struct plugin_bytes out;
    unsigned char tag[64];
    unsigned len;
    plugin_bytes_init(&out);
    assert_int_equal(fixture_import(f, HX_SECRET_KEY, "sas", 0, "raw bytes\0too", 13), 0);
    void *object = fixture_find(f, HX_SECRET_KEY, "sas", &info);
    assert_int_equal(info.type, HX_GENERIC);
    assert_int_equal(info.bits, 104);
    struct hx_alg alg = { .scheme = HX_HMAC, .hash = HX_SHA384 };
    assert_int_equal(plugin->sign(object, &alg, "message", 7, &out.out), 0);
    HMAC(EVP_sha384(), "raw bytes\0too", 13, (const unsigned char *)"message", 7, tag, &len);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, tag, len);
    plugin_bytes_free(&out);
    assert_int_equal(plugin->read(object, HX_VALUE, &out.out), HX_E_UNSUPPORTED);
    alg.hash = 0;
    assert_int_equal(plugin->sign(object, &alg, "message", 7, &out.out), HX_E_UNSUPPORTED);
    plugin->unload(object);
    assert_int_equal(fixture_generate(f, HX_GENERIC, "made", 0), 0);
    object = fixture_find(f, HX_SECRET_KEY, "made", &info);
    assert_int_equal(info.bits, 256);
    plugin->unload(object);
}

struct signer {
    void *object;
    struct hx_object info;
    uint32_t scheme;
    int rounds, failed;
};

static void *sign_often(void *arg)
{
    struct signer *signer = arg;
    struct plugin_bytes out;
    struct hx_alg alg = { .scheme = signer->scheme, .hash = signer->scheme == HX_EDDSA ? 0 : HX_SHA256 };
    plugin_bytes_init(&out);
    for (int i = 0; i < signer->rounds; i++) {
        alg.salt_len = signer->scheme == HX_RSA_PSS ? (uint32_t)i % 40 : 0; /* many contexts, few places */
        signer->failed += plugin->sign(signer->object, &alg, "just thirty-two bytes, no digest", 32, &out.out) != 0;
        plugin_bytes_free(&out);
    }
    return NULL;
}

static void eight_threads_sign_with_one_key(void **state)
{
    struct fixture *f = *state;
    static const uint32_t schemes[][2] = {
        { HX_RSA, HX_RSA_PSS }, { HX_P256, HX_ECDSA }, { HX_ED25519, HX_EDDSA }, { HX_GENERIC, HX_HMAC }
    };
    for (size_t i = 0; i < 4; i++) {
        struct signer signer[8] = { { .scheme = schemes[i][1], .rounds = i ? 200 : 50 } };
        pthread_t thread[8];
        uint32_t kind = schemes[i][0] == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY;
        assert_int_equal(fixture_generate(f, schemes[i][0], "k", HX_REPLACE), 0);
        signer[0].object = fixture_find(f, kind, "k", &signer[0].info);
        for (size_t j = 0; j < 8; j++) {
            signer[j] = signer[0];
            assert_int_equal(pthread_create(&thread[j], NULL, sign_often, &signer[j]), 0);
        }
        for (size_t j = 0; j < 8; j++) {
            pthread_join(thread[j], NULL);
            assert_int_equal(signer[j].failed, 0);
        }
        if (kind == HX_PRIVATE_KEY) /* and the contexts are still good */
            assert_int_equal(fixture_sign(signer[0].object, &signer[0].info), 0);
        plugin->unload(signer[0].object);
    }
}

/* ASan's allocator does not survive a fork while another thread allocates; the plain build has the busy thread. */
#ifdef __SANITIZE_ADDRESS__
#define BUSY false
#else
#define BUSY true
#endif

static atomic_bool enough;

static void *keep_busy(void *arg)
{
    while (!atomic_load(&enough))
        sign_often(arg);
    return NULL;
}

/* What a child does: forget, open the token anew, sign. */
static int child(struct fixture *f, const char *label)
{
    struct plugin_host host;
    struct fixture mine = *f;
    struct hx_object info;
    plugin->forked();
    plugin_host_init(&host);
    plugin_host_set(&host, "directory", f->dir);
    if (plugin->open(&host.host, NULL, &mine.token))
        return 1;
    void *object = fixture_find(&mine, HX_PRIVATE_KEY, label, &info);
    if (!object || fixture_sign(object, &info))
        return 2;
    plugin->unload(object);
    plugin->close(mine.token);
    return 0;
}

static void children_sign_while_the_parent_is_busy(void **state)
{
    struct fixture *f = *state;
    struct signer signer = { .scheme = HX_ECDSA, .rounds = 10 };
    pthread_t thread;
    assert_int_equal(fixture_generate(f, HX_P256, "k", 0), 0);
    signer.object = fixture_find(f, HX_PRIVATE_KEY, "k", &signer.info);
    atomic_store(&enough, false);
    if (BUSY)
        pthread_create(&thread, NULL, keep_busy, &signer);
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        if (!pid) {
            alarm(20);
            _exit(child(f, "k"));
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    atomic_store(&enough, true);
    if (BUSY)
        pthread_join(thread, NULL);
    assert_int_equal(signer.failed, 0);
    plugin->unload(signer.object);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(rsa_signs_in_every_way),
        T(what_is_unknown_is_unsupported),
        T(ecdsa_takes_digests_up_to_the_width),
        T(rsa_decrypts_oaep),
        T(ecdh_agrees_with_the_peer),
        T(secrets_authenticate_and_stay),
        T(eight_threads_sign_with_one_key),
        T(children_sign_while_the_parent_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
