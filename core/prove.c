/* SPDX-License-Identifier: Apache-2.0 */
/* Whose public key is this?  A test signature tells, where a token does not. */
#include "encode.h"
#include "error.h"
#include "key.h"

/* A key that is made for one scheme or hash alone is tried with these. */
static struct hx_alg proof_alg(const struct hx_object *info)
{
    struct hx_alg alg = { .scheme = info->scheme, .hash = info->hash ? info->hash : HX_SHA256 };

    if (!alg.scheme)
        alg.scheme = info->type == HX_RSA ? HX_RSA_PKCS1 : info->type == HX_ED25519 ? HX_EDDSA : HX_ECDSA;
    if (alg.scheme == HX_EDDSA)
        alg.hash = 0;
    if (alg.scheme == HX_RSA_PSS)
        alg.salt_len = (uint32_t)hash_size(alg.hash);
    return alg;
}

int key_prove_public(struct hx_key *key, const void *spki, size_t len)
{
    static const unsigned char digest[64] = "hsmux: whose public key is this?  The one that verifies this sig";
    AUTO_BYTES struct hx_bytes sig = { 0 };
    const struct hx_alg alg = proof_alg(&key->object.info);
    size_t digest_len = alg.hash ? hash_size(alg.hash) : sizeof digest;
    struct hx_object claimed = { 0 };
    int result, salt = -1;

    if ((result = decode_spki(spki, len, &claimed)))
        return result;
    if (claimed.type != key->object.info.type)
        return hx_error(HX_E_NOT_FOUND, "another type of key");
    if ((result = hx_sign(key, &alg, digest, digest_len, &sig)))
        return result;
    /* Another salt than asked for proves the key as well; the first signature for an application will be looked at. */
    if (encode_verify_salt(spki, len, &alg, digest, digest_len, sig.data, sig.len, &salt) && salt < 0)
        return hx_error(HX_E_NOT_FOUND, "'%s' has another public key", key->address);
    return bytes_append(&key->spki, spki, len);
}
