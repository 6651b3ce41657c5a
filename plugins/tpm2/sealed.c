/* SPDX-License-Identifier: Apache-2.0 */
/* Data that only this TPM gives out again: LABEL.sealed, a key file that holds no key (TPM 2.0 Part 1 §27.6.2.3).  Its
 * mode protects it, and the PIN where one is configured. */
#include "crypto.h"
#include "keyfile.h"
#include "label.h"
#include "make.h"
#include "merged.h"
#include "parent.h"
#include "room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".sealed"
#define MOST 128 /* bytes (MAX_SYM_DATA, Part 2 Annex C) */

static int describe(const struct hx_host *host, const char *file, struct hx_list *list)
{
    char label[TPM_NAME_SIZE], ref[TPM_REF_SIZE];
    struct hx_object info = { .kind = HX_DATA, .flags = HX_OWN_AUTH, .label = label };
    unsigned char id[TPM_ID];

    if (!tpm_name_parse(file, SUFFIX, label))
        return 0;
    if (!tpm_label_id(label, id))
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    snprintf(ref, sizeof ref, "s:%s", file);
    info.id = (struct hx_buf){ id, sizeof id };
    info.ref = (struct hx_buf){ ref, strlen(ref) };
    return hx_add(list, &info);
}

/* Files are not read: that one cannot be used is said when it is loaded. */
static int list_file(void *arg, const struct tpm_merged *merged, const char *file)
{
    struct hx_list *list = arg;
    char label[TPM_NAME_SIZE];

    if (!tpm_name_parse(file, SUFFIX, label) || (list->want && list->want->label && strcmp(list->want->label, label)))
        return 0;
    return describe(merged->host, file, list);
}

static int list_sealed(struct tpm_token *token, struct hx_list *list)
{
    struct tpm_merged merged;
    int result;

    if (!tpm_wants_kind(list, HX_DATA))
        return 0;
    if ((result = tpm_merged_open(token->host, &merged)))
        return result;
    result = tpm_merged_each(&merged, list_file, list);
    tpm_merged_close(&merged);
    return result;
}

static int read_file(const struct tpm_merged *merged, const char *file, struct tpm_keyfile *ret)
{
    char path[TPM_PATH_SIZE];
    unsigned char *text;
    size_t len;
    int result = tpm_merged_read(merged, file, true, &text, &len);

    if (result)
        return result;
    tpm_merged_path(merged, file, path);
    result = tpm_keyfile_parse(merged->host, path, text, len, ret);
    free(text);
    if (result == HX_E_NOT_FOUND || (!result && ret->type != TPM_KEYFILE_SEALED))
        return hx_fail(merged->host, HX_E_CONFIG, "'%s' is unusable: there is no sealed data in it", path);
    return result;
}

static int load_sealed(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    const struct hx_host *host = object->token->host;
    char label[TPM_NAME_SIZE];
    struct tpm_keyfile file;
    struct tpm_merged merged;
    int result;

    if (!tpm_name_parse(rest, SUFFIX, label) || object->kind != HX_DATA)
        return hx_fail(host, HX_E_NOT_FOUND, "the reference names no sealed data");
    if ((result = tpm_merged_open(host, &merged)))
        return result;
    result = read_file(&merged, rest, &file);
    tpm_merged_close(&merged);
    if (!result)
        result = tpm_object_take(object, &file);
    return result ? result : describe(host, rest, info);
}

static TSS2_RC unseal(const struct tpm_use *use, void *arg)
{
    tpm_encrypt(use->esys, use->session, TPMA_SESSION_ENCRYPT);
    return Esys_Unseal(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, arg);
}

int tpm_unseal(struct tpm_object *object, struct hx_out *out)
{
    TPM2B_SENSITIVE_DATA *data = NULL;
    int result = tpm_use(object->token, object->key, unseal, &data, "unseal");

    if (result)
        return result;
    result = hx_put(out, data->buffer, data->size);
    explicit_bzero(data, sizeof *data);
    Esys_Free(data);
    return result;
}

struct sealing {
    TPM2B_SENSITIVE_CREATE secret; /* for wiping */
    struct tpm_keyfile file;
};

static int create(struct tpm_token *token, const struct tpm_parent *parent, struct sealing *sealing)
{
    static const TPM2B_PUBLIC template = {
        .publicArea = { .type = TPM2_ALG_KEYEDHASH,
                        .nameAlg = TPM2_ALG_SHA256,
                        .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH |
                                            TPMA_OBJECT_NODA,
                        .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL },
    };
    static const TPM2B_DATA nothing_more;
    static const TPML_PCR_SELECTION no_pcr;
    TPM2B_PUBLIC *public = NULL;
    TPM2B_PRIVATE *private = NULL;
    ESYS_TR session;
    int result = tpm_session(token, &session);
    TSS2_RC rc;

    if (result)
        return result;
    tpm_encrypt(token->tpm->esys, session, TPMA_SESSION_DECRYPT);
    rc = Esys_Create(token->tpm->esys, parent->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, &sealing->secret, &template,
                     &nothing_more, &no_pcr, &private, &public, NULL, NULL, NULL);
    if (rc)
        return tpm_parent_fail(token, parent, rc, "seal");
    sealing->file.parent = parent->handle;
    sealing->file.public = *public;
    sealing->file.private = *private;
    Esys_Free(public);
    Esys_Free(private);
    return 0;
}

static int seal(struct tpm_token *token, void *arg)
{
    struct tpm_parent parent;
    int result = tpm_parent_get(token, 0, &parent);

    if (result)
        return result;
    result = create(token, &parent, arg);
    tpm_parent_put(token, &parent);
    return result;
}

static int fill(struct tpm_token *token, const struct hx_buf *part, struct sealing *sealing)
{
    TPMS_SENSITIVE_CREATE *secret = &sealing->secret.sensitive;
    int result = tpm_make_auth(token, &secret->userAuth);

    if (result)
        return result;
    sealing->file.type = TPM_KEYFILE_SEALED;
    sealing->file.empty_auth = !secret->userAuth.size;
    secret->data.size = (UINT16)part->len;
    memcpy(secret->data.buffer, part->data, part->len);
    return tpm_with_room(token, seal, sealing);
}

static int write_file(const struct hx_host *host, const char *name, const struct tpm_keyfile *file, bool replace)
{
    struct tpm_merged merged;
    struct tpm_directory locked;
    char *text;
    size_t len;
    int result = tpm_keyfile_print(host, file, &text, &len);

    if (result)
        return result;
    if (!(result = tpm_merged_open(host, &merged))) {
        result = tpm_merged_lock(&merged, NULL, &locked);
        if (!result) {
            result = tpm_directory_write(&locked, name, 0600, text, len, replace);
            tpm_directory_close(&locked);
        }
        tpm_merged_close(&merged);
    }
    free(text);
    return result;
}

/* Before the TPM works on it. */
static int check(struct tpm_token *token, const struct hx_spec *spec, const struct hx_buf *part,
                 char ret_file[TPM_NAME_SIZE])
{
    const struct hx_host *host = token->host;
    struct tpm_merged merged;
    int result;

    if (!part->len || part->len > MOST)
        return hx_fail(host, HX_E_INVALID, "a TPM seals 1 to %d bytes, not %zu", MOST, part->len);
    if (!tpm_name_print(spec->label, SUFFIX, ret_file))
        return hx_fail(host, HX_E_INVALID,
                       "the label is empty or too long for a file name (248 plain characters; others count three)");
    if (spec->place && strcmp(spec->place, ret_file))
        return hx_fail(host, HX_E_INVALID, "sealed data has no place but '%s', not '%s'", ret_file, spec->place);
    if ((result = tpm_label_refresh(token)) || (result = tpm_merged_open(host, &merged)))
        return result;
    if (tpm_merged_has(&merged, ret_file) && !(spec->flags & HX_REPLACE))
        result = hx_fail(host, HX_E_EXISTS, "there is data with the label '%s'", spec->label);
    tpm_merged_close(&merged);
    return result;
}

int tpm_import_data(struct tpm_token *token, const struct hx_spec *spec, const struct hx_buf *part, struct hx_out *ref)
{
    char file[TPM_NAME_SIZE], text[TPM_REF_SIZE];
    struct sealing sealing = { .secret.size = 0 };
    int result = check(token, spec, part, file);

    if (!result)
        result = fill(token, part, &sealing);
    explicit_bzero(&sealing.secret, sizeof sealing.secret);
    if (!result)
        result = write_file(token->host, file, &sealing.file, spec->flags & HX_REPLACE);
    if (result)
        return result;
    snprintf(text, sizeof text, "s:%s", file);
    return hx_put(ref, text, strlen(text));
}

static int remove_sealed(struct tpm_token *token, uint32_t kind, const char *rest)
{
    char label[TPM_NAME_SIZE];
    struct tpm_directory locked;
    struct tpm_merged merged;
    int result;

    if (!tpm_name_parse(rest, SUFFIX, label) || kind != HX_DATA)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no sealed data");
    if ((result = tpm_merged_open(token->host, &merged)))
        return result;
    result = tpm_merged_lock(&merged, rest, &locked);
    if (!result) {
        result = tpm_directory_remove(&locked, rest);
        tpm_directory_close(&locked);
    }
    tpm_merged_close(&merged);
    return result;
}

const struct tpm_source tpm_source_sealed = {
    .ref = "s:", .list = list_sealed, .load = load_sealed, .remove = remove_sealed
};
