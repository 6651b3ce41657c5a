/* SPDX-License-Identifier: Apache-2.0 */
/* Taking keys away.  The label goes after the key: one that is left is bound to the key's Name, and means nothing. */
#include "directory.h"
#include "label.h"
#include "make.h"

#include <string.h>

static int check(struct tpm_token *token, uint32_t kind, TPM2_HANDLE handle)
{
    struct hx_object info;
    struct tpm_key *key;
    int result = tpm_key_at(token, handle, &key);

    if (result)
        return result;
    if (!tpm_public_facts(&key->public.publicArea, &info) || info.kind != kind)
        result = hx_fail(token->host, HX_E_NOT_FOUND, "there is another kind of object at handle 0x%08x", handle);
    else
        result = tpm_evict_check(token, handle, &key->public.publicArea);
    tpm_key_release(token, key);
    return result;
}

int tpm_remove_handle(struct tpm_token *token, uint32_t kind, TPM2_HANDLE handle)
{
    int result;

    if ((result = tpm_label_refresh(token)) || (result = check(token, kind, handle)))
        return result;
    return tpm_settle_evict(token, handle);
}

int tpm_remove_key_file(struct tpm_token *token, const char *file)
{
    const char *path = token->host->option(token->host, "key-files");
    struct tpm_directory directory;
    int result;

    if (!path || strchr(file, '/') || file[0] == '.')
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no key file '%s'", file);
    result = tpm_directory_lock(token->host, path, &directory);
    if (result)
        return result;
    result = tpm_directory_remove(&directory, file);
    tpm_directory_close(&directory);
    return result;
}
