/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux sign, and what every signature of the tool goes through: the choice of scheme and hash, and the hashing. */
#include "tool.h"

#include <stdio.h>
#include <string.h>

static uint32_t usual_hash(uint32_t type)
{
    if (type == HX_P384)
        return HX_SHA384;
    return type == HX_P521 ? HX_SHA512 : HX_SHA256;
}

static uint32_t usual_scheme(const struct hx_object *key, bool pss)
{
    switch (key->type) {
    case HX_RSA:
        return pss ? HX_RSA_PSS : HX_RSA_PKCS1;
    case HX_P256:
    case HX_P384:
    case HX_P521:
        return HX_ECDSA;
    case HX_ED25519:
        return HX_EDDSA;
    case HX_GENERIC:
        return HX_HMAC;
    default:
        return 0;
    }
}

static uint32_t digest_size(uint32_t hash)
{
    static const uint32_t sizes[] = { 0, 20, 32, 48, 64 };

    return hash <= HX_SHA512 ? sizes[hash] : 0;
}

int choose_alg(const struct hx_object *key, uint32_t hash, bool pss, struct hx_alg *ret)
{
    struct hx_alg alg = { 0 };

    alg.scheme = key->scheme && !pss ? key->scheme : usual_scheme(key, pss);
    if (!alg.scheme)
        return fail("hsmux does not know how a key of this type signs");
    if (pss && alg.scheme != HX_RSA_PSS)
        return misused("option '--pss' is for RSA keys");
    if (alg.scheme == HX_EDDSA && hash)
        return misused("an Ed25519 key signs the message itself: without '--hash'");
    if (alg.scheme != HX_EDDSA)
        alg.hash = hash ? hash : key->hash ? key->hash : usual_hash(key->type);
    if (alg.scheme == HX_RSA_PSS)
        alg.salt_len = digest_size(alg.hash);
    *ret = alg;
    return DONE;
}

static bool wants_digest(const struct hx_alg *alg)
{
    return alg->scheme != HX_EDDSA && alg->scheme != HX_HMAC;
}

static int sign_bytes(hx_key *key, const struct hx_alg *alg, const void *in, size_t len, struct hx_bytes *ret)
{
    int result;

    progress_start("waiting for the token's signature", NULL);
    result = hx_sign(key, alg, in, len, ret);
    progress_end();
    return result ? fail_hx() : DONE;
}

int sign_message(hx_key *key, const struct hx_alg *alg, const void *message, size_t len, struct hx_bytes *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    AUTO_MD EVP_MD *md = NULL;

    if (!wants_digest(alg))
        return sign_bytes(key, alg, message, len, ret);
    md = EVP_MD_fetch(libctx(), hash_word(alg->hash), NULL);
    if (!md || !EVP_Digest(message, len, digest, &digest_len, md, NULL))
        return fail_crypto("cannot hash");
    return sign_bytes(key, alg, digest, digest_len, ret);
}

/* The key at address; with "hsm:" or "hsm:NAME", the credential's. */
static int sign_input(const struct call *call, hx_key *key, const struct blob *input, struct hx_bytes *ret)
{
    struct hx_object info = { 0 };
    struct hx_alg alg;
    uint32_t hash = 0;
    int status;

    if (hx_key_info(key, &info))
        return fail_hx();
    if (option(call, O_HASH) && parse_hash(option(call, O_HASH), &hash))
        return MISUSED;
    status = choose_alg(&info, hash, option(call, O_PSS) != NULL, &alg);
    if (status)
        return status;
    if (!option(call, O_DIGEST))
        return sign_message(key, &alg, input->data, input->len, ret);
    if (!wants_digest(&alg))
        return misused("this key signs the message itself: without '--digest'");
    if (input->len != digest_size(alg.hash))
        return fail("standard input has %zu bytes, but a %s digest has %u", input->len, hash_word(alg.hash),
                    digest_size(alg.hash));
    return hx_sign(key, &alg, input->data, input->len, ret) ? fail_hx() : DONE;
}

int sign_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_KEY hx_key *key = NULL;
    AUTO_BLOB struct blob input = { 0 };
    AUTO_BYTES struct hx_bytes signature = { 0 };
    uint32_t hash;
    int status;

    if (option(call, O_HASH) && parse_hash(option(call, O_HASH), &hash))
        return MISUSED;
    if (open_context(call, &context))
        return FAILED;
    if (hx_key_open(context, call->arg[0], &key))
        return fail_hx();
    if (read_input("-", &input))
        return FAILED;
    status = sign_input(call, key, &input, &signature);
    return status ? status : emit_binary(call, signature.data, signature.len);
}
