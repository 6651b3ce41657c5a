/* SPDX-License-Identifier: Apache-2.0 */
/* Listing reads files and parses numbers; it decrypts nothing, and one bad file hides none of the others. */
#include "list.h"

#include "object.h"
#include "parts.h"
#include "quiet.h"

#include <string.h>
#include <unistd.h>

static bool is_wanted(const struct hx_object *want, const char *file)
{
    struct name name;
    if (!want || !name_parse(file, &name))
        return true;
    if (want->kind == HX_SECRET_KEY ? name.suffix != NAME_SECRET : want->kind && name.suffix == NAME_SECRET)
        return false;
    if (want->kind == HX_DATA ? name.suffix != NAME_DATA : want->kind && name.suffix == NAME_DATA)
        return false;
    size_t len = strlen(name.label);
    return !want->label || (!strncmp(want->label, name.label, len) && strchr("#", want->label[len]));
}

/* The public part of an encrypted key: below it in the file, or in the certificate of the same name. */
static bool public_beside(struct token *token, int dir, const char *file, const struct contents *contents,
                          struct public_key *ret)
{
    const struct block *block = contents_public(contents);
    if (block)
        return public_from_spki(block->der, block->len, ret);
    block = contents_certificate(contents, 0);
    if (block)
        return public_from_certificate(block->der, block->len, ret);
    static const char *const suffixes[] = { ".pem", ".crt" };
    size_t stem = strlen(file) - 4; /* all three suffixes are of that length */
    for (size_t i = 0; i < 2; i++) {
        char sibling[NAME_SIZE];
        struct contents other;
        snprintf(sibling, sizeof sibling, "%.*s%s", (int)stem, file, suffixes[i]);
        if (!strcmp(sibling, file) || contents_read(token, dir, sibling, &other))
            continue;
        block = contents_certificate(&other, 0);
        bool ok = block && public_from_certificate(block->der, block->len, ret);
        contents_free(&other);
        if (ok)
            return true;
    }
    return false;
}

static int list_key(struct quiet *quiet, int dir, const char *file, const struct contents *contents,
                    struct hx_list *list)
{
    const struct block *block = contents_key(contents);
    struct public_key public = { 0 };
    struct parts parts;
    const char *why = "its numbers are unusable";
    if (!block)
        return 0;
    bool ok = true;
    if (!block_is_encrypted(block)) {
        ok = !parts_from_block(block, &parts, &why) && parts_public(&parts, &public);
        parts_wipe(&parts);
    } else if (!public_beside(&quiet->token, dir, file, contents, &public)) {
        memset(&public, 0, sizeof public);
        ok = public_label_id(contents->name.label, public.id);
    }
    if (ok)
        return object_describe(HX_PRIVATE_KEY, contents, file, 0, &public, list);
    hx_fail(&quiet->host, HX_E_CONFIG, "'%s/%s' is unusable: %s", quiet->token.path, file, why);
    quiet_warn(quiet);
    return 0;
}

static int list_certificates(struct quiet *quiet, const char *file, const struct contents *contents,
                             struct hx_list *list)
{
    const struct block *block;
    for (size_t i = 0; (block = contents_certificate(contents, i)); i++) {
        struct public_key public;
        if (!public_from_certificate(block->der, block->len, &public)) {
            hx_fail(&quiet->host, HX_E_CONFIG, "certificate %zu in '%s/%s' is unusable: it is no X.509 certificate",
                    i + 1, quiet->token.path, file);
            quiet_warn(quiet);
            continue;
        }
        int result = object_describe(HX_CERTIFICATE, contents, file, i, &public, list);
        if (result)
            return result;
    }
    return 0;
}

static int list_whole(uint32_t kind, const char *file, const struct contents *contents, struct hx_list *list)
{
    struct public_key public = { .type = kind == HX_SECRET_KEY ? HX_GENERIC : 0 };
    if (kind == HX_SECRET_KEY && !contents->count)
    public.bits = (uint32_t)contents->len * 8;
    if (!public_label_id(contents->name.label, public.id))
        return HX_E_NO_MEMORY;
    return object_describe(kind, contents, file, 0, &public, list);
}

static int list_file(struct quiet *quiet, int dir, const char *file, const struct contents *contents,
                     struct hx_list *list)
{
    uint32_t kind = list->want ? list->want->kind : 0;
    if (contents->name.suffix == NAME_DATA)
        return list_whole(HX_DATA, file, contents, list);
    if (contents->name.suffix == NAME_SECRET)
        return list_whole(HX_SECRET_KEY, file, contents, list);
    int result = kind && kind != HX_PRIVATE_KEY ? 0 : list_key(quiet, dir, file, contents, list);
    if (!result && (!kind || kind == HX_CERTIFICATE))
        result = list_certificates(quiet, file, contents, list);
    return result;
}

/* A key that this user may not read is there all the same; that it cannot be used is said when it is loaded. */
static int list_unreadable(const char *file, struct hx_list *list)
{
    struct contents contents = { .count = 0 };
    struct public_key public = { 0 };
    if (!name_parse(file, &contents.name) || (contents.name.suffix != NAME_KEY && contents.name.suffix != NAME_SECRET))
        return 0;
    bool secret = contents.name.suffix == NAME_SECRET;
    public.type = secret ? HX_GENERIC : 0;
    if (!public_label_id(contents.name.label, public.id))
        return HX_E_NO_MEMORY;
    return object_describe(secret ? HX_SECRET_KEY : HX_PRIVATE_KEY, &contents, file, 0, &public, list);
}

typedef int name_fn(void *arg, struct quiet *, int dir, const char *file);

static int each_name(struct token *token, name_fn *fn, void *arg)
{
    struct quiet quiet;
    struct dirent **names;
    size_t count;
    int dir, result = directory_open(token, false, &dir);
    if (result)
        return result;
    quiet_init(&quiet, token);
    result = directory_names(token, dir, &names, &count);
    if (!result) {
        for (size_t i = 0; i < count && !result; i++)
            result = fn(arg, &quiet, dir, names[i]->d_name);
        directory_free_names(names, count);
    }
    close(dir);
    return result;
}

static int list_name(void *arg, struct quiet *quiet, int dir, const char *file)
{
    struct hx_list *list = arg;
    struct contents contents;
    if (!is_wanted(list->want, file))
        return 0;
    int result = contents_read(&quiet->token, dir, file, &contents);
    if (!result) {
        result = list_file(quiet, dir, file, &contents, list);
        contents_free(&contents);
        return result;
    }
    if (result == HX_E_NOT_FOUND || result == HX_E_NO_MEMORY) /* removed meanwhile; too bad to go on */
        return result == HX_E_NOT_FOUND ? 0 : result;
    quiet_warn(quiet);
    return result == HX_E_ACCESS ? list_unreadable(file, list) : 0;
}

int list_objects(void *token, struct hx_list *list)
{
    bool missing;
    int result = directory_missing(token, &missing);
    return result || missing ? result : each_name(token, list_name, list);
}

struct visit {
    list_fn *fn;
    void *arg;
};

static int visit_name(void *arg, struct quiet *quiet, int dir, const char *file)
{
    const struct visit *visit = arg;
    struct contents contents;
    if (contents_read(&quiet->token, dir, file, &contents))
        return 0;
    int result = visit->fn(visit->arg, file, &contents);
    contents_free(&contents);
    return result;
}

int list_each(struct token *token, list_fn *fn, void *arg)
{
    struct visit visit = { fn, arg };
    bool missing;
    int result = directory_missing(token, &missing);
    return result || missing ? result : each_name(token, visit_name, &visit);
}

static int find_encrypted(void *arg, const char *file, const struct contents *contents)
{
    const struct block *block = contents_key(contents);
    (void)arg;
    (void)file;
    return block && block_is_encrypted(block) ? 1 : 0;
}

int list_encrypted(struct token *token, bool *ret)
{
    int result = list_each(token, find_encrypted, NULL);
    if (result >= 0)
        *ret = result == 1;
    return result < 0 ? result : 0;
}
