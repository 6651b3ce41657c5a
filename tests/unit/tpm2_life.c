/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a TPM in the core's hands, over a long life: two sections on one TPM, resets, threads, forked workers. */
#include "tpm2-keyfiles.h"

#include <hsmux/hsmux.h>
#include <libgen.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define EACH 50

static const struct tpm_fixture_key keys[] = {
    { KEY(0), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0, 0, NULL },
    { KEY(1), TPM2_ALG_RSA, 2048, 0, 0, NULL },
    { SRK, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_RESTRICTED | DECRYPT | NODA, 0, NULL },
};

static hx *context;

/* The plugin, where nobody else can write it, and two sections that name the same TPM. */
static int start(void **state)
{
    int result = bench_start(state);
    struct bench *b = *state;
    char self[512] = "", path[128];
    const char *build;
    FILE *conf;

    if (result || !b->tpm.pid)
        return result;
    if (make_directory(b) || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return -1;
    build = dirname(dirname(dirname(self)));
    tpm_fixture_make(&b->tpm, keys, sizeof keys / sizeof *keys);
    make_file(b, "device.tss", 0, NULL, true, NODA);
    tpm_fixture_run(&b->tpm, "mkdir -m 755 plugins && install -m 755 '%s/plugins/tpm2/tpm2.so' plugins/", build);
    snprintf(path, sizeof path, "%s/plugins", b->tpm.directory);
    setenv("HSMUX_PLUGINS", path, 1);
    setenv("STATE_DIRECTORY", b->tpm.directory, 1);
    snprintf(path, sizeof path, "%s/conf", b->tpm.directory);
    conf = fopen(path, "w");
    assert_non_null(conf);
    fprintf(conf, "[token one]\nplugin = tpm2\ntcti = %s\ndirectory = %s\n", b->tpm.counted, b->tpm.directory);
    fprintf(conf, "[token two]\nplugin = tpm2\ntcti = %s\ndirectory = %s\nkey-files = %s/keys\n", b->tpm.counted,
            b->tpm.directory, b->tpm.directory);
    fclose(conf);
    if (hx_new(path, &context))
        fail_msg("%s", hx_last_error());
    return 0;
}

static int stop(void **state)
{
    hx_free(context);
    return bench_stop(state);
}

static hx_key *open_key(const char *address)
{
    hx_key *key = NULL;

    if (hx_key_open(context, address, &key))
        fail_msg("%s: %s", address, hx_last_error());
    return key;
}

/* 0, or what went wrong; threads must not fail a test themselves. */
static int sign_now(hx_key *key)
{
    struct hx_object info;
    struct hx_alg alg = { .hash = HX_SHA256 };
    unsigned char digest[32];
    struct hx_bytes sig = { 0 }, spki = { 0 };
    const unsigned char *der;
    EVP_PKEY *public;
    EVP_PKEY_CTX *verifier;
    int result = hx_key_info(key, &info);

    alg.scheme = info.type == HX_RSA ? HX_RSA_PKCS1 : HX_ECDSA;
    RAND_bytes(digest, sizeof digest);
    if (result || (result = hx_sign(key, &alg, digest, sizeof digest, &sig)) || (result = hx_key_public(key, &spki)))
        return result;
    der = spki.data;
    public = d2i_PUBKEY(NULL, &der, (long)spki.len);
    verifier = EVP_PKEY_CTX_new(public, NULL);
    EVP_PKEY_verify_init(verifier);
    EVP_PKEY_CTX_set_signature_md(verifier, EVP_sha256());
    if (EVP_PKEY_verify(verifier, sig.data, sig.len, digest, sizeof digest) != 1)
        result = 1;
    EVP_PKEY_CTX_free(verifier);
    EVP_PKEY_free(public);
    hx_bytes_free(&sig);
    hx_bytes_free(&spki);
    return result;
}

static void must_sign(hx_key *key)
{
    int result = sign_now(key);

    if (result)
        fail_msg("%d: %s", result, hx_last_error());
}

#define BY_HANDLE "hsm:one/key?id=81010100"
#define BY_HANDLE_TOO "hsm:two/key?id=81010100"
#define RSA_KEY "hsm:two/key?id=81010101"
#define BY_FILE "hsm:two/key/device"

static void two_sections_share_a_tpm(void **state)
{
    struct bench *b = bench_of(state);
    hx_key *one = open_key(BY_HANDLE), *two = open_key(BY_HANDLE_TOO), *file = open_key(BY_FILE),
           *rsa = open_key(RSA_KEY);
    struct hx_bytes first = { 0 }, second = { 0 };

    for (int i = 0; i < 10; i++) {
        must_sign(one);
        must_sign(two);
        must_sign(file);
        must_sign(rsa);
    }
    hx_key_public(one, &first);
    hx_key_public(two, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    hx_bytes_free(&first);
    hx_bytes_free(&second);
    hx_key_close(one);
    must_sign(two);
    hx_key_close(two);
    hx_key_close(file);
    hx_key_close(rsa);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

/* With TPM2_Startup said by somebody, or by nobody but us. */
static void a_reset_tpm_signs_on(void **state)
{
    struct bench *b = bench_of(state);
    hx_key *handle = open_key(BY_HANDLE), *file = open_key(BY_FILE);

    for (int i = 0; i < 4; i++) {
        must_sign(i % 2 ? handle : file);
        must_sign(i % 2 ? file : handle);
        tpm_fixture_restart(&b->tpm, i < 2);
    }
    must_sign(file);
    tpm_fixture_restart(&b->tpm, false);
    must_sign(handle);
    hx_key_close(handle);
    hx_key_close(file);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

static size_t encrypt(hx_key *key, unsigned char ret[512])
{
    struct hx_bytes spki = { 0 };
    const unsigned char *der;
    EVP_PKEY *public;
    EVP_PKEY_CTX *encrypter;
    size_t len = 512;

    hx_key_public(key, &spki);
    der = spki.data;
    public = d2i_PUBKEY(NULL, &der, (long)spki.len);
    encrypter = EVP_PKEY_CTX_new(public, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(encrypter), 1);
    EVP_PKEY_CTX_set_rsa_padding(encrypter, RSA_PKCS1_OAEP_PADDING);
    assert_int_equal(EVP_PKEY_encrypt(encrypter, ret, &len, (const unsigned char *)"secret", 6), 1);
    EVP_PKEY_CTX_free(encrypter);
    EVP_PKEY_free(public);
    hx_bytes_free(&spki);
    return len;
}

static void must_be_silent(int (*step)(hx_key *), hx_key *key)
{
    FILE *log = tmpfile();
    int was = dup(STDERR_FILENO);

    dup2(fileno(log), STDERR_FILENO);
    assert_int_equal(step(key), HX_E_INVALID);
    dup2(was, STDERR_FILENO);
    close(was);
    assert_int_equal(lseek(fileno(log), 0, SEEK_END), 0);
    fclose(log);
}

static int decrypt_another_hash(hx_key *key)
{
    const struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = HX_SHA256 };
    unsigned char cipher[512];
    struct hx_bytes plain = { 0 };

    return hx_decrypt(key, &alg, cipher, encrypt(key, cipher), &plain);
}

/* Anybody may send what is wrongly padded: that is neither the TPM's failure nor worth a word on stderr. */
static void what_is_wrongly_padded_is_refused_without_noise(void **state)
{
    struct bench *b = bench_of(state);
    hx_key *rsa = open_key(RSA_KEY);
    const struct hx_alg alg = { .scheme = HX_RSA_OAEP, .hash = HX_SHA1 };
    unsigned char cipher[512];
    struct hx_bytes plain = { 0 };

    (void)b;
    assert_int_equal(hx_decrypt(rsa, &alg, cipher, encrypt(rsa, cipher), &plain), 0);
    assert_int_equal(plain.len, 6);
    assert_memory_equal(plain.data, "secret", 6);
    hx_bytes_free(&plain);
    must_be_silent(decrypt_another_hash, rsa);
    hx_key_close(rsa);
}

static void *sign_many(void *key)
{
    intptr_t good = 0;

    for (int i = 0; i < EACH; i++)
        good += !sign_now(key);
    return (void *)good;
}

static void many_threads(hx_key *keys_of[THREADS])
{
    pthread_t thread[THREADS];
    intptr_t good = 0;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, sign_many, keys_of[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *sum;

        pthread_join(thread[i], &sum);
        good += (intptr_t)sum;
    }
    assert_int_equal(good, THREADS * EACH);
}

static void eight_threads_sign_with_one_key(void **state)
{
    struct bench *b = bench_of(state);
    static const char *const addresses[] = { BY_HANDLE, BY_FILE };

    for (int a = 0; a < 2; a++) {
        hx_key *key = open_key(addresses[a]), *all[THREADS];

        for (int i = 0; i < THREADS; i++)
            all[i] = key;
        many_threads(all);
        hx_key_close(key);
    }
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

static void eight_threads_sign_with_keys_of_every_kind(void **state)
{
    struct bench *b = bench_of(state);
    static const char *const addresses[] = { BY_HANDLE, BY_FILE, RSA_KEY, BY_HANDLE_TOO };
    hx_key *all[THREADS];

    for (int i = 0; i < THREADS; i++)
        all[i] = open_key(addresses[i % 4]);
    many_threads(all);
    for (int i = 0; i < THREADS; i++)
        hx_key_close(all[i]);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

/* Each child signs with what it inherited, and frees it; the parent goes on. */
static void forked_children_sign_and_free_what_they_inherited(void **state)
{
    struct bench *b = bench_of(state);
    hx_key *handle = open_key(BY_HANDLE), *file = open_key(BY_FILE);
    pid_t child[4];

    must_sign(handle);
    must_sign(file);
    for (int i = 0; i < 4; i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (!child[i]) {
            int bad = 0;

            for (int n = 0; n < EACH; n++)
                bad += sign_now(n % 2 ? handle : file) != 0;
            hx_key_close(handle);
            hx_key_close(file);
            _exit(bad > 0);
        }
    }
    for (int i = 0; i < EACH; i++)
        must_sign(i % 2 ? handle : file);
    for (int i = 0; i < 4; i++) {
        int status;

        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    must_sign(handle);
    must_sign(file);
    hx_key_close(handle);
    hx_key_close(file);
    assert_int_equal(tpm_fixture_left(&b->tpm), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sections_share_a_tpm),
        cmocka_unit_test(a_reset_tpm_signs_on),
        cmocka_unit_test(what_is_wrongly_padded_is_refused_without_noise),
        cmocka_unit_test(eight_threads_sign_with_one_key),
        cmocka_unit_test(eight_threads_sign_with_keys_of_every_kind),
        cmocka_unit_test(forked_children_sign_and_free_what_they_inherited),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, stop) : 77;
}
