/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of key files (option 'key-files').  Whatever its name, a file with such a key counts; its label is its
 * name without the suffix.  Nothing is asked of the TPM until a key is used. */
#include "crypto.h"
#include "directory.h"
#include "keyfile.h"
#include "name.h"
#include "object.h"
#include "quiet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static const char *path_of(const struct tpm_token *token)
{
    return token->host->option(token->host, "key-files");
}

static int read_file(const struct tpm_directory *directory, const char *file, struct tpm_keyfile *ret)
{
    unsigned char *text;
    size_t len;
    char path[4096];
    int result = tpm_directory_read(directory, file, false, &text, &len);

    if (result)
        return result;
    snprintf(path, sizeof path, "%s/%s", directory->path, file);
    result = tpm_keyfile_parse(directory->host, path, text, len, ret);
    free(text);
    return result;
}

static void label_of(const char *file, char ret[TPM_NAME_SIZE])
{
    const char *dot = strrchr(file, '.');

    if (!tpm_name_parse(file, dot ? dot : "", ret))
        snprintf(ret, TPM_NAME_SIZE, "%.*s", dot && dot != file ? (int)(dot - file) : (int)strlen(file), file);
}

static int add(const struct tpm_keyfile *keyfile, const char *file, struct hx_list *list)
{
    char ref[TPM_REF_SIZE], label[TPM_NAME_SIZE];
    struct hx_object info;
    TPM2B_NAME name;

    if (keyfile->type != TPM_KEYFILE_KEY || !tpm_public_facts(&keyfile->public.publicArea, &info))
        return 0;
    label_of(file, label);
    snprintf(ref, sizeof ref, "%s%s", tpm_source_keyfiles.ref, file);
    info.label = label;
    if (tpm_public_name(&keyfile->public, &name))
        info.id = (struct hx_buf){ name.name + 2, TPM_ID };
    info.ref = (struct hx_buf){ ref, strlen(ref) };
    return hx_add(list, &info);
}

static int list_file(struct tpm_token *token, const char *path, const char *file, struct hx_list *list)
{
    struct tpm_quiet quiet;
    char label[TPM_NAME_SIZE];
    struct tpm_directory directory;
    struct tpm_keyfile keyfile;
    int result;

    label_of(file, label);
    if (list->want && list->want->label && strcmp(list->want->label, label))
        return 0;
    tpm_quiet_init(&quiet);
    result = tpm_directory_open(&quiet.host, path, &directory);
    if (!result) {
        result = read_file(&directory, file, &keyfile);
        tpm_directory_close(&directory);
    }
    if (!result)
        return add(&keyfile, file, list);
    if (result == HX_E_NO_MEMORY)
        return hx_fail(token->host, result, "%s", quiet.reason);
    if (result != HX_E_NOT_FOUND)
        token->host->log(token->host, LOG_WARNING, "%s", quiet.reason);
    return 0;
}

static int list_keyfiles(struct tpm_token *token, struct hx_list *list)
{
    const char *path = path_of(token);
    struct tpm_directory directory;
    struct dirent **names;
    size_t count;
    int result;

    if (!path || (!tpm_wants_kind(list, HX_PRIVATE_KEY) && !tpm_wants_kind(list, HX_SECRET_KEY)))
        return 0;
    result = tpm_directory_open(token->host, path, &directory);
    if (result)
        return result == HX_E_NOT_FOUND ? 0 : result;
    result = tpm_directory_names(&directory, &names, &count);
    tpm_directory_close(&directory);
    if (result)
        return result;
    for (size_t i = 0; i < count && !result; i++)
        result = list_file(token, path, names[i]->d_name, list);
    tpm_directory_free_names(names, count);
    return result;
}

static bool is_name(const char *rest)
{
    return *rest && *rest != '.' && !strchr(rest, '/');
}

static int find(struct tpm_token *token, const char *file, struct tpm_keyfile *ret)
{
    const char *path = path_of(token);
    struct tpm_directory directory;
    int result;

    if (!path || !is_name(file))
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no key file '%s': %s", file,
                       path ? "that is no file's name" : "key-files = is not set");
    result = tpm_directory_open(token->host, path, &directory);
    if (result)
        return result;
    result = read_file(&directory, file, ret);
    tpm_directory_close(&directory);
    return result;
}

int tpm_object_take(struct tpm_object *object, const struct tpm_keyfile *keyfile)
{
    struct tpm_key *key = tpm_key_new();
    struct tpm_keyfile *copy = malloc(sizeof *copy);

    if (!key || !copy) {
        free(key);
        free(copy);
        return hx_fail(object->token->host, HX_E_NO_MEMORY, "out of memory");
    }
    *copy = *keyfile;
    key->file = copy;
    key->public = keyfile->public;
    key->no_auth = keyfile->empty_auth;
    tpm_public_name(&key->public, &key->name);
    object->key = key;
    return 0;
}

static int load_keyfile(struct tpm_object *object, const char *rest, struct hx_list *info)
{
    struct tpm_keyfile keyfile;
    struct hx_object facts;
    int result = find(object->token, rest, &keyfile);

    if (result)
        return result;
    if (keyfile.type != TPM_KEYFILE_KEY || !tpm_public_facts(&keyfile.public.publicArea, &facts) ||
        facts.kind != object->kind)
        return hx_fail(object->token->host, HX_E_NOT_FOUND, "there is another kind of object in key file '%s'", rest);
    result = tpm_object_take(object, &keyfile);
    return result ? result : add(&keyfile, rest, info);
}

static int remove_keyfile(struct tpm_token *token, uint32_t kind, const char *rest)
{
    struct tpm_directory directory;
    struct tpm_keyfile keyfile;
    struct hx_object facts;
    int result = find(token, rest, &keyfile);

    if (result)
        return result;
    if (keyfile.type != TPM_KEYFILE_KEY || !tpm_public_facts(&keyfile.public.publicArea, &facts) || facts.kind != kind)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is another kind of object in key file '%s'", rest);
    result = tpm_directory_lock(token->host, path_of(token), &directory);
    if (result)
        return result;
    result = tpm_directory_remove(&directory, rest);
    tpm_directory_close(&directory);
    return result;
}

const struct tpm_source tpm_source_keyfiles = {
    .ref = "k:", .list = list_keyfiles, .load = load_keyfile, .remove = remove_keyfile
};
