/* SPDX-License-Identifier: Apache-2.0 */
/* A key at work: its slot, its auth value, and the second try where the TPM has lost it. */
#include "auth.h"
#include "room.h"
#include "slot.h"

#include <string.h>

struct use {
    struct tpm_key *key;
    tpm_command *command;
    void *arg;
    const char *what;
    TPM2B_AUTH auth;
    bool given; /* by the core's word */
};

static TSS2_RC say(struct tpm_token *token, const struct use *use, const TPM2B_AUTH *auth, ESYS_TR session)
{
    struct tpm_use with = { .token = token, .esys = token->tpm->esys, .key = use->key->tr, .session = session };
    TSS2_RC rc = Esys_TR_SetAuth(with.esys, with.key, auth);

    if (!rc)
        rc = use->command(&with, use->arg);
    tpm_auth_result(use->key, auth, rc);
    return rc;
}

/* A key with no auth value may be among others that have the PIN: it costs nothing to find out. */
static TSS2_RC say_authorised(struct tpm_token *token, const struct use *use, ESYS_TR session)
{
    static const TPM2B_AUTH none;
    TSS2_RC rc = say(token, use, &use->auth, session);

    return tpm_auth_try_empty(use->key, &use->auth, rc) ? say(token, use, &none, session) : rc;
}

/* A persistent key outlives a reset, one of a key file is loaded anew: the next try will tell. */
static bool is_mended(struct tpm_token *token, struct tpm_key *key, TSS2_RC rc)
{
    bool restarted = tpm_restarted(token, rc);

    if (key->file && (restarted || tpm_is_stale(rc))) {
        tpm_slot_lost(token, key);
        return true;
    }
    return restarted;
}

static int attempt(struct tpm_token *token, void *arg)
{
    struct use *use = arg;
    struct tpm_key *key = use->key;
    ESYS_TR session;
    int result;
    TSS2_RC rc;

    for (bool again = false;; again = true) {
        if ((result = tpm_slot_take(token, key)))
            return result;
        if ((result = tpm_session(token, &session)))
            break;
        rc = say_authorised(token, use, session);
        if (!again && is_mended(token, key, rc))
            continue;
        result = rc ? tpm_auth_fail(token, &use->auth, use->given, rc, use->what) : 0;
        break;
    }
    tpm_slot_leave(token, key);
    return result;
}

int tpm_use(struct tpm_token *token, struct tpm_key *key, tpm_command *command, void *arg, const char *what)
{
    struct use use = { .key = key, .command = command, .arg = arg, .what = what };
    int result = tpm_auth_prepare(token, key, &use.auth);

    use.given = key->auth_state != TPM_AUTH_NONE;
    if (!result)
        result = tpm_with_room(token, attempt, &use);
    tpm_auth_settle(key);
    explicit_bzero(&use.auth, sizeof use.auth);
    return result;
}
