/* SPDX-License-Identifier: Apache-2.0 */
/* Writing certificate files.  Replacing or removing one certificate of several touches no other, nor what is said of
 * that one: text belongs to the certificate that follows. */
#include "certfile.h"
#include "certificate.h"
#include "merged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MEMBER_SIZE (TPM_NAME_SIZE + 8) /* FILE#n */

/* A file's text and what is in it. */
struct contents {
    unsigned char *text;
    size_t len;
    struct tpm_pem pem;
};

static int read_contents(const struct tpm_merged *merged, const char *file, struct contents *ret)
{
    char path[TPM_PATH_SIZE];
    const char *wrong;
    int result = tpm_merged_read(merged, file, false, &ret->text, &ret->len);

    if (result)
        return result;
    wrong = tpm_pem_divide(ret->text, ret->len, &ret->pem);
    if (!wrong)
        return 0;
    free(ret->text);
    return hx_fail(merged->host, HX_E_CONFIG, "'%s' is unusable: %s", tpm_merged_path(merged, file, path), wrong);
}

static void free_contents(struct contents *contents)
{
    free(contents->text);
    tpm_pem_free(&contents->pem);
}

/* What else is in it may be a key. */
static mode_t mode_of(const struct tpm_directory *locked, const char *file, const struct contents *contents)
{
    struct stat st;

    if (!fstatat(locked->fd, file, &st, 0))
        return st.st_mode & 0777;
    return contents->pem.others ? 0600 : 0644;
}

/* Writes the text with one block exchanged, or taken out. */
static int rewrite(const struct tpm_directory *locked, const char *file, const struct contents *contents,
                   const struct tpm_pem_block *block, const char *pem, size_t pem_len)
{
    size_t total = contents->len - (block->end - block->start) + pem_len;
    unsigned char *joined = malloc(total + 1), *to = joined;
    int result;

    if (!joined)
        return hx_fail(locked->host, HX_E_NO_MEMORY, "out of memory");
    to = mempcpy(to, contents->text, block->start);
    to = mempcpy(to, pem, pem_len);
    memcpy(to, contents->text + block->end, contents->len - block->end);
    result = tpm_directory_write(locked, file, mode_of(locked, file, contents), joined, total, true);
    free(joined);
    return result;
}

static int exchange(const struct tpm_merged *merged, const struct tpm_directory *locked, const char *member,
                    const char *pem, size_t pem_len)
{
    struct contents contents;
    char file[TPM_REF_SIZE];
    size_t index = 0;
    int result = tpm_certfile_parse_ref(member, file, &index)
                     ? read_contents(merged, file, &contents)
                     : hx_fail(merged->host, HX_E_NOT_FOUND, "'%s' is no certificate's file", member);

    if (result)
        return result;
    if (index < contents.pem.count && contents.pem.count + contents.pem.others == 1)
        result = tpm_directory_write(locked, file, mode_of(locked, file, &contents), pem, pem_len, true);
    else if (index < contents.pem.count)
        result = rewrite(locked, file, &contents, &contents.pem.block[index], pem, pem_len);
    else
        result = hx_fail(merged->host, HX_E_NOT_FOUND, "there is no certificate in '%s' any more", file);
    free_contents(&contents);
    return result;
}

/* A key in LABEL.pem stays where it is. */
static int write_new(const struct tpm_merged *merged, const struct tpm_directory *locked, const char *label,
                     const char *pem, size_t pem_len, char ret_file[MEMBER_SIZE])
{
    if (!tpm_name_print(label, ".pem", ret_file))
        return hx_fail(merged->host, HX_E_INVALID,
                       "the label is empty or too long for a file name (251 plain characters; others count three)");
    if (tpm_merged_has(merged, ret_file))
        tpm_name_print(label, ".crt", ret_file);
    return tpm_directory_write(locked, ret_file, 0644, pem, pem_len, false);
}

static int store(const struct tpm_merged *merged, const char *label, const char *member, const char *pem,
                 size_t pem_len, char ret_file[MEMBER_SIZE])
{
    struct tpm_directory locked;
    int result = tpm_merged_lock(merged, NULL, &locked);

    if (result)
        return result;
    if (member) {
        snprintf(ret_file, MEMBER_SIZE, "%s", member);
        result = exchange(merged, &locked, member, pem, pem_len);
    } else {
        result = write_new(merged, &locked, label, pem, pem_len, ret_file);
    }
    tpm_directory_close(&locked);
    return result;
}

int tpm_certfile_store(struct tpm_token *token, const char *label, const char *member, const void *der, size_t len,
                       char ret_ref[TPM_REF_SIZE])
{
    struct tpm_merged merged;
    char name[MEMBER_SIZE], *pem;
    size_t pem_len;
    int result;

    if (!tpm_pem_print(der, len, &pem, &pem_len))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    result = tpm_merged_open(token->host, &merged);
    if (!result) {
        result = store(&merged, label, member, pem, pem_len, name);
        tpm_merged_close(&merged);
    }
    free(pem);
    if (!result)
        snprintf(ret_ref, TPM_REF_SIZE, "c:%s", name);
    return result;
}

static int remove_block(const struct tpm_merged *merged, const struct tpm_directory *locked, const char *file,
                        size_t index)
{
    struct contents contents;
    int result = read_contents(merged, file, &contents);

    if (result == HX_E_CONFIG && !index) /* a broken file can at least be removed */
        return tpm_directory_remove(locked, file);
    if (result)
        return result;
    if (index >= contents.pem.count)
        result = hx_fail(merged->host, HX_E_NOT_FOUND, "there is no certificate %zu in '%s'", index + 1, file);
    else if (contents.pem.count + contents.pem.others == 1)
        result = tpm_directory_remove(locked, file);
    else
        result = rewrite(locked, file, &contents, &contents.pem.block[index], "", 0);
    free_contents(&contents);
    return result;
}

int tpm_certfile_remove(struct tpm_token *token, uint32_t kind, const char *rest)
{
    struct tpm_merged merged;
    struct tpm_directory locked;
    char file[TPM_REF_SIZE];
    size_t index;
    int result;

    if (!tpm_certfile_parse_ref(rest, file, &index) || kind != HX_CERTIFICATE)
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no certificate in a file");
    if ((result = tpm_merged_open(token->host, &merged)))
        return result;
    result = tpm_merged_lock(&merged, file, &locked);
    if (!result) {
        result = remove_block(&merged, &locked, file, index);
        tpm_directory_close(&locked);
    }
    tpm_merged_close(&merged);
    return result;
}
