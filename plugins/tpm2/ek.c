/* SPDX-License-Identifier: Apache-2.0 */
/* See ek.h.  Its template is the default one (L-1, policy A), unless the TPM's maker has left one, or a nonce for it,
 * in NV (TCG EK Credential Profile v2.5 §2.2.1.6).  Without a resource manager it has its slot no longer than it must.
 */
#include "ek.h"

#include "eknv.h"
#include "label.h"
#include "object.h"
#include "primary.h"
#include "room.h"
#include "turn.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <tss2/tss2_mu.h>

struct tpm_ek {
    TPM2B_PUBLIC template, public;
    bool special; /* the template is another than the default one */
    bool made; /* public is known, and that the template is the right one */
    bool checked; /* the certificate was looked at */
};

/* In full, with the zeroes: from another template a TPM makes another key, which its maker has not certified. */
static const TPM2B_PUBLIC usual = {
    .publicArea = {
        .type = TPM2_ALG_RSA,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                            TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .authPolicy = { 32, { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                              0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                              0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa } },
        .parameters.rsaDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL,
            .keyBits = 2048,
        },
        .unique.rsa.size = 256,
    },
};

/* As it is, if it is there. */
static int read_template(struct tpm_token *token, struct tpm_ek *ek)
{
    TPMT_PUBLIC area = { 0 };
    unsigned char *data;
    size_t len, used = 0;
    int result = tpm_eknv_read(token, TPM_NV_EK_TEMPLATE, sizeof area, &data, &len);

    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    if (Tss2_MU_TPMT_PUBLIC_Unmarshal(data, len, &used, &area) || area.type != TPM2_ALG_RSA ||
        area.parameters.rsaDetail.keyBits / 8 > sizeof area.unique.rsa.buffer) {
        token->host->log(token->host, LOG_WARNING,
                         "the EK template at NV index 0x%08x is none for an RSA key: the usual one is used",
                         TPM_NV_EK_TEMPLATE);
    } else {
        ek->template.publicArea = area;
        ek->special = true;
    }
    free(data);
    return 0;
}

/* The start of what is unique; zeroes follow. */
static int read_nonce(struct tpm_token *token, struct tpm_ek *ek)
{
    TPM2B_PUBLIC_KEY_RSA *unique = &ek->template.publicArea.unique.rsa;
    size_t len, width = ek->template.publicArea.parameters.rsaDetail.keyBits / 8;
    unsigned char *data;
    int result = tpm_eknv_read(token, TPM_NV_EK_NONCE, width, &data, &len);

    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    *unique = (TPM2B_PUBLIC_KEY_RSA){ .size = (UINT16)width };
    memcpy(unique->buffer, data, len);
    ek->special = true;
    free(data);
    return 0;
}

/* What the token knows of its EK. */
static int know(struct tpm_token *token, struct tpm_ek **ret)
{
    struct tpm_ek *ek = token->ek;
    int result;

    if (ek) {
        *ret = ek;
        return 0;
    }
    if (!(ek = calloc(1, sizeof *ek)))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    ek->template = usual;
    if ((result = read_template(token, ek)) || (result = read_nonce(token, ek))) {
        free(ek);
        return result;
    }
    *ret = token->ek = ek;
    return 0;
}

static size_t marshal(const TPMT_PUBLIC *area, unsigned char ret[sizeof(TPM2B_PUBLIC)])
{
    TPMT_PUBLIC copy = *area;
    size_t len = 0;

    copy.unique.rsa.size = 0;
    return Tss2_MU_TPMT_PUBLIC_Marshal(&copy, ret, sizeof(TPM2B_PUBLIC), &len) ? 0 : len;
}

bool tpm_ek_is(struct tpm_token *token, const TPMT_PUBLIC *area)
{
    unsigned char one[sizeof(TPM2B_PUBLIC)], other[sizeof one];
    struct tpm_ek *ek;
    size_t len;

    if (area->type != TPM2_ALG_RSA)
        return false;
    len = marshal(area, one);
    return len && len == marshal(know(token, &ek) ? &usual.publicArea : &ek->template.publicArea, other) &&
           !memcmp(one, other, len);
}

static void warn(struct tpm_token *token)
{
    token->host->log(token->host, LOG_WARNING,
                     "the EK certificate at NV index 0x%08x is for another key than the EK that its template makes, "
                     "or that is at handle 0x%08x: who trusts the certificate will not know the EK",
                     TPM_NV_EK_CERT, TPM_HANDLE_EK);
}

void tpm_ek_check(struct tpm_token *token, const TPMT_PUBLIC *area)
{
    struct tpm_ek *ek;

    if (know(token, &ek) || ek->checked)
        return;
    ek->checked = true;
    if (tpm_eknv_certifies(token, area) == TPM_EK_OTHER)
        warn(token);
}

/* Where the maker's own template gives a key that the certificate does not know, the usual one may give that key. */
static int make_first(struct tpm_token *token, struct tpm_ek *ek, ESYS_TR *ret)
{
    enum tpm_ek_fit fit;
    TPM2B_PUBLIC other;
    int result = tpm_primary_make(token, ESYS_TR_RH_ENDORSEMENT, &ek->template, ret, &ek->public);

    if (result)
        return result;
    fit = tpm_eknv_certifies(token, &ek->public.publicArea);
    if (fit == TPM_EK_OTHER && ek->special) {
        Esys_FlushContext(token->tpm->esys, *ret);
        if ((result = tpm_primary_make(token, ESYS_TR_RH_ENDORSEMENT, &usual, ret, &other)))
            return result;
        if (tpm_eknv_certifies(token, &other.publicArea) == TPM_EK_FITS) {
            ek->template = usual;
            ek->public = other;
            fit = TPM_EK_FITS;
        } else {
            Esys_FlushContext(token->tpm->esys, *ret);
            result = tpm_primary_make(token, ESYS_TR_RH_ENDORSEMENT, &ek->template, ret, &ek->public);
        }
    }
    if (!result && fit == TPM_EK_OTHER && !ek->checked)
        warn(token);
    ek->checked = true;
    ek->made = !result;
    return result;
}

/* The key at its handle.  HX_E_NOT_FOUND: nothing is there, or it is no EK. */
static int at_handle(struct tpm_token *token, struct tpm_key **ret)
{
    struct tpm_key *key;
    int result;

    if (!tpm_has_handle(token, TPM_HANDLE_EK, &result))
        return result ? result : HX_E_NOT_FOUND;
    if ((result = tpm_key_at(token, TPM_HANDLE_EK, &key)))
        return result;
    if (!tpm_ek_is(token, &key->public.publicArea)) {
        tpm_key_release(token, key);
        return HX_E_NOT_FOUND;
    }
    *ret = key;
    return 0;
}

static int make(struct tpm_token *token, ESYS_TR *ret)
{
    struct tpm_ek *ek;
    int result = know(token, &ek);

    if (result)
        return result;
    if (!ek->made)
        return make_first(token, ek, ret);
    return tpm_primary_make(token, ESYS_TR_RH_ENDORSEMENT, &ek->template, ret, &ek->public);
}

int tpm_ek_get(struct tpm_token *token, struct tpm_ek_use *ret)
{
    struct tpm_ek_use use = { .tr = ESYS_TR_NONE };
    int result = at_handle(token, &use.key);

    if (!result)
        use.tr = use.key->tr;
    else if (result == HX_E_NOT_FOUND)
        result = make(token, &use.tr);
    if (!result)
        *ret = use;
    return result;
}

void tpm_ek_put(struct tpm_token *token, struct tpm_ek_use *use)
{
    if (use->key)
        tpm_key_release(token, use->key);
    else if (use->tr != ESYS_TR_NONE && !atomic_load(&token->tpm->lost))
        Esys_FlushContext(token->tpm->esys, use->tr);
    *use = (struct tpm_ek_use){ .tr = ESYS_TR_NONE };
}

static int add(const TPMT_PUBLIC *area, struct hx_list *list)
{
    struct hx_object info;

    tpm_public_facts(area, &info);
    info.flags |= HX_RESTRICTED; /* also if the maker's template lets it sign: it is no identity of ours */
    info.usage = 0;
    info.label = "ek";
    info.ref = (struct hx_buf){ "ek", 2 };
    return hx_add(list, &info);
}

static int list_ek(struct tpm_token *token, struct hx_list *list)
{
    struct tpm_key *key;
    struct tpm_ek *ek;
    int result;

    if (!list->want || !list->want->label || strcmp(list->want->label, "ek") || list->want->id.len ||
        !tpm_wants_kind(list, HX_PRIVATE_KEY))
        return 0;
    result = at_handle(token, &key);
    if (!result)
        tpm_key_release(token, key); /* listed with the other handles */
    if (result != HX_E_NOT_FOUND || (result = know(token, &ek)))
        return result;
    return add(&ek->template.publicArea, list);
}

static int learn_step(struct tpm_token *token, void *arg)
{
    struct tpm_ek_use use = { .tr = ESYS_TR_NONE };
    int result = make(token, &use.tr);

    (void)arg;
    if (!result)
        tpm_ek_put(token, &use);
    return result;
}

/* Its public area is all that is wanted of it. */
static int load_made(struct tpm_object *object, struct hx_list *info)
{
    struct tpm_token *token = object->token;
    struct tpm_ek *ek;
    int result = know(token, &ek);

    if (!result && !ek->made) {
        tpm_turn_take(token->tpm);
        result = tpm_with_room(token, learn_step, NULL);
        tpm_turn_give(token->tpm);
    }
    if (result)
        return result;
    if (!(object->key = tpm_key_new()))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    object->key->public = ek->public;
    return add(&ek->public.publicArea, info);
}

static int load_ek(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    struct tpm_token *token = object->token;
    int result;

    if (*rest || object->kind != HX_PRIVATE_KEY)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names nothing of a TPM");
    result = at_handle(token, &object->key);
    if (result == HX_E_NOT_FOUND)
        return load_made(object, info);
    if (result)
        return result;
    tpm_ek_check(token, &object->key->public.publicArea);
    return tpm_handle_add(token, object->key, info);
}

const struct tpm_source tpm_source_ek = { .ref = "ek", .list = list_ek, .load = load_ek };
