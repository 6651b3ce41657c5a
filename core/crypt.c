/* SPDX-License-Identifier: Apache-2.0 */
/* Private operations: check what is asked, let the token do it, verify the first signature of each kind, and one now
 * and then; where the token cannot pad, or pads otherwise than asked, pad for it. */
#include "encode.h"
#include "error.h"
#include "key.h"
#include "log.h"
#include "login.h"
#include "rsapad.h"

/* What is asked of a token; opening is told by run(). */
struct operation {
    struct hx_key *key;
    struct token *token;
    hx_op *op;
    const char *what;
    const struct hx_alg *alg;
    const void *in;
    size_t in_len;
    unsigned opening;
    bool reached; /* the token has the key, and was asked */
    bool wants_pin; /* it was not asked yet: the key wants the PIN for each operation */
    struct sink out;
};

static size_t width_of(const struct hx_key *key)
{
    return key_width(key->object.info.type, key->object.info.bits);
}

static int operate(struct operation *operation, void *object)
{
    operation->opening = kinds_opening(&operation->key->kinds);
    operation->reached = true;
    bytes_reset(&operation->out.bytes);
    return operation->op(object, operation->alg, operation->in, operation->in_len, &operation->out.api);
}

/* What the token knows as right may have become wrong: forked workers lose one try by that, and not one each.  It may
 * be another key's in its place, too: the next signature is verified. */
static int operate_unasked(struct operation *operation, void *object)
{
    struct hx_key *key = operation->key;
    uint64_t tag = atomic_load(&key->own_tag);

    if (!login_tag_is_refused(tag)) {
        int result = operate(operation, object);

        if (result != HX_E_PIN || !atomic_load(&key->own_auth))
            return result;
        login_tag_refused(tag);
    }
    kinds_forget(&key->kinds);
    return HX_E_LOGIN;
}

static int step(struct token *token, void *arg)
{
    struct operation *operation = arg;
    void *object;
    int result = key_object_now(token, operation->key, &object);

    if (result)
        return result;
    operation->wants_pin = atomic_load(&operation->key->always_auth);
    if (!operation->wants_pin)
        result = operate_unasked(operation, object);
    if (result != HX_E_LOGIN || !atomic_load(&operation->key->own_auth))
        return result;
    operation->wants_pin = true;
    return HX_OK;
}

static int step_with_pin(struct token *token, void *arg, const void *pin, size_t len)
{
    const struct hx_plugin *table = token_table(token);
    struct operation *operation = arg;
    void *object;
    int result = key_object_now(token, operation->key, &object);

    if (result)
        return result;
    if (!table->authorise)
        return hx_error(HX_E_UNSUPPORTED, "the key wants its PIN each time, which plugin '%s' cannot give",
                        table->name);
    result = table->authorise(object, pin, len);
    return result ? result : operate(operation, object);
}

/* A key with a PIN of its own is known by its public key: another in its place may have another PIN. */
static int run_with_pin(struct operation *operation)
{
    struct hx_key *key = operation->key;
    const struct hx_bytes *name = key->spki.len ? &key->spki : &key->ref;

    return token_authorised(key->hx, operation->token, atomic_load(&key->own_auth) ? name : NULL, step_with_pin,
                            operation, &key->own_tag);
}

/* No plugin's word is taken for how long its result is: callers have room for that much, and rely on no less. */
static int check_length(const struct hx_key *key, const struct hx_alg *alg, size_t len)
{
    size_t width = width_of(key), wanted = len;

    if (alg->scheme == HX_HMAC)
        wanted = hash_size(alg->hash);
    else if (alg->scheme == HX_ECDH || (alg->scheme == HX_RSA_OAEP && width && len > width))
        wanted = width;
    else if (alg->scheme == HX_EDDSA)
        wanted = 2 * width;
    return len == wanted ? HX_OK : hx_error(HX_E_DEVICE, "its result has %zu bytes, not %zu", len, wanted);
}

static int run(struct operation *operation, struct hx_bytes *ret)
{
    struct hx_key *key = operation->key;
    const char *name = token_name(operation->token);
    size_t width = width_of(key);
    int result;

    if (!operation->op)
        return hx_error(HX_E_UNSUPPORTED, "token '%s': plugin '%s' cannot %s", name,
                        token_table(operation->token)->name, operation->what);
    sink_init(&operation->out);
    result = token_call(key->hx, operation->token, step, operation, 0);
    if (!result && operation->wants_pin)
        result = run_with_pin(operation);
    /* Some tokens cut a number's leading zeroes; a plaintext is no number. */
    if (!result && key->object.info.type == HX_RSA && operation->alg->scheme != HX_RSA_OAEP && width)
        result = number_widen(&operation->out.bytes, width);
    if (!result)
        result = check_length(key, operation->alg, operation->out.bytes.len);
    if (result) {
        sink_free(&operation->out);
        hx_error_in(result, "token '%s': %s", name, operation->what);
        return operation->reached && result != HX_E_PIN ? result : log_unreachable(result);
    }
    bytes_move(ret, &operation->out.bytes);
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

/* Of RSA: what has to be as wide as the modulus, and what has to fit into it (RFC 8017 §9.1.1: into a bit less). */
static int check_width(const struct hx_key *key, const struct hx_alg *alg, size_t in_len)
{
    size_t width = width_of(key), room = ((size_t)key->object.info.bits + 6) / 8, hash = hash_size(alg->hash);

    if ((alg->scheme == HX_RSA_RAW || alg->scheme == HX_RSA_OAEP) && in_len != width)
        return hx_error(HX_E_INVALID, "'%s': the %s has %zu bytes, where the key has %zu", key->address,
                        alg->scheme == HX_RSA_OAEP ? "ciphertext" : "input", in_len, width);
    if (alg->scheme == HX_RSA_PSS && (room < hash + 2 || alg->salt_len > room - hash - 2))
        return hx_error(HX_E_INVALID, "'%s': a salt of %u bytes is too long for a key of %u bits", key->address,
                        (unsigned)alg->salt_len, (unsigned)key->object.info.bits);
    return HX_OK;
}

static int check(const struct hx_key *key, const struct hx_alg *alg, size_t in_len, bool signs)
{
    const struct hx_object *info = &key->object.info;
    size_t i = 0;

    while (i < sizeof schemes / sizeof *schemes && schemes[i].scheme != alg->scheme)
        i++;
    if (i == sizeof schemes / sizeof *schemes || !spare_is_zero(alg) ||
        (alg->param.len && alg->scheme != HX_RSA_OAEP) || (schemes[i].signs != signs && alg->scheme != HX_RSA_RAW))
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
    return info->type == HX_RSA && info->bits ? check_width(key, alg, in_len) : HX_OK;
}

/* The public key of some is unknown: nothing can be verified then, and the token's word is taken for the salt too. */
static int verify_first(const struct operation *asked, enum padder padder, unsigned opening, const struct hx_bytes *sig,
                        int *ret_salt)
{
    struct hx_key *key = asked->key;
    const struct hx_alg *alg = asked->alg;
    bool known = kinds_known(&key->kinds, alg, padder, opening);
    int result;

    if (!key->spki.len || alg->scheme == HX_RSA_RAW || alg->scheme == HX_HMAC || (known && !kinds_stale(&key->kinds)))
        return HX_OK;
    if ((result = token_hold(asked->token)))
        return result;
    result =
        encode_verify_salt(key->spki.data, key->spki.len, alg, asked->in, asked->in_len, sig->data, sig->len, ret_salt);
    token_let_go(asked->token);
    if (result && known)
        hx_error_in(result, "another key may have taken the place of ours");
    if (result)
        return hx_error_in(result, "token '%s': '%s'", token_name(asked->token), key->address);
    kinds_note(&key->kinds, alg, padder, opening);
    kinds_looked(&key->kinds);
    return HX_OK;
}

/* One way to do what is asked; *ret_cannot, always set, says whether it failed for that the token has no such way. */
typedef int way(struct operation *asked, struct hx_bytes *ret, bool *ret_cannot);

static int sign_by_token(struct operation *asked, struct hx_bytes *ret, bool *ret_cannot)
{
    AUTO_BYTES struct hx_bytes raw = { 0 };
    AUTO_BYTES struct hx_bytes sig = { 0 };
    int salt = -1, result = run(asked, &raw);

    *ret_cannot = result == HX_E_UNSUPPORTED && asked->op;
    if (result)
        return result;
    if (asked->alg->scheme != HX_ECDSA)
        bytes_move(&sig, &raw);
    else if ((result = raw.len == 2 * width_of(asked->key)
                           ? encode_ecdsa(raw.data, raw.len, &sig)
                           : hx_error(HX_E_DEVICE, "its signature has %zu bytes", raw.len)))
        return hx_error_in(result, "token '%s': sign", token_name(asked->token));
    result = verify_first(asked, BY_TOKEN, asked->opening, &sig, &salt);
    *ret_cannot = salt >= 0; /* what fits with no salt at all is no signature, and never mended */
    if (!result)
        bytes_move(ret, &sig);
    return result;
}

static int pss_by_core(struct operation *asked, struct hx_bytes *ret, bool *ret_cannot)
{
    AUTO_BYTES struct hx_bytes block = { 0 };
    AUTO_BYTES struct hx_bytes sig = { 0 };
    const struct hx_alg raw = { .scheme = HX_RSA_RAW };
    struct operation operation = {
        .key = asked->key, .token = asked->token, .op = asked->op, .what = asked->what, .alg = &raw
    };
    int result = check(asked->key, &raw, width_of(asked->key), true), salt;

    *ret_cannot = result == HX_E_UNSUPPORTED; /* a key that is made for another scheme alone */
    if (result)
        return result;
    if ((result = pss_encode(asked->key->object.info.bits, asked->alg, asked->in, &block)))
        return hx_error_in(result, "'%s'", asked->key->address);
    operation.in = block.data;
    operation.in_len = block.len;
    result = run(&operation, &sig);
    *ret_cannot = result == HX_E_UNSUPPORTED;
    if (result || (result = verify_first(asked, BY_CORE, operation.opening, &sig, &salt)))
        return result;
    bytes_move(ret, &sig);
    return HX_OK;
}

static int oaep_by_token(struct operation *asked, struct hx_bytes *ret, bool *ret_cannot)
{
    int result = run(asked, ret);

    *ret_cannot = result == HX_E_UNSUPPORTED && asked->op;
    return result;
}

static int oaep_by_core(struct operation *asked, struct hx_bytes *ret, bool *ret_cannot)
{
    AUTO_BYTES struct hx_bytes block = { 0 };
    const struct hx_alg raw = { .scheme = HX_RSA_RAW };
    struct operation operation = { .key = asked->key,
                                   .token = asked->token,
                                   .op = asked->op,
                                   .what = asked->what,
                                   .alg = &raw,
                                   .in = asked->in,
                                   .in_len = asked->in_len };
    int result = check(asked->key, &raw, asked->in_len, false);

    *ret_cannot = result == HX_E_UNSUPPORTED;
    if (result)
        return result;
    result = run(&operation, &block);
    *ret_cannot = result == HX_E_UNSUPPORTED;
    if (result)
        return result;
    kinds_note(&asked->key->kinds, asked->alg, BY_CORE, operation.opening);
    if ((result = number_widen(&block, asked->in_len)) ||
        (result = oaep_decode(asked->alg, block.data, block.len, ret)))
        return hx_error_in(result, "token '%s': decrypt", token_name(asked->token));
    return HX_OK;
}

/* The token shall pad if it can; what it was found unable to is not asked of it again.  What is remembered may be of
 * the token before this one, or of our parent's: then the core pads on, or, where that fails, the token is asked anew.
 */
static int with_padding(struct operation *asked, way *by_token, way *by_core, const char *instead, struct hx_bytes *ret)
{
    struct kinds *kinds = &asked->key->kinds;
    char why[768];
    bool cannot;
    int result;

    if (kinds_known(kinds, asked->alg, BY_CORE, kinds_opening(kinds))) {
        result = by_core(asked, ret, &cannot);
        if (!cannot)
            return result;
    }
    result = by_token(asked, ret, &cannot);
    if (!cannot)
        return result;
    snprintf(why, sizeof why, "%s", hx_last_error());
    result = by_core(asked, ret, &cannot);
    if (cannot)
        return hx_error(HX_E_UNSUPPORTED, "%s; nor can it do raw RSA, for hsmux to pad in its place: %s", why, instead);
    if (!result)
        hx_log(LOG_INFO, "%s; hsmux pads in its place", why);
    return result;
}

int hx_sign(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct operation asked = { .key = key, .what = "sign", .alg = alg, .in = in, .in_len = in_len };
    size_t width = width_of(key);
    bool cannot;
    int result;

    if ((result = check(key, alg, in_len, true)) || (result = key_token(key, &asked.token)))
        return result;
    asked.op = token_table(asked.token)->sign;
    if (alg->scheme == HX_ECDSA && in_len > width)
        asked.in_len = width; /* FIPS 186-4 §6.4: the leftmost bits */
    if (alg->scheme != HX_RSA_PSS)
        return sign_by_token(&asked, ret, &cannot);
    return with_padding(&asked, sign_by_token, pss_by_core,
                        "TLS 1.3 wants a P-256 key then, TLS 1.2 `SignatureAlgorithms = RSA+SHA256`", ret);
}

int hx_decrypt(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct operation asked = { .key = key, .what = "decrypt", .alg = alg, .in = in, .in_len = in_len };
    int result;

    if ((result = check(key, alg, in_len, false)) || (result = key_token(key, &asked.token)))
        return result;
    asked.op = token_table(asked.token)->decrypt;
    if (alg->scheme != HX_RSA_OAEP)
        return run(&asked, ret);
    return with_padding(&asked, oaep_by_token, oaep_by_core,
                        "have it encrypted with SHA-1 and no label, which most tokens know", ret);
}

int hx_derive(struct hx_key *key, const struct hx_alg *alg, const void *in, size_t in_len, struct hx_bytes *ret)
{
    struct operation asked = { .key = key, .what = "derive", .alg = alg, .in = in, .in_len = in_len };
    size_t width = width_of(key);
    int result;

    if ((result = check(key, alg, in_len, false)) || (result = key_token(key, &asked.token)))
        return result;
    if (in_len != 2 * width + 1)
        return hx_error(HX_E_INVALID, "'%s': the peer's point has %zu bytes, not %zu", key->address, in_len,
                        2 * width + 1);
    asked.op = token_table(asked.token)->derive;
    return run(&asked, ret);
}
