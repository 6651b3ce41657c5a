/* SPDX-License-Identifier: Apache-2.0 */
/* See resource.h. */
#include "resource.h"

#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* Versions of tpm2-tss differ in whether the command that evicts an object closes its ESYS_TR. */
#ifndef TPM_EVICTION_CLOSES
#define TPM_EVICTION_CLOSES false
#endif

struct tpm_resource {
    struct tpm_resource *next;
    TPM2_HANDLE handle; /* 0: it was evicted */
    ESYS_TR tr;
    unsigned refs;
    TPM2B_NAME name; /* empty: not read yet.  To ask ESAPI costs a digest, and the first one a millisecond */
};

TSS2_RC tpm_resource_open(struct tpm *tpm, TPM2_HANDLE handle, ESYS_TR *ret)
{
    struct tpm_resource *resource;
    TSS2_RC rc;

    for (resource = tpm->resources; resource; resource = resource->next)
        if (resource->handle == handle) {
            resource->refs++;
            *ret = resource->tr;
            return 0;
        }
    if (!(resource = malloc(sizeof *resource)))
        return TSS2_ESYS_RC_MEMORY;
    *resource = (struct tpm_resource){ .next = tpm->resources, .handle = handle, .refs = 1 };
    rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &resource->tr);
    if (rc) {
        free(resource);
        return rc;
    }
    tpm->resources = resource;
    *ret = resource->tr;
    return 0;
}

/* What ESAPI would save of an object, to know it again later: handle, Name, 1 for a key, public area.  It is ESAPI's
 * own business what that is, so it counts only if it is just that. */
static bool parse_saved(const uint8_t *saved, size_t len, TPM2_HANDLE handle, TPM2B_PUBLIC *ret_public,
                        TPM2B_NAME *ret_name)
{
    TPM2B_PUBLIC public = { 0 };
    TPM2B_NAME name = { 0 };
    TPM2_HANDLE whose = 0;
    size_t at = 0, area;
    UINT32 kind = 0;

    if (Tss2_MU_UINT32_Unmarshal(saved, len, &at, &whose) || whose != handle ||
        Tss2_MU_TPM2B_NAME_Unmarshal(saved, len, &at, &name) || Tss2_MU_UINT32_Unmarshal(saved, len, &at, &kind) ||
        kind != 1 || len - at < 2)
        return false;
    area = (size_t)saved[at] << 8 | saved[at + 1];
    if (len - at - 2 != area || Tss2_MU_TPM2B_PUBLIC_Unmarshal(saved, len, &at, &public) || at != len || !name.size)
        return false;
    *ret_public = public;
    *ret_name = name;
    return true;
}

static struct tpm_resource *resource_of(struct tpm *tpm, ESYS_TR tr)
{
    struct tpm_resource *resource = tpm->resources;

    while (resource && resource->tr != tr)
        resource = resource->next;
    return resource;
}

bool tpm_resource_told(struct tpm *tpm, ESYS_TR tr, TPM2B_PUBLIC *ret_public, TPM2B_NAME *ret_name)
{
    const struct tpm_resource *resource = resource_of(tpm, tr);
    uint8_t *saved = NULL;
    size_t len = 0;
    bool told;

    if (!resource || resource->refs > 1 || Esys_TR_Serialize(tpm->esys, tr, &saved, &len))
        return false;
    told = parse_saved(saved, len, resource->handle, ret_public, ret_name);
    Esys_Free(saved);
    return told;
}

bool tpm_resource_is(struct tpm *tpm, ESYS_TR tr, const TPM2B_NAME *name)
{
    struct tpm_resource *resource = resource_of(tpm, tr);

    if (!resource)
        return false;
    if (!resource->name.size)
        resource->name = *name;
    return resource->name.size == name->size && !memcmp(resource->name.name, name->name, name->size);
}

static void drop(struct tpm *tpm, ESYS_TR *tr, bool close)
{
    struct tpm_resource **at = &tpm->resources, *resource;

    while (*at && (*at)->tr != *tr)
        at = &(*at)->next;
    *tr = ESYS_TR_NONE;
    if (!(resource = *at) || --resource->refs)
        return;
    *at = resource->next;
    if (close)
        Esys_TR_Close(tpm->esys, &resource->tr);
    free(resource);
}

void tpm_resource_close(struct tpm *tpm, ESYS_TR *tr)
{
    bool evicted = false;

    for (const struct tpm_resource *resource = tpm->resources; resource; resource = resource->next)
        evicted = evicted || (resource->tr == *tr && !resource->handle);
    drop(tpm, tr, !evicted);
}

void tpm_resource_evicted(struct tpm *tpm, ESYS_TR *tr)
{
    for (struct tpm_resource *resource = tpm->resources; resource; resource = resource->next)
        if (resource->tr == *tr) {
            ESYS_TR evicted = *tr;

            if (!TPM_EVICTION_CLOSES) /* else ESAPI would take what comes to the handle next for the old one */
                Esys_TR_Close(tpm->esys, &evicted);
            resource->handle = 0;
            tpm->outdated = tpm->outdated || resource->refs > 1;
        }
    drop(tpm, tr, false);
}
