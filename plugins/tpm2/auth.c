/* SPDX-License-Identifier: Apache-2.0 */
/* The auth value that goes with a command on a key.  A wrong one for a key without noDA counts towards lockout, which
 * shuts out all such keys of the TPM (TPM 2.0 Part 1 §19.8): the core says whether it may be tried, and that is for
 * each key once among all processes. */
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

/* The core has no memory for these.  A TPM that lost its power while a key without noDA was in use counts a wrong
 * value, too: so some must be allowed, and the last ones are left to others. */
int tpm_auth_empty(struct tpm_token *token, struct tpm_key *key)
{
    struct tpm_lockout state;
    int result;

    if (key->auth_state == TPM_AUTH_PROVEN || !tpm_is_guarded(key))
        return 0;
    if ((result = tpm_lockout(token, &state)))
        return result;
    if (!state.locked && state.failures + 1 < state.most && (state.failures < 2 || state.failures < state.most / 2))
        return 0;
    return hx_fail(token->host, HX_E_LOCKED,
                   "that the key's auth value is empty is not tried while %u wrong ones count: wait, %u s for each, or "
                   "say `tpm2_dictionarylockout --clear-lockout`",
                   state.failures, state.seconds);
}

static bool is_given(const struct tpm_key *key)
{
    return key->auth_state == TPM_AUTH_PROVEN ||
           (key->auth_state == TPM_AUTH_GIVEN && pthread_equal(key->auth_by, pthread_self()));
}

int tpm_auth_prepare(struct tpm_token *token, struct tpm_key *key, TPM2B_AUTH *ret)
{
    *ret = (TPM2B_AUTH){ 0 };
    if (is_given(key))
        *ret = key->auth;
    else if (tpm_is_guarded(key) || key->wants_auth || (token->wants_pin && !key->no_auth))
        return hx_fail(token->host, HX_E_LOGIN, "the key's auth value was not tried yet");
    return 0;
}

int tpm_auth_too_long(struct tpm_token *token)
{
    return hx_fail(token->host, HX_E_PIN, "no auth value of a TPM is longer than %zu bytes", sizeof token->auth.buffer);
}

int tpm_auth_give(struct tpm_token *token, struct tpm_key *key, const void *pin, size_t len)
{
    if (len > sizeof key->auth.buffer)
        return tpm_auth_too_long(token);
    key->auth = (TPM2B_AUTH){ .size = (UINT16)len };
    if (len)
        memcpy(key->auth.buffer, pin, len);
    key->auth_state = TPM_AUTH_GIVEN;
    key->auth_by = pthread_self();
    return 0;
}

static void forget(struct tpm_key *key)
{
    explicit_bzero(&key->auth, sizeof key->auth);
    key->auth_state = TPM_AUTH_NONE;
}

bool tpm_auth_try_empty(const struct tpm_key *key, const TPM2B_AUTH *auth, TSS2_RC rc)
{
    return tpm_is_wrong_auth(rc) && auth->size && !tpm_is_guarded(key) && !key->wants_auth &&
           key->auth_state != TPM_AUTH_PROVEN;
}

void tpm_auth_result(struct tpm_key *key, const TPM2B_AUTH *auth, TSS2_RC rc)
{
    if (!rc) {
        key->auth = *auth;
        key->auth_state = TPM_AUTH_PROVEN;
    } else if (tpm_is_wrong_auth(rc)) {
        key->wants_auth = key->wants_auth || !auth->size;
        key->no_auth = key->no_auth && auth->size;
        forget(key);
    }
}

void tpm_auth_settle(struct tpm_key *key)
{
    if (key->auth_state == TPM_AUTH_GIVEN && pthread_equal(key->auth_by, pthread_self()))
        forget(key);
}

int tpm_auth_fail(struct tpm_token *token, const TPM2B_AUTH *auth, bool given, TSS2_RC rc, const char *what)
{
    if (!tpm_is_wrong_auth(rc) || auth->size)
        return tpm_fail(token, rc, what);
    return hx_fail(token->host, given ? HX_E_PIN : HX_E_LOGIN, "%s: the key's auth value (its PIN) is not empty", what);
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
    if (key->auth_state == TPM_AUTH_PROVEN && key->auth.size == len && !memcmp(key->auth.buffer, len ? pin : "", len))
        return 0;
    if (key->no_auth) /* its file says so */
        len = 0;
    else if (!len && key->wants_auth)
        return hx_fail(token->host, HX_E_PIN, "the key's auth value (its PIN) is not empty");
    if (tpm_is_guarded(key) && (result = check_tries(token, len)))
        return result;
    return tpm_auth_give(token, key, pin, len);
}
