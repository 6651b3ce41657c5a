/* SPDX-License-Identifier: Apache-2.0 */
/* Which auth value a key gets.  A wrong one for a key without noDA counts towards lockout, which shuts out all such
 * keys of the TPM (TPM 2.0 Part 1 §19.8): no value is tried on such a key twice. */
#include "key.h"

#include <string.h>

static bool is_guarded(const struct tpm_key *key)
{
    return !(key->public.publicArea.objectAttributes & TPMA_OBJECT_NODA);
}

static int ask_core(struct tpm_token *token, struct tpm_key *key, const char *why)
{
    token->unproven = key;
    return hx_fail(token->host, HX_E_LOGIN, "%s", why);
}

/* May the empty auth value be tried on it?  Most keys have that one, and only trying tells.  While none counts as wrong
 * one try cannot lock a TPM; else the core shall say whether it was tried before. */
static int check_empty(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_lockout state;
    int result;

    if (token->logged_in || !is_guarded(key))
        return 0;
    if ((result = tpm_lockout(token, &state)))
        return result;
    if (!state.failures && !state.locked && state.most > 1)
        return 0;
    return ask_core(token, key, "whether the key's auth value is empty was not tried yet");
}

/* Where a PIN is set the core could offer that one only.  A TPM that lost its power while a key without noDA was in use
 * counts a wrong value, too: so some must be allowed. */
int tpm_auth_empty(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_lockout state;
    int result;

    if (key->proven || !is_guarded(key))
        return 0;
    if (!token->wants_pin && (!token->logged_in || !token->auth.size))
        return check_empty(token, key);
    if ((result = tpm_lockout(token, &state)))
        return result;
    if (!state.locked && state.most > 1 && (!state.failures || state.failures < state.most / 2))
        return 0;
    return hx_fail(token->host, HX_E_LOCKED,
                   "that the key's auth value is empty is not tried while %u wrong ones count: wait, %u s for each, or "
                   "say `tpm2_dictionarylockout --clear-lockout`",
                   state.failures, state.seconds);
}

static bool same(const TPM2B_AUTH *a, const TPM2B_AUTH *b)
{
    return a->size == b->size && !memcmp(a->buffer, b->buffer, a->size);
}

static int choose(struct tpm_token *token, struct tpm_key *key, TPM2B_AUTH *ret)
{
    if (key->no_auth)
        return tpm_auth_empty(token, key);
    if (token->logged_in && (token->auth.size || token->wants_pin)) {
        *ret = token->auth;
        return 0;
    }
    if (token->wants_pin || key->wants_auth)
        return ask_core(token, key, "the key's auth value is needed");
    return check_empty(token, key);
}

int tpm_auth_prepare(struct tpm_token *token, struct tpm_key *key, TPM2B_AUTH *ret)
{
    int result;

    *ret = (TPM2B_AUTH){ 0 };
    result = choose(token, key, ret);
    if (!result && key->refused && is_guarded(key) && same(&key->refused_auth, ret))
        return hx_fail(token->host, HX_E_PIN, "the key's auth value (its PIN) is another, as was seen before");
    return result;
}

static bool is_wrong_auth(TSS2_RC rc)
{
    return tpm_rc(rc) == TPM2_RC_AUTH_FAIL || tpm_rc(rc) == TPM2_RC_BAD_AUTH;
}

bool tpm_auth_try_empty(const struct tpm_key *key, const TPM2B_AUTH *auth, TSS2_RC rc)
{
    return is_wrong_auth(rc) && auth->size && !is_guarded(key) && !key->wants_auth && !key->proven;
}

void tpm_auth_result(struct tpm_key *key, const TPM2B_AUTH *auth, TSS2_RC rc)
{
    if (!rc) {
        key->proven = true;
        key->no_auth = key->no_auth || !auth->size;
    } else if (is_wrong_auth(rc)) {
        key->proven = false;
        key->refused = true;
        key->refused_auth = *auth;
    }
}
