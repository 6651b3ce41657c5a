/* SPDX-License-Identifier: Apache-2.0 */
/* LABEL.pem and LABEL.crt; the second certificate in a file is "LABEL#1", and so on. */
#include "certfile.h"

#include "certificate.h"
#include "crypto.h"
#include "merged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tpm_certfile_label(const char *file, char ret[TPM_REF_SIZE])
{
    return tpm_name_parse(file, ".pem", ret) || tpm_name_parse(file, ".crt", ret);
}

bool tpm_certfile_parse_ref(const char *rest, char ret_file[TPM_REF_SIZE], size_t *ret_index)
{
    char file[TPM_REF_SIZE], label[TPM_REF_SIZE], *mark, *end;
    size_t index = 0;

    snprintf(file, sizeof file, "%s", rest);
    mark = strrchr(file, '#');
    if (mark && mark[1] >= '1' && mark[1] <= '9' && strlen(mark) < 8) {
        index = strtoul(mark + 1, &end, 10);
        if (*end)
            index = 0; /* the file's own name has a '#' in it */
        else
            *mark = 0;
    }
    if (!tpm_certfile_label(file, label))
        return false;
    strcpy(ret_file, file);
    *ret_index = index;
    return true;
}

static void print_member(const char *name, size_t index, char ret[TPM_REF_SIZE])
{
    if (index)
        snprintf(ret, TPM_REF_SIZE, "%.255s#%zu", name, index);
    else
        snprintf(ret, TPM_REF_SIZE, "%s", name);
}

static int describe(const char *file, size_t index, const struct hx_object *facts, const struct hx_host *host,
                    struct hx_list *list)
{
    char stem[TPM_REF_SIZE], label[TPM_REF_SIZE], member[TPM_REF_SIZE], ref[TPM_REF_SIZE + 2];
    struct hx_object info = *facts;
    unsigned char id[TPM_ID];

    tpm_certfile_label(file, stem);
    print_member(stem, index, label);
    print_member(file, index, member);
    if (!tpm_label_id(label, id))
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    snprintf(ref, sizeof ref, "c:%s", member);
    info.kind = HX_CERTIFICATE;
    info.label = label;
    info.id = (struct hx_buf){ id, sizeof id };
    info.ref = (struct hx_buf){ ref, strlen(ref) };
    return hx_add(list, &info);
}

static bool may_fit(const char *file, const struct hx_object *want)
{
    char label[TPM_REF_SIZE];
    size_t len;

    if (!tpm_certfile_label(file, label))
        return false;
    len = strlen(label);
    return !want || !want->label || (!strncmp(want->label, label, len) && strchr("#", want->label[len]));
}

static int list_blocks(const struct tpm_merged *merged, const char *file, const struct tpm_pem *pem,
                       struct hx_list *list)
{
    int result = 0;

    for (size_t i = 0; i < pem->count && !result; i++) {
        struct hx_object facts = { 0 };

        if (tpm_certificate_facts(pem->block[i].der, pem->block[i].len, &facts))
            result = describe(file, i, &facts, merged->host, list);
        else
            tpm_merged_warn(merged, file, "what it says to be a certificate is none");
    }
    return result;
}

/* One bad file hides none of the others. */
static int list_file(void *arg, const struct tpm_merged *merged, const char *file)
{
    struct hx_list *list = arg;
    struct tpm_pem pem;
    unsigned char *text;
    const char *wrong;
    size_t len;
    int result = 0;

    if (!may_fit(file, list->want) || !tpm_merged_try(merged, file, &text, &len))
        return 0;
    wrong = tpm_pem_divide(text, len, &pem);
    free(text);
    if (wrong) {
        tpm_merged_warn(merged, file, wrong);
        return 0;
    }
    result = list_blocks(merged, file, &pem, list);
    tpm_pem_free(&pem);
    return result;
}

static int list_files(struct tpm_token *token, struct hx_list *list)
{
    struct tpm_merged merged;
    int result;

    if (!tpm_wants_kind(list, HX_CERTIFICATE))
        return 0;
    if ((result = tpm_merged_open(token->host, &merged)))
        return result;
    result = tpm_merged_each(&merged, list_file, list);
    tpm_merged_close(&merged);
    return result;
}

static int load_block(struct tpm_object *object, const struct tpm_merged *merged, const char *file, size_t index,
                      struct hx_list *info)
{
    char path[TPM_PATH_SIZE];
    struct hx_object facts = { 0 };
    struct tpm_pem pem;
    unsigned char *text;
    const char *wrong;
    size_t len;
    int result = tpm_merged_read(merged, file, false, &text, &len);

    if (result)
        return result;
    wrong = tpm_pem_divide(text, len, &pem);
    free(text);
    if (wrong)
        return hx_fail(merged->host, HX_E_CONFIG, "'%s' is unusable: %s", tpm_merged_path(merged, file, path), wrong);
    if (index >= pem.count || !tpm_certificate_facts(pem.block[index].der, pem.block[index].len, &facts))
        result = hx_fail(merged->host, HX_E_NOT_FOUND, "there is no certificate %zu in '%s'", index + 1,
                         tpm_merged_path(merged, file, path));
    if (!result)
        result = tpm_object_keep(object, pem.block[index].der, pem.block[index].len);
    if (!result)
        result = describe(file, index, &facts, merged->host, info);
    tpm_pem_free(&pem);
    return result;
}

static int load_file(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    const struct hx_host *host = object->token->host;
    struct tpm_merged merged;
    char file[TPM_REF_SIZE];
    size_t index;
    int result;

    if (!tpm_certfile_parse_ref(rest, file, &index) || object->kind != HX_CERTIFICATE)
        return hx_fail(host, HX_E_NOT_FOUND, "the reference names no certificate in a file");
    if ((result = tpm_merged_open(host, &merged)))
        return result;
    result = load_block(object, &merged, file, index, info);
    tpm_merged_close(&merged);
    return result;
}

const struct tpm_source tpm_source_certfiles = {
    .ref = "c:", .list = list_files, .load = load_file, .remove = tpm_certfile_remove
};
