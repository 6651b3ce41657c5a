/* SPDX-License-Identifier: Apache-2.0 */
/* The tpm2 plugin's table on a software TPM, without the core: keys, operations, and libcrypto's word on the results.
 * Commands are counted. */
#ifndef TPM2_BENCH_H
#define TPM2_BENCH_H

#include "plugin-host.h"
#include "tpm-objects.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY(n) (0x81010100u + (n))
#define NODA TPMA_OBJECT_NODA
#define SIGN TPMA_OBJECT_SIGN_ENCRYPT
#define DECRYPT TPMA_OBJECT_DECRYPT

const struct hx_plugin *tpm2_plugin_entry(void);

struct bench {
    struct tpm_fixture tpm;
    struct plugin_host host;
    const struct hx_plugin *plugin;
    void *token;
};

struct key {
    struct bench *bench;
    void *object;
    struct hx_object info; /* without its pointers */
    EVP_PKEY *public; /* NULL: a secret key */
};

static inline int bench_start(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    *state = b;
    b->plugin = tpm2_plugin_entry();
    plugin_host_init(&b->host);
    if (!tpm_fixture_can_run())
        return 0;
    tpm_fixture_start(&b->tpm);
    plugin_host_set(&b->host, "tcti", b->tpm.counted);
    plugin_host_set(&b->host, "directory", b->tpm.directory);
    return 0;
}

static inline int bench_stop(void **state)
{
    struct bench *b = *state;

    if (b->tpm.pid)
        tpm_fixture_stop(&b->tpm);
    plugin_host_free(&b->host);
    free(b);
    return 0;
}

static inline struct bench *bench_of(void **state)
{
    struct bench *b = *state;

    if (!b->tpm.pid)
        skip();
    return b;
}

static inline void must(const struct bench *b, int result)
{
    if (result)
        fail_msg("%d: %s", result, b->host.reason);
}

static inline void bench_open(struct bench *b)
{
    must(b, b->plugin->open(&b->host.host, NULL, &b->token));
}

static inline void bench_close(struct bench *b)
{
    b->plugin->close(b->token);
    b->token = NULL;
}

static inline EVP_PKEY *public_from(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static inline EVP_PKEY *public_of(const struct hx_object *info, const struct plugin_bytes *part)
{
    static const char *const groups[] = { [HX_P256] = "P-256", [HX_P384] = "P-384", [HX_P521] = "P-521" };
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = NULL;
    EVP_PKEY *key;

    if (info->type == HX_RSA) {
        n = BN_bin2bn(part->data, (int)part->len, NULL);
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
        OSSL_PARAM_BLD_push_uint64(build, OSSL_PKEY_PARAM_RSA_E, info->rsa_e);
    } else {
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, groups[info->type], 0);
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, part->data, part->len);
    }
    key = public_from(info->type == HX_RSA ? "RSA" : "EC", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    return key;
}

static inline struct key load_ref(struct bench *b, uint32_t kind, const char *ref)
{
    struct key key = { .bench = b };
    struct plugin_objects info;
    struct plugin_bytes part;

    plugin_objects_init(&info, NULL);
    plugin_bytes_init(&part);
    must(b, b->plugin->load(b->token, kind, ref, strlen(ref), &info.list, &key.object));
    assert_int_equal(info.count, 1);
    key.info = info.object[0];
    key.info.label = NULL;
    key.info.id = key.info.ref = (struct hx_buf){ 0 };
    if (kind == HX_PRIVATE_KEY) {
        must(b, b->plugin->read(key.object, HX_PUBLIC, &part.out));
        key.public = public_of(&key.info, &part);
    }
    plugin_bytes_free(&part);
    plugin_objects_free(&info);
    return key;
}

static inline struct key load_key(struct bench *b, uint32_t kind, TPM2_HANDLE handle)
{
    char ref[16];

    snprintf(ref, sizeof ref, "h:%08x", handle);
    return load_ref(b, kind, ref);
}

static inline void unload(struct key *key)
{
    key->bench->plugin->unload(key->object);
    EVP_PKEY_free(key->public);
}

/* As the core does: a key that wants to be told so is authorised first. */
static inline int operate(const struct key *key, hx_op *op, const struct hx_alg *alg, const void *in, size_t len,
                          struct plugin_bytes *ret)
{
    int result;

    plugin_bytes_init(ret);
    result = op(key->object, alg, in, len, &ret->out);
    if (result != HX_E_LOGIN)
        return result;
    result = key->bench->plugin->authorise(key->object, NULL, 0);
    return result ? result : op(key->object, alg, in, len, &ret->out);
}

static inline const EVP_MD *md_of(uint32_t hash)
{
    return hash == HX_SHA1     ? EVP_sha1()
           : hash == HX_SHA256 ? EVP_sha256()
           : hash == HX_SHA384 ? EVP_sha384()
           : hash == HX_SHA512 ? EVP_sha512()
                               : NULL;
}

/* Does libcrypto accept the signature of this digest?  padding: of RSA. */
static inline bool verifies(const struct key *key, int padding, uint32_t hash, const void *digest, size_t digest_len,
                            const unsigned char *sig, size_t sig_len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->public, NULL);
    bool ok;

    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    if (key->info.type == HX_RSA)
        assert_true(EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    if (hash)
        assert_true(EVP_PKEY_CTX_set_signature_md(context, md_of(hash)) > 0);
    if (padding == RSA_PKCS1_PSS_PADDING)
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
    ok = EVP_PKEY_verify(context, sig, sig_len, digest, digest_len) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return ok;
}

/* r || s as libcrypto wants it. */
static inline bool verifies_ecdsa(const struct key *key, const void *digest, size_t digest_len,
                                  const struct plugin_bytes *raw)
{
    size_t width = raw->len / 2;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int len;
    bool ok;

    ECDSA_SIG_set0(sig, BN_bin2bn(raw->data, (int)width, NULL), BN_bin2bn(raw->data + width, (int)width, NULL));
    len = i2d_ECDSA_SIG(sig, &der);
    ok = verifies(key, 0, 0, digest, digest_len, der, (size_t)len);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return ok;
}

static inline void sign_and_verify(struct key *key)
{
    const bool rsa = key->info.type == HX_RSA;
    const struct hx_alg alg = { .scheme = rsa ? HX_RSA_PKCS1 : HX_ECDSA, .hash = HX_SHA256 };
    unsigned char digest[32];
    struct plugin_bytes sig;

    RAND_bytes(digest, sizeof digest);
    must(key->bench, operate(key, key->bench->plugin->sign, &alg, digest, sizeof digest, &sig));
    assert_true(rsa ? verifies(key, RSA_PKCS1_PADDING, HX_SHA256, digest, sizeof digest, sig.data, sig.len)
                    : verifies_ecdsa(key, digest, sizeof digest, &sig));
    plugin_bytes_free(&sig);
}

#endif
