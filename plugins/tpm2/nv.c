/* SPDX-License-Identifier: Apache-2.0 */
/* The commands for NV indexes (TPM 2.0 Part 3 §31). */
#include "nv.h"

#include <string.h>

#define OURS (TPMA_NV_OWNERWRITE | TPMA_NV_AUTHWRITE | TPMA_NV_OWNERREAD | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA)

int tpm_nv_open(struct tpm_token *token, TPM2_HANDLE handle, struct tpm_nv *ret)
{
    ESYS_CONTEXT *esys = token->tpm->esys;
    struct tpm_nv nv = { .handle = handle, .tr = ESYS_TR_NONE };
    TPM2B_NV_PUBLIC *public = NULL;
    TPM2B_NAME *name = NULL;
    TSS2_RC rc;
    int result;

    if (!tpm_has_handle(token, handle, &result))
        return result ? result : hx_fail(token->host, HX_E_NOT_FOUND, "there is no NV index 0x%08x", handle);
    rc = Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv.tr);
    if (rc)
        return tpm_fail(token, rc, "look at an NV index");
    rc = Esys_NV_ReadPublic(esys, nv.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, &name);
    if (rc) {
        Esys_TR_Close(esys, &nv.tr);
        return tpm_fail(token, rc, "look at an NV index");
    }
    nv.public = public->nvPublic;
    nv.name = *name;
    Esys_Free(public);
    Esys_Free(name);
    *ret = nv;
    return 0;
}

void tpm_nv_close(struct tpm_token *token, struct tpm_nv *nv)
{
    if (nv->tr != ESYS_TR_NONE)
        Esys_TR_Close(token->tpm->esys, &nv->tr);
}

/* Is the owner's auth value the empty one, so that there is nothing to be wrong? */
static int is_owner_empty(struct tpm_token *token, bool *ret)
{
    uint32_t permanent = 0;
    int result = tpm_property(token, TPM2_PT_PERMANENT, &permanent);

    if (!result)
        *ret = !(permanent & TPMA_PERMANENT_OWNERAUTHSET) && !token->host->option(token->host, "owner-auth");
    return result;
}

/* The owner's configured auth value goes over the bus only where nothing else will do. */
int tpm_nv_readable(struct tpm_token *token, const struct tpm_nv *nv, ESYS_TR *ret_auth)
{
    TPMA_NV attributes = nv->public.attributes;
    bool by_owner = attributes & TPMA_NV_OWNERREAD, is_empty = false;
    int result;

    if (!(attributes & TPMA_NV_WRITTEN) || attributes & TPMA_NV_READLOCKED)
        return HX_E_UNSUPPORTED;
    if (by_owner && (result = is_owner_empty(token, &is_empty)))
        return result;
    if (is_empty)
        *ret_auth = ESYS_TR_RH_OWNER;
    else if (attributes & TPMA_NV_AUTHREAD && attributes & TPMA_NV_NO_DA)
        *ret_auth = nv->tr;
    else if (by_owner && token->host->option(token->host, "owner-auth"))
        *ret_auth = ESYS_TR_RH_OWNER;
    else
        return HX_E_UNSUPPORTED;
    return 0;
}

/* What one command moves; libtpms has 1024. */
static int chunk_of(struct tpm_token *token, uint32_t *ret)
{
    uint32_t chunk = 0;
    int result = tpm_property(token, TPM2_PT_NV_BUFFER_MAX, &chunk);

    if (result && result != HX_E_NOT_FOUND)
        return result;
    if (!chunk)
        chunk = 512;
    *ret = chunk < TPM2_MAX_NV_BUFFER_SIZE ? chunk : TPM2_MAX_NV_BUFFER_SIZE;
    return 0;
}

static int authorise(struct tpm_token *token, ESYS_TR auth, ESYS_TR *ret_session)
{
    int result = 0;

    *ret_session = ESYS_TR_PASSWORD; /* the empty one of an index is no secret */
    if (auth == ESYS_TR_RH_OWNER && !(result = tpm_session(token, ret_session)))
        result = tpm_hierarchy_auth(token, auth, "owner-auth");
    return result;
}

/* The index does not let us read it: that says nothing of any other one. */
static bool is_refusal(TPM2_RC rc)
{
    return rc == TPM2_RC_NV_AUTHORIZATION || rc == TPM2_RC_NV_LOCKED || rc == TPM2_RC_NV_UNINITIALIZED ||
           rc == TPM2_RC_AUTH_FAIL || rc == TPM2_RC_BAD_AUTH || rc == TPM2_RC_AUTH_UNAVAILABLE;
}

static int fail_read(struct tpm_token *token, const struct tpm_nv *nv, TSS2_RC rc, ESYS_TR auth)
{
    static const char what[] = "read an NV index";

    if (auth == ESYS_TR_RH_OWNER && tpm_rc(rc) == TPM2_RC_BAD_AUTH)
        return tpm_fail_hierarchy(token, rc, what, "owner-auth");
    if (is_refusal(tpm_rc(rc)))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "NV index 0x%08x does not let itself be read", nv->handle);
    return tpm_fail(token, rc, what);
}

int tpm_nv_read(struct tpm_token *token, const struct tpm_nv *nv, ESYS_TR auth, size_t offset, void *buf, size_t len)
{
    unsigned char *at = buf;
    uint32_t chunk;
    ESYS_TR session;
    int result = chunk_of(token, &chunk);

    if (!result)
        result = authorise(token, auth, &session);
    for (size_t done = 0; done < len && !result; done += chunk) {
        TPM2B_MAX_NV_BUFFER *data = NULL;
        UINT16 want = (UINT16)(len - done < chunk ? len - done : chunk);
        TSS2_RC rc = Esys_NV_Read(token->tpm->esys, auth, nv->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, want,
                                  (UINT16)(offset + done), &data);

        if (rc)
            return fail_read(token, nv, rc, auth);
        if (data->size == want)
            memcpy(at + done, data->buffer, want);
        else
            result =
                hx_fail(token->host, HX_E_DEVICE, "the TPM gave %u bytes of an NV index, not %u", data->size, want);
        explicit_bzero(data, sizeof *data);
        Esys_Free(data);
    }
    return result;
}

/* Where no key could be made persistent any more, a certificate must not take what is left. */
int tpm_nv_check_room(struct tpm_token *token, size_t size)
{
    uint32_t most = 0, keys = 1;
    int result = tpm_property(token, TPM2_PT_NV_INDEX_MAX, &most);

    if (!result)
        result = tpm_property(token, TPM2_PT_HR_PERSISTENT_AVAIL, &keys);
    if (result && result != HX_E_NOT_FOUND)
        return result;
    if (most && size > most)
        return hx_fail(token->host, HX_E_FULL, "an NV index of this TPM has %u bytes at most, not %zu", most, size);
    if (!keys)
        return hx_fail(token->host, HX_E_FULL, "the TPM's persistent memory is full");
    return 0;
}

bool tpm_nv_is_ours(const struct tpm_nv *nv)
{
    return nv->handle >= TPM_NV_OWNER_FIRST && nv->handle <= TPM_NV_OWNER_LAST &&
           (nv->public.attributes & ~(TPMA_NV)TPMA_NV_WRITTEN) == OURS;
}

int tpm_nv_define(struct tpm_token *token, TPM2_HANDLE handle, size_t size)
{
    static const TPM2B_AUTH empty;
    const TPM2B_NV_PUBLIC public = {
        .nvPublic = { .nvIndex = handle, .nameAlg = TPM2_ALG_SHA256, .attributes = OURS, .dataSize = (UINT16)size },
    };
    ESYS_TR session, made;
    int result = authorise(token, ESYS_TR_RH_OWNER, &session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = Esys_NV_DefineSpace(token->tpm->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE, &empty, &public,
                             &made);
    if (rc)
        return tpm_fail_hierarchy(token, rc, "define an NV index", "owner-auth");
    Esys_TR_Close(token->tpm->esys, &made);
    return 0;
}

/* The first bytes come last, since they say that there is a certificate: one that is cut short is seen to be none. */
int tpm_nv_write(struct tpm_token *token, struct tpm_nv *nv, const void *data, size_t len)
{
    TPM2B_MAX_NV_BUFFER buffer;
    uint32_t chunk;
    int result = chunk_of(token, &chunk);

    for (size_t left = len; left && !result; left -= buffer.size) {
        size_t offset = (left - 1) / chunk * chunk;
        TSS2_RC rc;

        buffer.size = (UINT16)(left - offset);
        memcpy(buffer.buffer, (const char *)data + offset, buffer.size);
        rc = Esys_NV_Write(token->tpm->esys, nv->tr, nv->tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &buffer,
                           (UINT16)offset);
        if (rc)
            result = tpm_fail(token, rc, "write an NV index");
    }
    return result;
}

int tpm_nv_undefine(struct tpm_token *token, struct tpm_nv *nv)
{
    ESYS_TR session;
    int result = authorise(token, ESYS_TR_RH_OWNER, &session);
    TSS2_RC rc;

    if (result)
        return result;
    rc = Esys_NV_UndefineSpace(token->tpm->esys, ESYS_TR_RH_OWNER, nv->tr, session, ESYS_TR_NONE, ESYS_TR_NONE);
    if (rc)
        return tpm_fail_hierarchy(token, rc, "remove an NV index", "owner-auth");
    nv->tr = ESYS_TR_NONE; /* it went with it */
    return 0;
}
