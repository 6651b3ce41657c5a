/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources, and what is the same for objects of all of them. */
#include "object.h"

#include "label.h"

#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const struct tpm_source *const sources[] = {
    &tpm_source_handles, &tpm_source_keyfiles, &tpm_source_nvcerts, &tpm_source_certfiles,
    &tpm_source_sealed,  &tpm_source_ek,       &tpm_source_srk,
};
#define SOURCES (sizeof sources / sizeof *sources)

bool tpm_wants_kind(const struct hx_list *list, uint32_t kind)
{
    return !list->want || !list->want->kind || list->want->kind == kind;
}

int tpm_list(struct tpm_token *token, struct hx_list *list)
{
    int result = tpm_label_refresh(token);

    for (size_t i = 0; i < SOURCES && !result; i++)
        result = sources[i]->list(token, list);
    return result;
}

/* The source whose word the ref begins with, and a copy of the rest. */
static const struct tpm_source *source_of(const void *ref, size_t len, char ret_rest[TPM_REF_SIZE])
{
    if (len >= TPM_REF_SIZE || memchr(ref, 0, len))
        return NULL;
    for (size_t i = 0; i < SOURCES; i++) {
        size_t word = strlen(sources[i]->ref);

        if (len < word || memcmp(ref, sources[i]->ref, word))
            continue;
        memcpy(ret_rest, (const char *)ref + word, len - word);
        ret_rest[len - word] = 0;
        return sources[i];
    }
    return NULL;
}

void tpm_unload(struct tpm_object *object)
{
    tpm_key_release(object->token, object->key);
    if (object->value)
        explicit_bzero(object->value, object->len);
    free(object->value);
    free(object);
}

int tpm_object_keep(struct tpm_object *object, const void *value, size_t len)
{
    object->value = malloc(len + 1);
    if (!object->value)
        return hx_fail(object->token->host, HX_E_NO_MEMORY, "out of memory");
    memcpy(object->value, value, len);
    object->len = len;
    return 0;
}

int tpm_load(struct tpm_token *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info,
             struct tpm_object **ret)
{
    char rest[TPM_REF_SIZE];
    const struct tpm_source *source = source_of(ref, ref_len, rest);
    struct tpm_object *object;
    int result;

    if (!source)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names nothing of a TPM");
    if ((result = tpm_label_refresh(token)))
        return result;
    object = calloc(1, sizeof *object);
    if (!object)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    object->token = token;
    object->kind = kind;
    result = source->load(object, rest, info);
    if (result) {
        tpm_unload(object);
        return result;
    }
    *ret = object;
    return 0;
}

int tpm_remove(struct tpm_token *token, uint32_t kind, const void *ref, size_t ref_len)
{
    char rest[TPM_REF_SIZE];
    const struct tpm_source *source = source_of(ref, ref_len, rest);

    if (!source)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names nothing of a TPM");
    if (!source->remove)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "it cannot be removed");
    return source->remove(token, kind, rest);
}

static int put_marshalled(struct tpm_object *object, struct hx_out *out)
{
    unsigned char buffer[sizeof(TPM2B_PUBLIC)];
    size_t len = 0;

    if (Tss2_MU_TPM2B_PUBLIC_Marshal(&object->key->public, buffer, sizeof buffer, &len))
        return hx_fail(object->token->host, HX_E_DEVICE, "its public area cannot be marshalled");
    return hx_put(out, buffer, len);
}

int tpm_read(struct tpm_object *object, uint32_t part, struct hx_out *out)
{
    if (object->kind == HX_DATA && part == HX_VALUE)
        return tpm_unseal(object, out);
    if (!object->key && part == HX_VALUE)
        return hx_put(out, object->value, object->len);
    if (object->key && part == HX_TPM2B_PUBLIC)
        return put_marshalled(object, out);
    if (object->kind == HX_PRIVATE_KEY && part == HX_PUBLIC)
        return tpm_public_put(&object->key->public.publicArea, out);
    return hx_fail(object->token->host, HX_E_UNSUPPORTED,
                   part == HX_VALUE ? "a key or secret does not leave the TPM" : "the object has no such part");
}
