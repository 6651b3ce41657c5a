/* SPDX-License-Identifier: Apache-2.0 */
/* PSS signatures of the fake token's RSA keys, judged by libcrypto with exactly the salt that was asked for, and the
 * tokens of all sorts that make them. */
#ifndef PSS_H
#define PSS_H

#include "rsa.h"

#define NO_PSS (1u << HX_RSA_PSS)
#define NO_RAW (1u << HX_RSA_RAW)

static unsigned char digest[64] = "any digest is as good as another one, if only it is long enough";

static inline struct hx_alg pss(uint32_t hash, size_t salt)
{
    return (struct hx_alg){ .scheme = HX_RSA_PSS, .hash = hash, .salt_len = (uint32_t)salt };
}

/* The largest salt. */
static inline size_t largest(uint32_t bits, uint32_t hash)
{
    return (bits + 6) / 8 - hash_size(hash) - 2;
}

/* Has it exactly the salt that was asked for? */
static inline bool is_good(EVP_PKEY *public, const struct hx_alg *alg, const struct hx_bytes *sig)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(own, public, NULL);
    const char *mask = digest_name(alg->mgf_hash ? alg->mgf_hash : alg->hash);
    EVP_MD *md = EVP_MD_fetch(own, digest_name(alg->hash), NULL);
    bool good;

    ERR_set_mark();
    assert_int_equal(EVP_PKEY_verify_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, md), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, mask, NULL), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)alg->salt_len), 1);
    good = EVP_PKEY_verify(context, sig->data, sig->len, digest, hash_size(alg->hash)) == 1;
    ERR_pop_to_mark();
    EVP_MD_free(md);
    EVP_PKEY_CTX_free(context);
    return good;
}

/* public NULL: the key's own. */
static inline int sign_for(struct hx_key *key, const struct hx_alg *alg, EVP_PKEY *public)
{
    EVP_PKEY *mine = public ? NULL : public_of(key);
    struct hx_bytes sig = { 0 };
    int result = hx_sign(key, alg, digest, hash_size(alg->hash), &sig);

    if (result)
        assert_null(sig.data);
    else if (!is_good(public ? public : mine, alg, &sig))
        fail_msg("the signature is not good with a salt of %u bytes", (unsigned)alg->salt_len);
    EVP_PKEY_free(mine);
    hx_bytes_free(&sig);
    return result;
}

static inline int sign(struct hx_key *key, const struct hx_alg *alg)
{
    return sign_for(key, alg, NULL);
}

static const struct token_case {
    uint32_t salt, refused;
} tokens[] = {
    { FAKE_SALT_HONEST, 0 },      { FAKE_SALT_DIGEST, 0 },      { FAKE_SALT_MAX, 0 },      { 0, NO_PSS },
    { FAKE_SALT_HONEST, NO_RAW }, { FAKE_SALT_DIGEST, NO_RAW }, { FAKE_SALT_MAX, NO_RAW },
};

static inline size_t made_by(const struct token_case *token, size_t asked, uint32_t hash)
{
    return token->salt == FAKE_SALT_DIGEST ? hash_size(hash)
           : token->salt == FAKE_SALT_MAX  ? largest(2048, hash)
                                           : asked;
}

#endif
