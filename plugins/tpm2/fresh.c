/* SPDX-License-Identifier: Apache-2.0 */
/* Making and loading a key below its parent (TPM 2.0 Part 3 §12.1 to §12.3, §13.3): nothing of it lasts yet. */
#include "make.h"
#include "parent.h"
#include "turn.h"
#include "wrap.h"

#include <string.h>
#include <tss2/tss2_mu.h>

void tpm_fresh_flush(struct tpm_token *token, struct tpm_fresh *fresh)
{
    if (!atomic_load(&token->tpm->lost))
        Esys_FlushContext(token->tpm->esys, fresh->tr);
    tpm_turn_give(token->tpm);
}

static int name_of(struct tpm_token *token, struct tpm_fresh *fresh)
{
    TPM2B_NAME *name = NULL;
    TSS2_RC rc = Esys_TR_GetName(token->tpm->esys, fresh->tr, &name);

    if (rc)
        return tpm_fail(token, rc, "name the new key");
    fresh->name = *name;
    Esys_Free(name);
    return 0;
}

static int load(struct tpm_token *token, const struct tpm_parent *parent, ESYS_TR session, struct tpm_fresh *fresh)
{
    TSS2_RC rc;
    int result;

    tpm_turn_take(token->tpm); /* until it is flushed */
    rc = Esys_Load(token->tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, &fresh->private, &fresh->public,
                   &fresh->tr);
    if (rc) {
        tpm_turn_give(token->tpm);
        return tpm_parent_fail(token, parent, rc, "load the new key");
    }
    result = name_of(token, fresh);
    if (result)
        tpm_fresh_flush(token, fresh);
    return result;
}

static int create(struct tpm_token *token, const struct tpm_parent *parent, ESYS_TR session,
                  const struct tpm_plan *plan, const TPM2B_PUBLIC *template, struct tpm_fresh *fresh)
{
    static const TPM2B_DATA nothing_more;
    static const TPML_PCR_SELECTION no_pcr;
    TPM2B_SENSITIVE_CREATE secret = { .sensitive.userAuth = plan->auth };
    TPM2B_PUBLIC *public = NULL;
    TPM2B_PRIVATE *private = NULL;
    TSS2_RC rc;

    tpm_encrypt(token->tpm->esys, session, TPMA_SESSION_DECRYPT); /* the auth value */
    rc = Esys_Create(token->tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, &secret, template,
                     &nothing_more, &no_pcr, &private, &public, NULL, NULL, NULL);

    explicit_bzero(&secret, sizeof secret);
    if (rc)
        return tpm_parent_fail(token, parent, rc, "make a key");
    fresh->public = *public;
    fresh->private = *private;
    Esys_Free(public);
    Esys_Free(private);
    return load(token, parent, session, fresh);
}

int tpm_fresh_create(struct tpm_token *token, const struct tpm_plan *plan, const TPM2B_PUBLIC *template,
                     struct tpm_fresh *ret)
{
    struct tpm_fresh fresh = { .tr = ESYS_TR_NONE };
    struct tpm_parent parent;
    ESYS_TR session;
    int result;

    if ((result = tpm_session(token, &session)) || (result = tpm_parent_get(token, 0, &parent)))
        return result;
    fresh.parent = parent.handle;
    result = create(token, &parent, session, plan, template, &fresh);
    tpm_parent_put(token, &parent);
    if (!result)
        *ret = fresh;
    return result;
}

/* As it is: without inner and outer wrapping a duplicate is the marshalled sensitive area (Part 1 §23.3). */
static bool marshal(const TPM2B_SENSITIVE *secret, TPM2B_PRIVATE *ret)
{
    size_t len = 0;
    bool ok = !Tss2_MU_TPM2B_SENSITIVE_Marshal(secret, ret->buffer, sizeof ret->buffer, &len);

    ret->size = (UINT16)len;
    return ok;
}

static int import(struct tpm_token *token, const struct tpm_parent *parent, ESYS_TR session,
                  const TPM2B_SENSITIVE *secret, struct tpm_fresh *fresh)
{
    static const TPMT_SYM_DEF_OBJECT no_wrap = { .algorithm = TPM2_ALG_NULL },
                                     aes = { TPM2_ALG_AES, { .aes = 128 }, { .aes = TPM2_ALG_CFB } };
    static const TPM2B_ENCRYPTED_SECRET no_seed;
    TPM2B_PRIVATE duplicate = { 0 }, *private = NULL;
    TPM2B_DATA key = { 0 };
    bool wraps = token->encrypts;
    TSS2_RC rc;

    if (!(wraps ? tpm_wrap(&fresh->public, secret, &key, &duplicate) : marshal(secret, &duplicate)))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    tpm_encrypt(token->tpm->esys, session, TPMA_SESSION_DECRYPT); /* that key */
    rc = Esys_Import(token->tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, wraps ? &key : NULL,
                     &fresh->public, &duplicate, &no_seed, wraps ? &aes : &no_wrap, &private);
    explicit_bzero(&duplicate, sizeof duplicate);
    explicit_bzero(&key, sizeof key);
    if (rc)
        return tpm_parent_fail(token, parent, rc, "import the key");
    fresh->private = *private;
    Esys_Free(private);
    return load(token, parent, session, fresh);
}

int tpm_fresh_import(struct tpm_token *token, const struct tpm_plan *plan, const TPM2B_PUBLIC *public,
                     const TPMT_SENSITIVE *sensitive, struct tpm_fresh *ret)
{
    struct tpm_fresh fresh = { .public = *public, .tr = ESYS_TR_NONE };
    TPM2B_SENSITIVE secret = { .sensitiveArea = *sensitive };
    struct tpm_parent parent;
    ESYS_TR session;
    int result;

    secret.sensitiveArea.authValue = plan->auth;
    if (!(result = tpm_session(token, &session)) && !(result = tpm_parent_get(token, 0, &parent))) {
        fresh.parent = parent.handle;
        result = import(token, &parent, session, &secret, &fresh);
        tpm_parent_put(token, &parent);
    }
    explicit_bzero(&secret, sizeof secret);
    if (!result)
        *ret = fresh;
    return result;
}
