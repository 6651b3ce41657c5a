/* SPDX-License-Identifier: Apache-2.0 */
/* See srk.h.  Listing does not make it; only who asks for it by its label hears that it could be had. */
#include "srk.h"

#include "label.h"
#include "object.h"
#include "persistent.h"
#include "primary.h"
#include "room.h"
#include "turn.h"

#include <string.h>

/* Of the TCG TPM v2.0 Provisioning Guidance §7.5.1, as Azure's SDK has it too: the EK's parameters, no policy.  In
 * full: from another template a TPM makes another key. */
static const TPM2B_PUBLIC template = {
    .publicArea = {
        .type = TPM2_ALG_RSA,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                            TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.rsaDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .keyBits = 2048,
        },
        .unique.rsa.size = 256,
    },
};

static int make(struct tpm_token *token, void *arg)
{
    TPM2B_PUBLIC public;
    ESYS_TR made;
    int result = tpm_persistent_room(token);

    (void)arg;
    if (result || (result = tpm_primary_make(token, ESYS_TR_RH_OWNER, &template, &made, &public)))
        return result;
    result = tpm_persistent_put(token, made, TPM_HANDLE_SRK);
    if (!atomic_load(&token->tpm->lost))
        Esys_FlushContext(token->tpm->esys, made);
    return result;
}

int tpm_srk_make(struct tpm_token *token)
{
    int result;

    if (tpm_has_handle(token, TPM_HANDLE_SRK, &result) || result)
        return result;
    tpm_turn_take(token->tpm);
    result = tpm_with_room(token, make, NULL);
    tpm_turn_give(token->tpm);
    return result;
}

/* One that is there is listed with the other handles.  Another key in its place is not, under that name; that it is in
 * the way is said when the SRK is loaded. */
static int is_listed(struct tpm_token *token, bool *ret)
{
    char label[TPM_LABEL_SIZE];
    struct tpm_key *key;
    int result = tpm_key_at(token, TPM_HANDLE_SRK, &key);

    if (result && result != HX_E_NOT_FOUND)
        return result;
    *ret = !result && tpm_label_of(token, key, label) && !strcmp(label, "srk");
    if (!result)
        tpm_key_release(token, key);
    return 0;
}

static int list_srk(struct tpm_token *token, struct hx_list *list)
{
    static const unsigned char id[] = { TPM_HANDLE_SRK >> 24, 0, 0, TPM_HANDLE_SRK & 0xff };
    struct hx_object info;
    bool listed;
    int result;

    if (!list->want || !list->want->label || strcmp(list->want->label, "srk") || !tpm_wants_kind(list, HX_PRIVATE_KEY))
        return 0;
    if ((result = is_listed(token, &listed)) || listed)
        return result;
    tpm_public_facts(&template.publicArea, &info);
    info.label = "srk";
    info.id = (struct hx_buf){ id, sizeof id };
    info.ref = (struct hx_buf){ "srk", 3 };
    return hx_add(list, &info);
}

static int load_srk(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    static const TPMA_OBJECT storage = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
    struct tpm_token *token = object->token;
    int result;

    if (*rest || object->kind != HX_PRIVATE_KEY)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names nothing of a TPM");
    result = tpm_srk_make(token);
    if (!result)
        result = tpm_key_at(token, TPM_HANDLE_SRK, &object->key);
    if (!result && (object->key->public.publicArea.objectAttributes & storage) != storage)
        result = hx_fail(token->host, HX_E_UNSUPPORTED,
                         "what is at handle 0x%08x is no storage key: only if it is moved away can the SRK be made",
                         TPM_HANDLE_SRK);
    return result ? result : tpm_handle_add(token, object->key, info);
}

const struct tpm_source tpm_source_srk = { .ref = "srk", .list = list_srk, .load = load_srk };
