/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at persistent handles. */
#include "ek.h"
#include "label.h"
#include "object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tpm_handle_ref(TPM2_HANDLE handle, char ret[TPM_REF_SIZE])
{
    snprintf(ret, TPM_REF_SIZE, "h:%08x", handle);
}

void tpm_handle_id(TPM2_HANDLE handle, unsigned char ret[4])
{
    for (int i = 0; i < 4; i++)
        ret[i] = (unsigned char)(handle >> (24 - 8 * i));
}

int tpm_handle_add(struct tpm_token *token, const struct tpm_key *key, struct hx_list *list)
{
    char ref[TPM_REF_SIZE], label[TPM_LABEL_SIZE];
    struct hx_object info;
    unsigned char id[4];

    if (!tpm_public_facts(&key->public.publicArea, &info))
        return 0;
    tpm_handle_ref(key->handle, ref);
    tpm_handle_id(key->handle, id);
    info.label = tpm_label_of(token, key, label) ? label : NULL;
    info.id = (struct hx_buf){ id, sizeof id };
    info.ref = (struct hx_buf){ ref, strlen(ref) };
    return hx_add(list, &info);
}

/* What is cheap to know comes first: each key that is not read spares a command. */
static bool may_fit(struct tpm_token *token, TPM2_HANDLE handle, const struct hx_object *want)
{
    unsigned char id[4];

    if (!want)
        return true;
    tpm_handle_id(handle, id);
    if (want->id.len && (want->id.len != sizeof id || memcmp(want->id.data, id, sizeof id)))
        return false;
    return !want->label || tpm_label_may_be(token, handle, want->label);
}

static int list_handles(struct tpm_token *token, struct hx_list *list)
{
    TPM2_HANDLE handles[TPM_PERSISTENT_MAX];
    size_t count;
    int result;

    if (!tpm_wants_kind(list, HX_PRIVATE_KEY) && !tpm_wants_kind(list, HX_SECRET_KEY))
        return 0;
    result = tpm_handles(token, TPM_PERSISTENT_FIRST, handles, TPM_PERSISTENT_MAX, &count);
    for (size_t i = 0; i < count && !result; i++) {
        struct tpm_key *key;

        if (!may_fit(token, handles[i], list->want))
            continue;
        result = tpm_key_listed(token, handles[i], &key);
        if (result == HX_E_NOT_FOUND) { /* removed meanwhile */
            result = 0;
            continue;
        }
        if (!result) {
            if (!tpm_label_is_gone(token, key))
                result = tpm_handle_add(token, key, list);
            tpm_key_release(token, key);
        }
    }
    return result;
}

static bool parse(const char *text, TPM2_HANDLE *ret)
{
    char *end;
    unsigned long handle = strtoul(text, &end, 16);

    if (*end || strlen(text) != 8 || handle < TPM_PERSISTENT_FIRST || handle > TPM_PERSISTENT_LAST)
        return false;
    *ret = (TPM2_HANDLE)handle;
    return true;
}

static int load_handle(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    struct tpm_token *token = object->token;
    TPM2_HANDLE handle;
    struct hx_object facts;
    int result;

    if (!parse(rest, &handle))
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no persistent handle");
    result = tpm_key_at(token, handle, &object->key);
    if (result)
        return result;
    if (tpm_label_is_gone(token, object->key))
        return hx_fail(token->host, HX_E_NOT_FOUND, "the key at handle 0x%08x was replaced", handle);
    if (!tpm_public_facts(&object->key->public.publicArea, &facts) || facts.kind != object->kind)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is another kind of object at handle 0x%08x", handle);
    if (handle == TPM_HANDLE_EK && tpm_ek_is(token, &object->key->public.publicArea))
        tpm_ek_check(token, &object->key->public.publicArea);
    return tpm_handle_add(token, object->key, info);
}

static int remove_handle(struct tpm_token *token, uint32_t kind, const char *rest)
{
    TPM2_HANDLE handle;

    if (!parse(rest, &handle))
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no persistent handle");
    return tpm_remove_handle(token, kind, handle);
}

const struct tpm_source tpm_source_handles = {
    .ref = "h:", .list = list_handles, .load = load_handle, .remove = remove_handle
};
