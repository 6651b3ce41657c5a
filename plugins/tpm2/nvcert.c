/* SPDX-License-Identifier: Apache-2.0 */
/* Finding certificates in NV indexes: endorsement certificates by the indexes that are reserved for them, ours by their
 * labels, others by what is in them. */
#include "nvcert.h"

#include "certificate.h"
#include "label.h"
#include "nv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEXES 256 /* more than any TPM has room for */
#define LEAST 128 /* bytes; no certificate is so short */
#define FIRST 1024 /* what is read before it is known how long it is */
#define RECENT_MS 1000

struct tpm_nvcert { /* what was read of an index */
    struct tpm_nvcert *next;
    TPM2_HANDLE handle;
    TPM2B_NAME name;
    int64_t checked; /* as of tpm_now_ms() */
    bool lasting; /* the maker's: the same Name, the same content */
    struct hx_object facts;
    size_t len; /* 0: there is no certificate in it */
    unsigned char der[];
};

/* TCG EK Credential Profile, §2.2.1.4 and §2.2.1.5. */
static const struct {
    TPM2_HANDLE handle;
    const char *label;
} reserved[] = {
    { 0x01c00002, "ek-cert" },      { 0x01c0000a, "ek-cert-p256" },    { 0x01c00012, "ek-cert-rsa2048" },
    { 0x01c00014, "ek-cert-p256" }, { 0x01c00016, "ek-cert-p384" },    { 0x01c00018, "ek-cert-p521" },
    { 0x01c0001a, "ek-cert-sm2" },  { 0x01c0001c, "ek-cert-rsa3072" }, { 0x01c0001e, "ek-cert-rsa4096" },
};

void tpm_nvcerts_forget(struct tpm_token *token)
{
    struct tpm_nvcert *cert;

    while ((cert = token->nvcerts)) {
        token->nvcerts = cert->next;
        free(cert);
    }
}

void tpm_nvcert_ref(TPM2_HANDLE handle, char ret[TPM_REF_SIZE])
{
    snprintf(ret, TPM_REF_SIZE, "n:%08x", handle);
}

bool tpm_nvcert_parse_ref(const char *text, TPM2_HANDLE *ret)
{
    char *end;
    unsigned long handle = strtoul(text, &end, 16);

    if (*end || strlen(text) != 8 || handle < TPM2_NV_INDEX_FIRST || handle > TPM2_NV_INDEX_LAST)
        return false;
    *ret = (TPM2_HANDLE)handle;
    return true;
}

/* The certificate at the start of the index; makers pad it.  *ret_len 0: there is none.  data: as many bytes as the
 * index has. */
static int read_content(struct tpm_token *token, const struct tpm_nv *nv, unsigned char *data, size_t *ret_len)
{
    size_t size = nv->public.dataSize, first = size < FIRST ? size : FIRST, len;
    ESYS_TR auth;
    int result;

    *ret_len = 0;
    if (size < LEAST || nv->public.attributes & TPMA_NV_TPM2_NT_MASK)
        return 0;
    if ((result = tpm_nv_readable(token, nv, &auth)) || (result = tpm_nv_read(token, nv, auth, 0, data, first)))
        return result;
    len = tpm_certificate_length(data, size);
    if (len < LEAST || len > size)
        return 0;
    if (len > first && (result = tpm_nv_read(token, nv, auth, first, data + first, len - first)))
        return result;
    *ret_len = len;
    return 0;
}

static int read_cert(struct tpm_token *token, const struct tpm_nv *nv, struct tpm_nvcert **ret)
{
    size_t size = nv->public.dataSize;
    struct tpm_nvcert *cert = calloc(1, sizeof *cert + size);
    int result;

    if (!cert)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    result = read_content(token, nv, cert->der, &cert->len);
    if (result == HX_E_UNSUPPORTED)
        result = 0;
    if (!result && cert->len && !tpm_certificate_facts(cert->der, cert->len, &cert->facts))
        cert->len = 0;
    if (!cert->len) /* it may be anything */
        explicit_bzero(cert->der, size);
    if (result) {
        free(cert);
        return result;
    }
    cert->handle = nv->handle;
    cert->name = nv->name;
    cert->lasting = nv->public.attributes & TPMA_NV_PLATFORMCREATE;
    *ret = cert;
    return 0;
}

static struct tpm_nvcert *find_known(struct tpm_token *token, TPM2_HANDLE handle)
{
    for (struct tpm_nvcert *cert = token->nvcerts; cert; cert = cert->next)
        if (cert->handle == handle)
            return cert;
    return NULL;
}

static void forget(struct tpm_token *token, struct tpm_nvcert *cert)
{
    struct tpm_nvcert **at = &token->nvcerts;

    while (*at != cert)
        at = &(*at)->next;
    *at = cert->next;
    free(cert);
}

/* Another program may write into an index that is not the maker's at any time, and its Name stays the same. */
static int renew(struct tpm_token *token, const struct tpm_nv *nv, struct tpm_nvcert **cert)
{
    int result;

    if (*cert && (*cert)->lasting && (*cert)->name.size == nv->name.size &&
        !memcmp((*cert)->name.name, nv->name.name, nv->name.size))
        return 0;
    if (*cert)
        forget(token, *cert);
    result = read_cert(token, nv, cert);
    if (result)
        return result;
    (*cert)->next = token->nvcerts;
    token->nvcerts = *cert;
    return 0;
}

/* What is in an index that exists; *ret, which may be no certificate, is good until the TPM's lock is given back. */
static int cert_at(struct tpm_token *token, TPM2_HANDLE handle, const struct tpm_nvcert **ret)
{
    struct tpm_nvcert *cert = find_known(token, handle);
    int64_t now = tpm_now_ms();
    struct tpm_nv nv;
    int result;

    if (!cert || cert->checked + RECENT_MS <= now) {
        if ((result = tpm_nv_open(token, handle, &nv)))
            return result;
        result = renew(token, &nv, &cert);
        tpm_nv_close(token, &nv);
        if (result)
            return result;
        cert->checked = now;
    }
    *ret = cert;
    return 0;
}

int tpm_nvcert_holds(struct tpm_token *token, TPM2_HANDLE handle, bool *ret)
{
    const struct tpm_nvcert *cert;
    int result = cert_at(token, handle, &cert);

    if (!result)
        *ret = cert->len > 0;
    return result;
}

static const struct tpm_label *entry_of(const struct tpm_token *token, const struct tpm_nvcert *cert)
{
    return tpm_label_entry(token, cert->handle, &cert->name);
}

static bool is_gone(const struct tpm_label *entry)
{
    return entry && entry->is_gone;
}

int tpm_nvcert_bears(struct tpm_token *token, TPM2_HANDLE handle, const char *label, bool *ret)
{
    const struct tpm_nvcert *cert;
    int result = cert_at(token, handle, &cert);

    if (!result) {
        const struct tpm_label *entry = entry_of(token, cert);

        *ret = cert->len && entry && !is_gone(entry) && !strcmp(entry->label, label);
    }
    return result;
}

static const char *reserved_label(TPM2_HANDLE handle)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (reserved[i].handle == handle)
            return reserved[i].label;
    return NULL;
}

static int describe(struct tpm_token *token, const struct tpm_nvcert *cert, struct hx_list *list)
{
    const struct tpm_label *label = entry_of(token, cert);
    struct hx_object info = cert->facts;
    char ref[TPM_REF_SIZE];
    unsigned char id[4];

    tpm_nvcert_ref(cert->handle, ref);
    tpm_handle_id(cert->handle, id);
    info.kind = HX_CERTIFICATE;
    info.label = label ? label->label : reserved_label(cert->handle);
    info.id = (struct hx_buf){ id, sizeof id };
    info.ref = (struct hx_buf){ ref, strlen(ref) };
    return hx_add(list, &info);
}

/* Told without looking at it: each index that is not read spares four commands. */
static bool may_fit(struct tpm_token *token, TPM2_HANDLE handle, const struct hx_object *want)
{
    const char *label = reserved_label(handle);
    unsigned char id[4];

    if (!want)
        return true;
    tpm_handle_id(handle, id);
    if (want->id.len && (want->id.len != sizeof id || memcmp(want->id.data, id, sizeof id)))
        return false;
    return !want->label || (label && !strcmp(label, want->label)) || tpm_label_may_be(token, handle, want->label);
}

static int list_nv(struct tpm_token *token, struct hx_list *list)
{
    TPM2_HANDLE handles[INDEXES];
    size_t count = 0;
    int result = 0;

    if (tpm_wants_kind(list, HX_CERTIFICATE))
        result = tpm_handles(token, TPM2_NV_INDEX_FIRST, handles, INDEXES, &count);
    for (size_t i = 0; i < count && !result; i++) {
        const struct tpm_nvcert *cert;

        if (!may_fit(token, handles[i], list->want))
            continue;
        result = cert_at(token, handles[i], &cert);
        if (!result && cert->len && !is_gone(entry_of(token, cert)))
            result = describe(token, cert, list);
        else if (result == HX_E_NOT_FOUND) /* removed meanwhile */
            result = 0;
    }
    return result;
}

static int load_nv(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    struct tpm_token *token = object->token;
    const struct tpm_nvcert *cert;
    TPM2_HANDLE handle;
    int result;

    if (!tpm_nvcert_parse_ref(rest, &handle) || object->kind != HX_CERTIFICATE)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no certificate in an NV index");
    if ((result = cert_at(token, handle, &cert)))
        return result;
    if (!cert->len)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no certificate to be read in NV index 0x%08x", handle);
    result = tpm_object_keep(object, cert->der, cert->len);
    return result ? result : describe(token, cert, info);
}

const struct tpm_source tpm_source_nvcerts = {
    .ref = "n:", .list = list_nv, .load = load_nv, .remove = tpm_nvcert_remove
};
