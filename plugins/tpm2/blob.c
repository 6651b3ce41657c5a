/* SPDX-License-Identifier: Apache-2.0 */
/* See blob.h.  Six parts, each with its size of 2 bytes before it; the last is the service's own, and nothing follows.
 */
#include "blob.h"

#include <string.h>
#include <tss2/tss2_mu.h>

enum part { CREDENTIAL, CREDENTIAL_SEED, DUPLICATE, DUPLICATE_SEED, PUBLIC, REST, PARTS };

static const struct {
    const char *name;
    size_t least, most; /* bytes */
} shapes[PARTS] = {
    { "credential", 1, sizeof(TPMS_ID_OBJECT) }, { "credential's seed", 1, sizeof(TPMU_ENCRYPTED_SECRET) },
    { "wrapped key", 1, sizeof(_PRIVATE) },      { "wrapped key's seed", 1, sizeof(TPMU_ENCRYPTED_SECRET) },
    { "public part", 1, sizeof(TPMT_PUBLIC) },   { "last part", 0, UINT16_MAX },
};

struct cut {
    const unsigned char *part[PARTS]; /* with its size */
    size_t len[PARTS];
};

static int cut(struct tpm_token *token, const unsigned char *data, size_t len, struct cut *ret)
{
    size_t at = 0;

    for (int i = 0; i < PARTS; i++) {
        size_t size = len - at < 2 ? 0 : (size_t)data[at] << 8 | data[at + 1];

        if (len - at < 2 || len - at - 2 < size)
            return hx_fail(token->host, HX_E_INVALID, "the activation blob ends within its %s, part %d of %d",
                           shapes[i].name, i + 1, PARTS);
        if (size < shapes[i].least || size > shapes[i].most)
            return hx_fail(token->host, HX_E_INVALID,
                           "the activation blob is none, or damaged: its %s, part %d of %d, has %zu bytes",
                           shapes[i].name, i + 1, PARTS, size);
        ret->part[i] = data + at;
        ret->len[i] = 2 + size;
        at += 2 + size;
    }
    if (at != len)
        return hx_fail(token->host, HX_E_INVALID, "the activation blob is damaged: %zu bytes follow its end", len - at);
    return 0;
}

/* Without looking at it first, tpm2-tss would print what it thinks of a damaged one. */
static bool is_keyed_hash(const struct cut *cut)
{
    return cut->len[PUBLIC] > 4 && cut->part[PUBLIC][2] == TPM2_ALG_KEYEDHASH >> 8 &&
           cut->part[PUBLIC][3] == (TPM2_ALG_KEYEDHASH & 0xff);
}

static bool unmarshal(const struct cut *cut, struct tpm_blob *ret)
{
    size_t used[PARTS] = { 0 };

    return !Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(cut->part[CREDENTIAL], cut->len[CREDENTIAL], &used[CREDENTIAL],
                                              &ret->credential) &&
           !Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(cut->part[CREDENTIAL_SEED], cut->len[CREDENTIAL_SEED],
                                                     &used[CREDENTIAL_SEED], &ret->credential_seed) &&
           !Tss2_MU_TPM2B_PRIVATE_Unmarshal(cut->part[DUPLICATE], cut->len[DUPLICATE], &used[DUPLICATE],
                                            &ret->duplicate) &&
           !Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(cut->part[DUPLICATE_SEED], cut->len[DUPLICATE_SEED],
                                                     &used[DUPLICATE_SEED], &ret->duplicate_seed) &&
           !Tss2_MU_TPM2B_PUBLIC_Unmarshal(cut->part[PUBLIC], cut->len[PUBLIC], &used[PUBLIC], &ret->public) &&
           used[PUBLIC] == cut->len[PUBLIC];
}

/* A key that the TPM would take, but that could not be used, must not take the place of one that can. */
static bool makes_macs(const TPMT_PUBLIC *area)
{
    static const TPMA_OBJECT needed = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH;
    static const TPMA_OBJECT wrong = TPMA_OBJECT_DECRYPT | TPMA_OBJECT_RESTRICTED;
    const TPMT_KEYEDHASH_SCHEME *scheme = &area->parameters.keyedHashDetail.scheme;

    return (area->objectAttributes & (needed | wrong)) == needed &&
           (scheme->scheme == TPM2_ALG_NULL ||
            (scheme->scheme == TPM2_ALG_HMAC && scheme->details.hmac.hashAlg == TPM2_ALG_SHA256));
}

int tpm_blob_parse(struct tpm_token *token, const void *data, size_t len, struct tpm_blob *ret)
{
    struct tpm_blob blob = { 0 };
    struct cut parts;
    int result = cut(token, data, len, &parts);

    if (result)
        return result;
    if (!is_keyed_hash(&parts) || !unmarshal(&parts, &blob))
        return hx_fail(token->host, HX_E_INVALID,
                       "the activation blob is damaged: its public part describes no HMAC key");
    if (!makes_macs(&blob.public.publicArea))
        return hx_fail(token->host, HX_E_INVALID,
                       "the activation blob's key is not one that makes HMAC-SHA256: the service has to send another");
    *ret = blob;
    return 0;
}
