/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC: one command for as much as a TPM's buffer takes (TPM2_HMAC, TPM 2.0 Part 3 §15.5), a sequence beyond (§17). */
#include "object.h"
#include "slot.h"
#include "turn.h"

#include <string.h>

struct mac {
    const unsigned char *in;
    size_t len;
    TPM2_ALG_ID hash;
    TPM2B_DIGEST *out;
};

/* The next of what is left. */
static TPM2B_MAX_BUFFER take(const unsigned char **in, size_t *len)
{
    TPM2B_MAX_BUFFER part = { .size = (UINT16)(*len < sizeof part.buffer ? *len : sizeof part.buffer) };

    if (part.size)
        memcpy(part.buffer, *in, part.size);
    *in += part.size;
    *len -= part.size;
    return part;
}

static TSS2_RC run_sequence(const struct tpm_use *use, ESYS_TR sequence, const struct mac *mac, TPM2B_DIGEST **ret)
{
    const unsigned char *in = mac->in;
    size_t len = mac->len;
    TPM2B_MAX_BUFFER part = take(&in, &len);
    TSS2_RC rc = 0;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT);
    while (len && !rc) {
        rc = Esys_SequenceUpdate(use->esys, sequence, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &part);
        part = take(&in, &len);
    }
    if (!rc)
        rc = Esys_SequenceComplete(use->esys, sequence, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &part,
                                   ESYS_TR_RH_NULL, ret, NULL);
    explicit_bzero(&part, sizeof part);
    return rc;
}

static TSS2_RC sequence_command(const struct tpm_use *use, void *arg)
{
    static const TPM2B_AUTH no_auth;
    struct mac *mac = arg;
    ESYS_TR sequence;
    TSS2_RC rc =
        Esys_HMAC_Start(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, mac->hash, &sequence);

    if (rc)
        return rc;
    rc = run_sequence(use, sequence, mac, &mac->out);
    if (rc && tpm_rc(rc))
        Esys_FlushContext(use->esys, sequence);
    return rc;
}

static TSS2_RC mac_command(const struct tpm_use *use, void *arg)
{
    struct mac *mac = arg;
    const unsigned char *in = mac->in;
    size_t len = mac->len;
    TPM2B_MAX_BUFFER all = take(&in, &len);
    TSS2_RC rc;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT);
    rc = Esys_HMAC(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &all, mac->hash, &mac->out);
    explicit_bzero(&all, sizeof all);
    return rc;
}

/* A sequence wants a slot of its own. */
static int sequence(struct tpm_object *object, struct mac *mac)
{
    int result;

    tpm_slots_clear(object->token);
    tpm_turn_take(object->token->tpm);
    result = tpm_use(object->token, object->key, sequence_command, mac, "TPM2_HMAC_Start");
    tpm_turn_give(object->token->tpm);
    return result;
}

static int check_hash(const struct tpm_object *object, TPM2_ALG_ID hash)
{
    const TPMT_KEYEDHASH_SCHEME *scheme = &object->key->public.publicArea.parameters.keyedHashDetail.scheme;

    if (hash == TPM2_ALG_NULL)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "a TPM has no such hash");
    if (scheme->scheme == TPM2_ALG_HMAC && scheme->details.hmac.hashAlg != hash)
        return hx_fail(object->token->host, HX_E_UNSUPPORTED, "the key is made for another hash");
    return 0;
}

int tpm_mac(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    struct mac mac = { .in = in, .len = len, .hash = tpm_hash_of(alg->hash) };
    int result = tpm_check_key(object, TPM2_ALG_KEYEDHASH, TPMA_OBJECT_SIGN_ENCRYPT, TPM2_ALG_HMAC);

    if (result || (result = check_hash(object, mac.hash)))
        return result;
    result = len > TPM2_MAX_DIGEST_BUFFER ? sequence(object, &mac)
                                          : tpm_use(object->token, object->key, mac_command, &mac, "TPM2_HMAC");
    if (result)
        return result;
    result = hx_put(out, mac.out->buffer, mac.out->size);
    Esys_Free(mac.out);
    return result;
}
