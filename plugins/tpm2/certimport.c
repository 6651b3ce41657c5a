/* SPDX-License-Identifier: Apache-2.0 */
/* Importing a certificate: into an NV index when it fits there, else into the directory.  What bears the same label
 * goes when the new one is in its place, so that at no time there is none. */
#include "certfile.h"
#include "certificate.h"
#include "labels.h"
#include "nv.h"
#include "nvcert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define SAME TPM_NVCERT_OLD /* of one label, at most */

/* Where to: the label of a file that place names, or an index; none: we choose. */
struct goal {
    const char *label;
    char file_label[TPM_REF_SIZE];
    bool to_file;
    TPM2_HANDLE index;
};

struct same { /* those that bear the label already */
    struct hx_list api; /* first */
    const char *label;
    char ref[SAME][TPM_REF_SIZE];
    size_t count;
};

static int add_same(struct hx_list *list, const struct hx_object *object, size_t size)
{
    struct same *same = (struct same *)list;

    (void)size;
    if (object->kind != HX_CERTIFICATE || !object->label || strcmp(object->label, same->label))
        return 0;
    if (same->count < SAME && object->ref.len < TPM_REF_SIZE) {
        memcpy(same->ref[same->count], object->ref.data, object->ref.len);
        same->ref[same->count++][object->ref.len] = 0;
    }
    return 0;
}

static int find_same(struct tpm_token *token, const char *label, struct same *ret)
{
    const struct hx_object want = { .kind = HX_CERTIFICATE, .label = label };
    int result;

    *ret = (struct same){ .api = { .add = add_same, .want = &want }, .label = label };
    result = tpm_list(token, &ret->api);
    ret->api.want = NULL;
    return result;
}

/* The index of a ref, or 0; the file of a ref, or NULL. */
static TPM2_HANDLE index_of(const char *ref)
{
    TPM2_HANDLE handle = 0;

    return !strncmp(ref, "n:", 2) && tpm_nvcert_parse_ref(ref + 2, &handle) ? handle : 0;
}

static const char *file_of(const char *ref)
{
    return strncmp(ref, "c:", 2) ? NULL : ref + 2;
}

/* What cannot be removed must not be found out when the new one is in its place. */
static int check_same(struct tpm_token *token, const struct hx_spec *spec, const struct same *same)
{
    if (same->count && !(spec->flags & HX_REPLACE))
        return hx_fail(token->host, HX_E_EXISTS, "there is a certificate with the label '%s'", same->label);
    for (size_t i = 0; i < same->count; i++) {
        TPM2_HANDLE index = index_of(same->ref[i]);

        if (index && (index < TPM_NV_OWNER_FIRST || index > TPM_NV_OWNER_LAST))
            return hx_fail(token->host, HX_E_EXISTS,
                           "the label '%s' is that of the certificate in NV index 0x%08x, which is not the owner's",
                           same->label, index);
    }
    return 0;
}

static bool parse_index(const char *place, TPM2_HANDLE *ret)
{
    if (!strncmp(place, "0x", 2))
        place += 2;
    if (strlen(place) == 7 && *place == '1') { /* as tpm2-tools print it */
        char longer[9] = "0";

        strcat(longer, place);
        return tpm_nvcert_parse_ref(longer, ret);
    }
    return tpm_nvcert_parse_ref(place, ret);
}

static int find_goal(struct tpm_token *token, const struct hx_spec *spec, struct goal *ret)
{
    const char *place = spec->place;

    *ret = (struct goal){ .label = spec->label };
    if (place && tpm_certfile_label(place, ret->file_label)) {
        ret->to_file = true;
        if (!ret->label || !*ret->label)
            ret->label = ret->file_label;
        if (strcmp(ret->label, ret->file_label))
            return hx_fail(token->host, HX_E_INVALID, "the certificate in '%s' is called '%s', not '%s'", place,
                           ret->file_label, ret->label);
    } else if (place && (!parse_index(place, &ret->index) || ret->index < TPM_NV_OWNER_FIRST ||
                         ret->index > TPM_NV_OWNER_LAST)) {
        return hx_fail(token->host, HX_E_INVALID,
                       "place '%s' is neither an NV index from 0x%08x to 0x%08x nor a file name that ends with .pem",
                       place, TPM_NV_OWNER_FIRST, TPM_NV_OWNER_LAST);
    }
    if (!ret->label || !*ret->label)
        return hx_fail(token->host, HX_E_INVALID, "the certificate wants a label");
    if (strlen(ret->label) > TPM_LABELS_LABEL)
        return hx_fail(token->host, HX_E_INVALID, "the label is longer than %d bytes", TPM_LABELS_LABEL);
    return 0;
}

static int store_file(struct tpm_token *token, const struct goal *goal, const struct same *same,
                      const struct hx_buf *der, char ret_ref[TPM_REF_SIZE])
{
    const char *file = NULL;

    for (size_t i = 0; i < same->count && !file; i++)
        file = file_of(same->ref[i]);
    return tpm_certfile_store(token, goal->label, file, der->data, der->len, ret_ref);
}

/* Only where the very index is asked for that the old one is in does that go first. */
static int store_index(struct tpm_token *token, const struct goal *goal, const struct same *same,
                       const struct hx_buf *der, char ret_ref[TPM_REF_SIZE])
{
    struct tpm_nvcert_new new = { .label = goal->label, .handle = goal->index, .der = der->data, .len = der->len };
    TPM2_HANDLE index;
    int result = 0;

    for (size_t i = 0; i < same->count && !result; i++) {
        index = index_of(same->ref[i]);
        if (index && index == goal->index)
            result = tpm_nvcert_remove(token, HX_CERTIFICATE, same->ref[i] + 2);
        else if (index)
            new.old[new.olds++] = index;
    }
    if (!result)
        result = tpm_nvcert_store(token, &new, &index);
    if (!result)
        tpm_nvcert_ref(index, ret_ref);
    return result;
}

/* What is in a file is exchanged there, where all else that is in it stays, and keeps its label. */
static bool is_in_file(const struct same *same)
{
    for (size_t i = 0; i < same->count; i++)
        if (file_of(same->ref[i]))
            return true;
    return false;
}

static int store(struct tpm_token *token, const struct goal *goal, const struct same *same, const struct hx_buf *der,
                 char ret_ref[TPM_REF_SIZE])
{
    int result;

    if (goal->to_file || (!goal->index && is_in_file(same)))
        return store_file(token, goal, same, der, ret_ref);
    result = store_index(token, goal, same, der, ret_ref);
    if (result != HX_E_FULL || goal->index)
        return result;
    token->host->log(token->host, LOG_INFO, "the TPM has no room for certificate '%s': it goes into a file",
                     goal->label);
    return store_file(token, goal, same, der, ret_ref);
}

static int remove_same(struct tpm_token *token, const struct same *same, const char *but)
{
    int result = 0;

    for (size_t i = 0; i < same->count && !result; i++) {
        const char *ref = same->ref[i];

        if (!strcmp(ref, but))
            continue;
        result = tpm_remove(token, HX_CERTIFICATE, ref, strlen(ref));
        if (result == HX_E_NOT_FOUND)
            result = 0;
    }
    return result;
}

int tpm_import_certificate(struct tpm_token *token, const struct hx_spec *spec, const struct hx_buf *part,
                           struct hx_out *ref)
{
    struct hx_object facts = { 0 };
    char made[TPM_REF_SIZE];
    struct goal goal;
    struct same same;
    int result = find_goal(token, spec, &goal);

    if (result)
        return result;
    if (part->len > UINT16_MAX || !tpm_certificate_facts(part->data, part->len, &facts))
        return hx_fail(token->host, HX_E_INVALID, "that is no X.509 certificate in DER");
    if ((result = find_same(token, goal.label, &same)) || (result = check_same(token, spec, &same)) ||
        (result = store(token, &goal, &same, part, made)) || (result = remove_same(token, &same, made)))
        return result;
    return hx_put(ref, made, strlen(made));
}
