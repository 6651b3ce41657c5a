/* SPDX-License-Identifier: Apache-2.0 */
/* What authorises a command: the auth value as it is, which is right for a TPM in the same housing; or, for one at the
 * end of a bus, a session whose salt only the TPM can read (TPM 2.0 Part 1 §19.6), so that no auth value travels, and
 * parameters are encrypted. */
#include "label.h"
#include "token.h"

/* A storage key that does not outlast the TPM's next reset: it wants no hierarchy's auth value. */
static TSS2_RC make_key(ESYS_CONTEXT *esys, ESYS_TR *ret)
{
    static const TPM2B_PUBLIC template = {
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                                TPMA_OBJECT_DECRYPT,
            .parameters.eccDetail = {
                .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
                .scheme.scheme = TPM2_ALG_NULL,
                .curveID = TPM2_ECC_NIST_P256,
                .kdf.scheme = TPM2_ALG_NULL,
            },
        },
    };
    static const TPM2B_SENSITIVE_CREATE nothing_secret;
    static const TPM2B_DATA nothing_more;
    static const TPML_PCR_SELECTION no_pcr;

    return Esys_CreatePrimary(esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing_secret,
                              &template, &nothing_more, &no_pcr, ret, NULL, NULL, NULL, NULL);
}

static bool can_decrypt_salt(const struct tpm_key *key)
{
    const TPMT_PUBLIC *public = &key->public.publicArea;

    return public->objectAttributes & TPMA_OBJECT_RESTRICTED && public->objectAttributes & TPMA_OBJECT_DECRYPT &&
           (public->type == TPM2_ALG_RSA || public->type == TPM2_ALG_ECC);
}

static TSS2_RC start_with(struct tpm *tpm, ESYS_TR key)
{
    static const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };

    return Esys_StartAuthSession(tpm->esys, key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                                 TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &tpm->salted);
}

/* The storage root key is there in most TPMs, and takes no object slot. */
static int start(struct tpm_token *token)
{
    struct tpm *tpm = token->tpm;
    struct tpm_key *srk = NULL;
    ESYS_TR made;
    int result = tpm_key_at(token, TPM_HANDLE_SRK, &srk);
    TSS2_RC rc;

    if (result && result != HX_E_NOT_FOUND)
        return result;
    if (!result && can_decrypt_salt(srk)) {
        rc = start_with(tpm, srk->tr);
    } else if (!(rc = make_key(tpm->esys, &made))) {
        rc = start_with(tpm, made);
        Esys_FlushContext(tpm->esys, made);
    }
    if (srk)
        tpm_key_release(token, srk);
    if (!rc)
        return 0;
    tpm->salted = ESYS_TR_NONE;
    return tpm_fail(token, rc, "start a session for parameter encryption");
}

int tpm_session(struct tpm_token *token, ESYS_TR *ret)
{
    struct tpm *tpm = token->tpm;
    int result;

    if (!token->encrypts) {
        *ret = ESYS_TR_PASSWORD;
        return 0;
    }
    if (tpm->salted == ESYS_TR_NONE && (result = start(token)))
        return result;
    tpm_encrypt(tpm->esys, tpm->salted, 0);
    *ret = tpm->salted;
    return 0;
}

void tpm_encrypt(ESYS_CONTEXT *esys, ESYS_TR session, TPMA_SESSION which)
{
    if (session != ESYS_TR_PASSWORD && session != ESYS_TR_NONE)
        Esys_TRSess_SetAttributes(esys, session, which | TPMA_SESSION_CONTINUESESSION, 0xff);
}

/* A TPM has room for three sessions or so.  Without a resource manager, which would put them aside, other processes
 * need that room, and who is killed would never give it back. */
void tpm_session_leave(struct tpm *tpm)
{
    if (tpm->salted == ESYS_TR_NONE || tpm->managed)
        return;
    if (!atomic_load(&tpm->lost))
        Esys_FlushContext(tpm->esys, tpm->salted);
    tpm->salted = ESYS_TR_NONE;
}
