/* SPDX-License-Identifier: Apache-2.0 */
/* Is a signature good?  By libcrypto alone, with the public key: what a peer would say. */
#include "tool.h"

#include <openssl/rsa.h>

static bool set_padding(EVP_PKEY_CTX *context, const struct hx_alg *alg)
{
    if (alg->scheme == HX_RSA_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, (int)alg->salt_len) > 0;
    return true;
}

int verify_message(hx_key *key, const struct hx_alg *alg, const void *message, size_t len, const struct hx_bytes *sig)
{
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    AUTO_MD_CTX EVP_MD_CTX *context = EVP_MD_CTX_new();
    const char *hash = alg->scheme == HX_EDDSA ? NULL : hash_word(alg->hash);
    EVP_PKEY_CTX *parameters = NULL;

    if (public_key(key, &pkey))
        return FAILED;
    if (!context || !EVP_DigestVerifyInit_ex(context, &parameters, hash, libctx(), NULL, pkey, NULL) ||
        !set_padding(parameters, alg) || EVP_DigestVerify(context, sig->data, sig->len, message, len) != 1)
        return fail_crypto("the token's signature does not fit its public key");
    return DONE;
}
