/* SPDX-License-Identifier: Apache-2.0 */
/* Private operations: check what is asked, let the token do it, verify the first signature of each kind. */
#include "encode.h"
#include "error.h"
#include "key.h"

struct operation {
    struct hx_key *key;
    hx_op *op;
    const struct hx_alg *alg;
    const void *in;
    size_t in_len;
    struct sink out;
};

static int step(struct token *token, void *arg)
{
    struct operation *operation = arg;
    void *object;
    int result = key_object_now(token, operation->key, &object);

    if (result)
        return result;
    bytes_reset(&operation->out.bytes);
    return operation->op(object, operation->alg, operation->in, operation->in_len, &operation->out.api);
}

static int run(struct hx_key *key, struct token *token, hx_op *op, const char *what, const struct hx_alg *alg,
               const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct operation operation = { .key = key, .op = op, .alg = alg, .in = in, .in_len = in_len };
    int result;

    if (!op)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' cannot %s", token_name(token),
                        token_table(token)->name, what);
    sink_init(&operation.out);
    result = token_call(key->hx, token, step, &operation, 0);
    if (result) {
        sink_free(&operation.out);
        return hx_error_in(result, "token '%s': %s", token_name(token), what);
    }
    bytes_move(ret, &operation.out.bytes);
    return HX_OK;
}

static const struct {
    uint32_t scheme;
    const char *name;
    uint32_t first_type, last_type; /* of keys that can do it */
    bool hash_needed; /* the input is a digest of that hash */
    bool signs;
} schemes[] = {
    { HX_RSA_PKCS1, "RSA PKCS#1", HX_RSA, HX_RSA, false, true },
    { HX_RSA_PSS, "RSA-PSS", HX_RSA, HX_RSA, true, true },
    { HX_RSA_RAW, "raw RSA", HX_RSA, HX_RSA, false, true },
    { HX_ECDSA, "ECDSA", HX_P256, HX_P521, false, true },
    { HX_EDDSA, "EdDSA", HX_ED25519, HX_ED25519, false, true },
    { HX_HMAC, "HMAC", HX_GENERIC, HX_GENERIC, true, true },
    { HX_RSA_OAEP, "RSA-OAEP", HX_RSA, HX_RSA, true, false },
    { HX_ECDH, "ECDH", HX_P256, HX_P521, false, false },
};

static bool spare_is_zero(const struct hx_alg *alg)
{
    for (size_t i = 0; i < sizeof alg->spare / sizeof *alg->spare; i++)
        if (alg->spare[i])
            return false;
    return true;
}

static bool is_digest(const struct hx_alg *alg)
{
    return alg->scheme == HX_RSA_PKCS1 || alg->scheme == HX_RSA_PSS || alg->scheme == HX_ECDSA;
}

static int check(const struct hx_key *key, const struct hx_alg *alg, size_t in_len, bool signs)
{
    const struct hx_object *info = &key->object.info;
    size_t i = 0;

    while (i < sizeof schemes / sizeof *schemes && schemes[i].scheme != alg->scheme)
        i++;
    if (i == sizeof schemes / sizeof *schemes || !spare_is_zero(alg) ||
        (schemes[i].signs != signs && alg->scheme != HX_RSA_RAW))
        return hx_error(HX_E_UNSUPPORTED, "'%s': unknown algorithm", key->address);
    if (info->type < schemes[i].first_type || info->type > schemes[i].last_type)
        return hx_error(HX_E_UNSUPPORTED, "'%s' is no key for %s", key->address, schemes[i].name);
    if ((info->scheme && info->scheme != alg->scheme) || (info->hash && alg->hash && info->hash != alg->hash))
        return hx_error(HX_E_UNSUPPORTED, "'%s' is made for another scheme or hash than %s", key->address,
                        schemes[i].name);
    if ((alg->hash && !hash_size(alg->hash)) || (alg->mgf_hash && !hash_size(alg->mgf_hash)) ||
        (schemes[i].hash_needed && !alg->hash))
        return hx_error(HX_E_UNSUPPORTED, "'%s': unknown hash", key->address);
    if (is_digest(alg) && alg->hash && in_len != hash_size(alg->hash))
        return hx_error(HX_E_INVALID, "'%s': the digest has %zu bytes, not %zu", key->address, in_len,
                        hash_size(alg->hash));
    return HX_OK;
}

/* One number for each kind of signature; never 0. */
static uint64_t kind_of(const struct hx_alg *alg)
{
    uint32_t mgf = alg->mgf_hash ? alg->mgf_hash : alg->hash;

    return (uint64_t)alg->scheme | (uint64_t)(alg->hash & 0xff) << 8 | (uint64_t)(mgf & 0xff) << 16 |
           (uint64_t)alg->salt_len << 32;
}

static bool was_verified(struct hx_key *key, uint64_t kind)
{
    for (size_t i = 0; i < sizeof key->verified / sizeof *key->verified; i++)
        if (atomic_load_explicit(&key->verified[i], memory_order_relaxed) == kind)
            return true;
    return false;
}

static void note_verified(struct hx_key *key, uint64_t kind)
{
    for (size_t i = 0; i < sizeof key->verified / sizeof *key->verified; i++) {
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&key->verified[i], &none, kind) || none == kind)
            return;
    }
}

void key_forget_verified(struct hx_key *key)
{
    for (size_t i = 0; i < sizeof key->verified / sizeof *key->verified; i++)
        atomic_store(&key->verified[i], 0);
}

static int verify_first(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len,
                        const struct hx_bytes *sig)
{
    uint64_t kind = kind_of(alg);
    int result;

    if (!key->spki.len || alg->scheme == HX_RSA_RAW || alg->scheme == HX_HMAC || was_verified(key, kind))
        return HX_OK;
    result = encode_verify(key->spki.data, key->spki.len, alg, in, in_len, sig->data, sig->len);
    if (!result)
        note_verified(key, kind);
    return result;
}

int hx_sign(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    AUTO_BYTES struct hx_bytes raw = { 0 };
    AUTO_BYTES struct hx_bytes sig = { 0 };
    struct token *token;
    size_t width = key_width(key->object.info.type, key->object.info.bits);
    size_t used = alg->scheme == HX_ECDSA && in_len > width ? width : in_len; /* FIPS 186-4 §6.4: the leftmost bits */
    int result;

    if ((result = check(key, alg, in_len, true)) || (result = key_token(key, &token)) ||
        (result = run(key, token, token_table(token)->sign, "sign", alg, in, used, &raw)))
        return result;
    if (alg->scheme != HX_ECDSA)
        bytes_move(&sig, &raw);
    else if ((result = raw.len == 2 * width ? encode_ecdsa(raw.data, raw.len, &sig)
                                            : hx_error(HX_E_DEVICE, "its signature has %zu bytes", raw.len)))
        return hx_error_in(result, "token '%s': sign", token_name(token));
    if ((result = verify_first(key, alg, in, used, &sig)))
        return hx_error_in(result, "token '%s': '%s'", token_name(token), key->address);
    bytes_move(ret, &sig);
    return HX_OK;
}

int hx_decrypt(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct token *token;
    int result;

    if ((result = check(key, alg, in_len, false)) || (result = key_token(key, &token)))
        return result;
    return run(key, token, token_table(token)->decrypt, "decrypt", alg, in, in_len, ret);
}

int hx_derive(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct token *token;
    size_t width = key_width(key->object.info.type, key->object.info.bits);
    int result;

    if ((result = check(key, alg, in_len, false)) || (result = key_token(key, &token)))
        return result;
    if (in_len != 2 * width + 1)
        return hx_error(HX_E_INVALID, "'%s': the peer's point has %zu bytes, not %zu", key->address, in_len,
                        2 * width + 1);
    return run(key, token, token_table(token)->derive, "derive", alg, in, in_len, ret);
}

int key_prove_public(struct hx_key *key, const void *spki, size_t len)
{
    static const unsigned char digest[32] = "hsmux: whose public key is this?";
    AUTO_BYTES struct hx_bytes sig = { 0 };
    struct hx_object claimed = { 0 };
    struct hx_alg alg = { .hash = HX_SHA256 };
    uint32_t type = key->object.info.type;
    int result;

    if ((result = decode_spki(spki, len, &claimed)))
        return result;
    if (claimed.type != type)
        return hx_error(HX_E_NOT_FOUND, "another type of key");
    alg.scheme = type == HX_RSA ? HX_RSA_PKCS1 : type == HX_ED25519 ? HX_EDDSA : HX_ECDSA;
    if (type == HX_ED25519)
        alg.hash = 0;
    if ((result = hx_sign(key, &alg, digest, sizeof digest, &sig)))
        return result;
    if (encode_verify(spki, len, &alg, digest, sizeof digest, sig.data, sig.len))
        return hx_error(HX_E_NOT_FOUND, "'%s' has another public key", key->address);
    return bytes_append(&key->spki, spki, len);
}
