/* SPDX-License-Identifier: Apache-2.0 */
/* The auth value that goes with a command on a key.  Most keys have the empty one, and only trying tells; where a wrong
 * one counts towards lockout, the core says whether it may be tried: for each key once among all processes. */
#include "auth.h"

#include <string.h>

bool tpm_is_guarded(const struct tpm_key *key)
{
    return !(key->public.publicArea.objectAttributes & TPMA_OBJECT_NODA);
}

bool tpm_is_wrong_auth(TSS2_RC rc)
{
    return tpm_rc(rc) == TPM2_RC_AUTH_FAIL || tpm_rc(rc) == TPM2_RC_BAD_AUTH;
}

/* Sealed data and storage keys are not what the core knows as keys: they have the token's PIN, or none. */
static bool is_shown(const struct tpm_key *key)
{
    struct hx_object info;

    return tpm_public_facts(&key->public.publicArea, &info) && info.flags & HX_OWN_AUTH;
}

int tpm_auth_of(struct tpm_token *token, struct tpm_key *key, TPM2B_AUTH *ret)
{
    static const TPM2B_AUTH empty;

    if (key->no_auth) {
        *ret = empty;
        return 0;
    }
    if (key->auth_state == TPM_AUTH_PROVEN ||
        (key->auth_state == TPM_AUTH_GIVEN && pthread_equal(key->auth_by, pthread_self()))) {
        *ret = key->auth;
        return 0;
    }
    if (token->logged_in && !is_shown(key)) {
        *ret = token->auth;
        return 0;
    }
    if (!token->wants_pin && !key->wants_auth && !tpm_is_guarded(key)) {
        *ret = empty;
        return 0;
    }
    token->unproven = key;
    return hx_fail(token->host, HX_E_LOGIN, "the key's auth value was not tried yet");
}

/* For a storage key, which the PIN is not meant for. */
int tpm_check_empty(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_lockout state;
    int result;

    if (key->no_auth || token->logged_in || !tpm_is_guarded(key))
        return 0;
    if (token->wants_pin) {
        result = tpm_lockout(token, &state);
        return result || state.locked || state.failures + 1 < state.most
                   ? result
                   : hx_fail(token->host, HX_E_LOCKED,
                             "whether the storage key's auth value is empty cannot be tried: one more wrong one would "
                             "lock the TPM");
    }
    token->unproven = key;
    return hx_fail(token->host, HX_E_LOGIN, "whether the key's auth value is empty was not tried yet");
}

int tpm_auth_give(struct tpm_token *token, struct tpm_key *key, const void *pin, size_t len)
{
    if (len > sizeof key->auth.buffer)
        return hx_fail(token->host, HX_E_PIN, "no auth value of a TPM is longer than %zu bytes",
                       sizeof key->auth.buffer);
    tpm_auth_forget(key);
    key->auth.size = (UINT16)len;
    if (len)
        memcpy(key->auth.buffer, pin, len);
    key->auth_state = TPM_AUTH_GIVEN;
    key->auth_by = pthread_self();
    return 0;
}

void tpm_auth_forget(struct tpm_key *key)
{
    explicit_bzero(&key->auth, sizeof key->auth);
    key->auth_state = TPM_AUTH_NONE;
}

int tpm_auth_result(struct tpm_token *token, struct tpm_key *key, const TPM2B_AUTH *auth, TSS2_RC rc, const char *what)
{
    bool tried_freely = key->auth_state == TPM_AUTH_NONE && !auth->size;

    if (!rc) {
        if (key->auth_state == TPM_AUTH_GIVEN)
            key->auth_state = TPM_AUTH_PROVEN;
        key->no_auth = key->no_auth || !auth->size;
        return 0;
    }
    if (key->auth_state == TPM_AUTH_GIVEN || tpm_is_wrong_auth(rc))
        tpm_auth_forget(key);
    if (!tpm_is_wrong_auth(rc) || auth->size)
        return tpm_fail(token, rc, what);
    key->no_auth = false;
    key->wants_auth = true;
    return hx_fail(token->host, tried_freely ? HX_E_LOGIN : HX_E_PIN, "%s: the key's auth value (its PIN) is not empty",
                   what);
}

/* What a TPM has counted, others of its users may have done; the last try is not ours to spend. */
static int check_tries(struct tpm_token *token, size_t len)
{
    struct tpm_lockout state;
    int result = tpm_lockout(token, &state);

    if (result)
        return result;
    if (state.locked)
        return tpm_fail(token, TPM2_RC_LOCKOUT, "authorise");
    if (state.failures + 1 < state.most || (!state.failures && len))
        return 0;
    return hx_fail(token->host, HX_E_LOCKED,
                   "the TPM has counted %u wrong auth values, and one more would lock it, so none is sent: it forgets "
                   "one every %u s, and all after `tpm2_dictionarylockout --clear-lockout`",
                   state.failures, state.seconds);
}

int tpm_authorise(struct tpm_object *object, const void *pin, size_t len)
{
    struct tpm_token *token = object->token;
    struct tpm_key *key = object->key;
    int result;

    if (!key)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "it is no key");
    if (!len && key->wants_auth)
        return hx_fail(token->host, HX_E_PIN, "the key's auth value (its PIN) is not empty");
    if (tpm_is_guarded(key) && key->auth_state != TPM_AUTH_PROVEN && !key->no_auth &&
        (result = check_tries(token, len)))
        return result;
    return key->auth_state == TPM_AUTH_PROVEN || key->no_auth ? 0 : tpm_auth_give(token, key, pin, len);
}
