/* SPDX-License-Identifier: Apache-2.0 */
/* A key of every kind that a TPM has, for tests of what each can do. */
#ifndef TPM2_KINDS_H
#define TPM2_KINDS_H

#include "tpm2-bench.h"

enum { RSA2, RSA3, P256, P384, SIGNER, DECRYPTER, PKCS1, PSS, ECDSA, ECDSA384, OAEP, RESTRICTED, MAC1, MAC256, MAC384 };

static const struct tpm_fixture_key kinds[] = {
    { KEY(RSA2), TPM2_ALG_RSA, 2048, 0, 0, NULL },
    { KEY(P256), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0, 0, NULL },
    { KEY(P384), TPM2_ALG_ECC, TPM2_ECC_NIST_P384, 0, 0, NULL },
    { KEY(SIGNER), TPM2_ALG_RSA, 2048, SIGN | NODA, 0, NULL },
    { KEY(DECRYPTER), TPM2_ALG_RSA, 2048, DECRYPT | NODA, 0, NULL },
    { KEY(PKCS1), TPM2_ALG_RSA, 2048, SIGN | NODA, TPM2_ALG_RSASSA, NULL },
    { KEY(PSS), TPM2_ALG_RSA, 2048, SIGN | NODA, TPM2_ALG_RSAPSS, NULL },
    { KEY(ECDSA), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, SIGN | NODA, TPM2_ALG_ECDSA, NULL },
    { KEY(ECDSA384), TPM2_ALG_ECC, TPM2_ECC_NIST_P384, SIGN | NODA, TPM2_ALG_ECDSA, NULL },
    { KEY(OAEP), TPM2_ALG_RSA, 2048, DECRYPT | NODA, TPM2_ALG_OAEP, NULL },
    { KEY(RESTRICTED), TPM2_ALG_ECC, TPM2_ECC_NIST_P256, SIGN | NODA | TPMA_OBJECT_RESTRICTED, 0, NULL },
    { KEY(MAC1), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA1, 0, 0, NULL },
    { KEY(MAC256), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA256, 0, 0, NULL },
    { KEY(MAC384), TPM2_ALG_KEYEDHASH, TPM2_ALG_SHA384, 0, 0, NULL },
};
static const struct tpm_fixture_key rsa3 = { KEY(RSA3), TPM2_ALG_RSA, 3072, 0, 0, NULL };

static bool has_rsa3; /* libtpms has, from 0.10 or so on */

static inline int start(void **state)
{
    int result = bench_start(state);
    struct bench *b = *state;

    if (result || !b->tpm.pid)
        return result;
    tpm_fixture_make(&b->tpm, kinds, sizeof kinds / sizeof *kinds);
    has_rsa3 = !system("tpm2_testparms rsa3072 2>/dev/null");
    if (has_rsa3)
        tpm_fixture_make(&b->tpm, &rsa3, 1);
    bench_open(b);
    return 0;
}

static inline int stop(void **state)
{
    struct bench *b = *state;

    if (b->tpm.pid) {
        bench_close(b);
        assert_int_equal(tpm_fixture_left(&b->tpm), 0);
    }
    return bench_stop(state);
}

static const uint32_t hashes[] = { HX_SHA1, HX_SHA256, HX_SHA384, HX_SHA512 };

/* Some digest of that hash; a few of them begin with zeroes. */
static inline size_t make_digest(uint32_t hash, size_t zeroes, unsigned char ret[64])
{
    size_t len = (size_t)EVP_MD_get_size(md_of(hash));

    RAND_bytes(ret, (int)len);
    memset(ret, 0, zeroes);
    return len;
}

static inline void expect(struct bench *b, const struct key *key, hx_op *op, const struct hx_alg *alg, size_t len,
                          int result, const char *why)
{
    unsigned char in[512] = { 0, 1 };
    struct plugin_bytes out;

    plugin_host_clear(&b->host);
    assert_int_equal(operate(key, op, alg, in, len, &out), result);
    if (!plugin_host_said(&b->host, why))
        fail_msg("'%s', not '%s'", b->host.reason, why);
    assert_int_equal(out.len, 0);
    plugin_bytes_free(&out);
}

#endif
