/* SPDX-License-Identifier: Apache-2.0 */
/* Making key pairs on the token, and what all making has in common: which specs are understood, and what happens to
 * an object that bears the same label or id. */
#include "make.h"

#include "curve.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ID_LEN 16

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    return (CK_ATTRIBUTE){ .type = type, .pValue = (void *)(uintptr_t)value, .ulValueLen = len };
}

int p11_check_spec(struct p11_token *token, const struct hx_spec *spec, uint32_t flags)
{
    if (spec->spare[0] || spec->spare[1] || spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1] ||
        spec->flags & ~flags)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' cannot make an object with those properties",
                       token->label);
    if (spec->place)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' has no place '%s': it chooses itself", token->label,
                       spec->place);
    if (spec->id.len > 255 || (spec->label && strlen(spec->label) > 255))
        return hx_fail(token->host, HX_E_INVALID, "label or id is longer than 255 bytes");
    if (p11_token_wants_login(token))
        return hx_fail(token->host, HX_E_LOGIN, "token '%s' makes objects only after login", token->label);
    return 0;
}

/* The old objects of the new one's kind, by label and then by id; those found twice are destroyed once. */
static CK_RV find_old(struct p11_session *session, uint32_t kind, const struct hx_spec *spec, struct p11_handles *ret)
{
    struct p11_want by_label = { .kind = kind,
                                 .label = spec->label,
                                 .label_len = spec->label ? strlen(spec->label) : 0 };
    struct p11_want by_id = { .kind = kind, .id = spec->id.data, .id_len = spec->id.len };
    struct p11_handles more = { 0 };
    CK_OBJECT_HANDLE *joined;
    CK_RV rv = CKR_OK;

    if (by_label.label_len)
        rv = p11_find(session, &by_label, ret);
    if (rv != CKR_OK || !by_id.id_len)
        return rv;
    rv = p11_find(session, &by_id, &more);
    if (rv != CKR_OK)
        return rv;
    joined = reallocarray(ret->handle, ret->count + more.count + 1, sizeof *joined);
    if (joined) {
        for (size_t i = 0; i < more.count; i++)
            joined[ret->count + i] = more.handle[i];
        ret->handle = joined;
        ret->count += more.count;
    }
    free(more.handle);
    return joined ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV p11_find_old(struct p11_session *session, uint32_t kind, const struct hx_spec *spec, struct p11_handles *ret)
{
    struct p11_handles old = { 0 };
    CK_RV rv = find_old(session, kind, spec, &old);

    if (rv == CKR_OK)
        *ret = old;
    else
        free(old.handle);
    return rv;
}

CK_RV p11_destroy(struct p11_session *session, const struct p11_handles *old)
{
    CK_RV rv = CKR_OK;

    session->function = "C_DestroyObject";
    for (size_t i = 0; rv == CKR_OK && i < old->count; i++) {
        rv = session->fn->C_DestroyObject(session->handle, old->handle[i]);
        if (rv == CKR_OBJECT_HANDLE_INVALID) /* it had both label and id, and is gone already */
            rv = CKR_OK;
    }
    return rv;
}

int p11_fail_exists(struct p11_token *token, const struct hx_spec *spec)
{
    static const char *const words[] = { "object", "private key", "public key", "secret key", "certificate", "data" };
    const char *what = spec->kind < sizeof words / sizeof *words ? words[spec->kind] : words[0];

    if (spec->label && *spec->label)
        return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the label '%s'%s", token->label,
                       what, spec->label, spec->id.len ? ", or with the same id" : "");
    return hx_fail(token->host, HX_E_EXISTS, "token '%s' already has a %s with the same id", token->label, what);
}

int p11_put_ref(struct p11_token *token, const struct hx_spec *spec, const void *id, size_t id_len, struct hx_out *out)
{
    struct p11_ref ref = { .kind = spec->kind,
                           .id = id,
                           .id_len = id_len,
                           .label = (const unsigned char *)spec->label,
                           .label_len = spec->label ? strlen(spec->label) : 0 };
    size_t len;
    unsigned char *bytes = p11_ref_write(&ref, &len);
    int r = bytes ? hx_put(out, bytes, len) : hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");

    free(bytes);
    return r;
}

/* What goes into C_GenerateKeyPair. */
struct pair {
    CK_MECHANISM mechanism;
    CK_ATTRIBUTE public[12], private[12];
    CK_ULONG public_count, private_count;
    CK_ULONG bits;
    CK_BYTE exponent[8];
    unsigned char *params; /* for OPENSSL_free() */
    unsigned char id[255];
    size_t id_len;
};

static void to_public(struct pair *pair, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    pair->public[pair->public_count++] = p11_attribute(type, value, len);
}

static void to_private(struct pair *pair, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    pair->private[pair->private_count++] = p11_attribute(type, value, len);
}

static int fill_common(struct p11_token *token, const struct hx_spec *spec, struct pair *ret)
{
    ret->id_len = spec->id.len ? spec->id.len : ID_LEN;
    if (spec->id.len)
        memcpy(ret->id, spec->id.data, spec->id.len);
    else if (getrandom(ret->id, ID_LEN, 0) != ID_LEN)
        return hx_fail(token->host, HX_E_DEVICE, "the system gives no random bytes");
    to_public(ret, CKA_TOKEN, &yes, sizeof yes);
    to_public(ret, CKA_PRIVATE, &no, sizeof no);
    to_public(ret, CKA_VERIFY, &yes, sizeof yes);
    to_public(ret, CKA_ID, ret->id, ret->id_len);
    to_private(ret, CKA_TOKEN, &yes, sizeof yes);
    to_private(ret, CKA_PRIVATE, &yes, sizeof yes);
    to_private(ret, CKA_SENSITIVE, &yes, sizeof yes);
    to_private(ret, CKA_EXTRACTABLE, &no, sizeof no);
    to_private(ret, CKA_ID, ret->id, ret->id_len);
    if (spec->label) {
        to_public(ret, CKA_LABEL, spec->label, strlen(spec->label));
        to_private(ret, CKA_LABEL, spec->label, strlen(spec->label));
    }
    return 0;
}

static void fill_rsa(const struct hx_spec *spec, struct pair *ret)
{
    uint64_t e = spec->rsa_e ? spec->rsa_e : 65537;
    size_t len = 0;

    for (unsigned shift = 64; shift > 0; shift -= 8)
        if (len || (e >> (shift - 8) & 0xff))
            ret->exponent[len++] = (CK_BYTE)(e >> (shift - 8));
    ret->bits = spec->bits ? spec->bits : 2048;
    ret->mechanism.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
    to_public(ret, CKA_MODULUS_BITS, &ret->bits, sizeof ret->bits);
    to_public(ret, CKA_PUBLIC_EXPONENT, ret->exponent, len);
}

static bool fill_curve(const struct hx_spec *spec, bool by_name, struct pair *ret)
{
    size_t len = p11_curve_params(spec->type, by_name, &ret->params);

    ret->mechanism.mechanism = spec->type == HX_ED25519 ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN;
    to_public(ret, CKA_EC_PARAMS, ret->params, len);
    return len > 0;
}

/* A usage of 0 is what such a key usually may: sign, and RSA decrypt, and EC derive. */
static void fill_usage(const struct hx_spec *spec, struct pair *ret)
{
    uint32_t may = HX_SIGN_DIGEST | HX_SIGN_MESSAGE | (spec->type == HX_RSA ? (uint32_t)HX_DECRYPT : 0) |
                   (spec->type != HX_RSA && spec->type != HX_ED25519 ? (uint32_t)HX_DERIVE : 0);
    uint32_t usage = spec->usage ? spec->usage : may;

    to_private(ret, CKA_SIGN, usage & (HX_SIGN_DIGEST | HX_SIGN_MESSAGE) ? &yes : &no, sizeof yes);
    to_private(ret, CKA_DECRYPT, usage & HX_DECRYPT ? &yes : &no, sizeof yes);
    to_private(ret, CKA_DERIVE, usage & HX_DERIVE ? &yes : &no, sizeof yes);
}

static int fill(struct p11_token *token, const struct hx_spec *spec, bool by_name, struct pair *ret)
{
    int r = fill_common(token, spec, ret);

    if (r)
        return r;
    fill_usage(spec, ret);
    if (spec->type == HX_RSA)
        fill_rsa(spec, ret);
    else if (!fill_curve(spec, by_name, ret))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s' makes no keys of type %u", token->label, spec->type);
    return 0;
}

static CK_RV generate(struct p11_session *session, struct pair *pair)
{
    CK_OBJECT_HANDLE public, private;

    session->function = "C_GenerateKeyPair";
    return session->fn->C_GenerateKeyPair(session->handle, &pair->mechanism, pair->public, pair->public_count,
                                          pair->private, pair->private_count, &public, &private);
}

/* The new key is made before the old one goes. */
static CK_RV replace(struct p11_session *session, const struct hx_spec *spec, struct pair *pair, bool *ret_exists)
{
    struct p11_handles private = { 0 }, public = { 0 };
    CK_RV rv;

    rv = p11_find_old(session, HX_PRIVATE_KEY, spec, &private);
    if (rv == CKR_OK)
        rv = p11_find_old(session, HX_PUBLIC_KEY, spec, &public);
    *ret_exists = rv == CKR_OK && private.count + public.count > 0 && !(spec->flags & HX_REPLACE);
    if (rv == CKR_OK && !*ret_exists)
        rv = generate(session, pair);
    if (rv == CKR_OK && !*ret_exists)
        rv = p11_destroy(session, &private);
    if (rv == CKR_OK && !*ret_exists)
        rv = p11_destroy(session, &public);
    free(private.handle);
    free(public.handle);
    return rv;
}

static int try_generate(struct p11_token *token, const struct hx_spec *spec, bool by_name, struct hx_out *out)
{
    struct pair pair = { 0 };
    struct p11_session session;
    bool exists = false;
    int r;

    r = fill(token, spec, by_name, &pair);
    if (!r)
        r = p11_session_take_rw(token, &session);
    if (!r)
        r = p11_session_done(&session, replace(&session, spec, &pair, &exists));
    if (!r)
        r = exists ? p11_fail_exists(token, spec) : p11_put_ref(token, spec, pair.id, pair.id_len, out);
    OPENSSL_free(pair.params);
    return r;
}

int p11_generate(struct p11_token *token, const struct hx_spec *spec, struct hx_out *out)
{
    int r = p11_check_spec(token, spec, HX_REPLACE | HX_IN_HARDWARE);

    if (r)
        return r;
    if (spec->kind != HX_PRIVATE_KEY)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "token '%s': only private keys can be generated", token->label);
    p11_recent_clear(token);
    r = try_generate(token, spec, false, out);
    if (r && r != HX_E_EXISTS && r != HX_E_LOGIN &&
        spec->type == HX_ED25519) /* some modules know the curve by its name only */
        r = try_generate(token, spec, true, out);
    return r;
}
