/* SPDX-License-Identifier: Apache-2.0 */
/* A file may hold a key and certificates.  Replacing or removing one of them rewrites the file without touching the
 * others, comments included. */
#include "store.h"

#include "list.h"
#include "write.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does this file hold the object of that kind? */
static const struct block *block_of(uint32_t kind, size_t index, const struct contents *contents)
{
    if (kind == HX_CERTIFICATE)
        return contents_certificate(contents, index);
    return kind == HX_PRIVATE_KEY ? contents_key(contents) : NULL;
}

static bool holds(uint32_t kind, const struct contents *contents)
{
    if (kind == HX_SECRET_KEY || kind == HX_DATA)
        return contents->name.suffix == (kind == HX_DATA ? NAME_DATA : NAME_SECRET);
    return block_of(kind, 0, contents);
}

struct search {
    struct token *token;
    uint32_t kind;
    const char *label;
    char found[NAME_SIZE];
};

static int search_file(void *arg, const char *file, const struct contents *contents)
{
    struct search *search = arg;
    if (strcmp(contents->name.label, search->label) || !holds(search->kind, contents))
        return 0;
    if (search->found[0])
        return hx_fail(search->token->host, HX_E_AMBIGUOUS, "'%s/%s' and '%s/%s' both hold '%s': remove one",
                       search->token->path, search->found, search->token->path, file, search->label);
    strcpy(search->found, file);
    return 0;
}

static int find(struct token *token, uint32_t kind, const char *label, struct search *ret)
{
    *ret = (struct search){ .token = token, .kind = kind, .label = label };
    return list_each(token, search_file, ret);
}

static int taken(const struct search *search)
{
    return hx_fail(search->token->host, HX_E_EXISTS, "label '%s' is taken by '%s/%s'", search->label,
                   search->token->path, search->found);
}

int store_check_free(struct token *token, uint32_t kind, const char *label)
{
    struct search search;
    int result = find(token, kind, label, &search);
    return !result && search.found[0] ? taken(&search) : result;
}

/* The file's text with one block exchanged, or taken out. */
static int rewrite(struct token *token, int dir, const char *file, const struct contents *contents,
                   const struct block *block, const void *text, size_t len)
{
    size_t total = contents->len - (block->end - block->start) + len;
    unsigned char *joined = malloc(total + 1);
    if (!joined)
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    memcpy(joined, contents->text, block->start);
    if (len)
        memcpy(joined + block->start, text, len);
    memcpy(joined + block->start + len, contents->text + block->end, contents->len - block->end);
    int result = write_file(token, dir, file, joined, total, true);
    directory_wipe(joined, total);
    return result;
}

/* Is there anything but this block (and what belongs to it) in the file? */
static bool alone(const struct contents *contents, const struct block *block)
{
    for (size_t i = 0; i < contents->count; i++)
        if (&contents->block[i] != block &&
            (block_is_key(&contents->block[i]) || contents->block[i].what == BLOCK_CERTIFICATE))
            return false;
    return true;
}

/* The new key's public part comes with it; the old one's must go, or the two would not fit. */
static int exchange_key(struct token *token, int dir, const char *file, const struct contents *contents,
                        const void *text, size_t len)
{
    const struct block *key = contents_key(contents), *public = contents_public(contents);
    struct block both = *key;
    if (public == key + 1)
        both.end = public->end;
    else if (public)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "'%s/%s' holds a public key apart from its private one",
                       token->path, file);
    return rewrite(token, dir, file, contents, &both, text, len);
}

static int exchange(struct token *token, int dir, const char *file, uint32_t kind, const void *text, size_t len)
{
    struct contents contents;
    int result = contents_read(token, dir, file, &contents);
    if (result)
        return result;
    const struct block *block = block_of(kind, 0, &contents);
    if (!block || alone(&contents, block))
        result = write_file(token, dir, file, text, len, true);
    else if (kind == HX_PRIVATE_KEY)
        result = exchange_key(token, dir, file, &contents, text, len);
    else
        result = rewrite(token, dir, file, &contents, block, text, len);
    contents_free(&contents);
    return result;
}

static enum name_suffix suffix_of(uint32_t kind)
{
    switch (kind) {
    case HX_PRIVATE_KEY:
        return NAME_KEY;
    case HX_CERTIFICATE:
        return NAME_PEM;
    case HX_SECRET_KEY:
        return NAME_SECRET;
    default:
        return NAME_DATA;
    }
}

/* A file of that name that is none of an object (a broken one) may be replaced, but one that holds another may not, nor
 * one that cannot be read: what would be lost with it, nobody knows. */
static int place(struct token *token, int dir, uint32_t kind, const char *label, bool *inout_replace,
                 char ret[NAME_SIZE])
{
    struct contents contents;
    if (!name_make(label, suffix_of(kind), ret))
        return hx_fail(token->host, HX_E_INVALID,
                       "the label is empty or too long for a file name (248 plain characters; others count three)");
    if (faccessat(dir, ret, F_OK, AT_SYMLINK_NOFOLLOW))
        return 0;
    int result = contents_read(token, dir, ret, &contents);
    bool other = !result;
    if (result && result != HX_E_CONFIG)
        return result;
    if (other)
        contents_free(&contents);
    if (kind == HX_CERTIFICATE) { /* a key in LABEL.pem, or several */
        *inout_replace = false;
        return name_make(label, NAME_CRT, ret) ? 0 : HX_E_INVALID;
    }
    *inout_replace = *inout_replace && !other;
    return 0;
}

static int add_locked(struct token *token, int dir, uint32_t kind, const char *label, const void *text, size_t len,
                      bool replace, char ret[NAME_SIZE])
{
    struct search search;
    int result = find(token, kind, label, &search);
    if (result)
        return result;
    if (search.found[0]) {
        strcpy(ret, search.found);
        return replace ? exchange(token, dir, ret, kind, text, len) : taken(&search);
    }
    result = place(token, dir, kind, label, &replace, ret);
    return result ? result : write_file(token, dir, ret, text, len, replace);
}

int store_add(struct token *token, uint32_t kind, const char *label, const void *text, size_t len, bool replace,
              struct hx_out *ret_ref)
{
    char file[NAME_SIZE];
    int dir, result = directory_lock(token, &dir);
    if (result)
        return result;
    write_sweep(dir);
    result = add_locked(token, dir, kind, label, text, len, replace, file);
    directory_unlock(dir);
    return result ? result : hx_put(ret_ref, file, strlen(file));
}

static int remove_locked(struct token *token, int dir, uint32_t kind, const char *file, size_t index)
{
    struct contents contents;
    int result = contents_read(token, dir, file, &contents);
    if (result == HX_E_CONFIG && !index) /* a broken file can at least be removed */
        return write_remove(token, dir, file);
    if (result)
        return result;
    const struct block *block = block_of(kind, index, &contents);
    if (!block && (!holds(kind, &contents) || index))
        result = hx_fail(token->host, HX_E_NOT_FOUND, "'%s/%s' holds no such object", token->path, file);
    else if (!block || alone(&contents, block))
        result = write_remove(token, dir, file);
    else if (kind == HX_PRIVATE_KEY)
        result = exchange_key(token, dir, file, &contents, NULL, 0);
    else
        result = rewrite(token, dir, file, &contents, block, NULL, 0);
    contents_free(&contents);
    return result;
}

int store_remove(void *p, uint32_t kind, const void *ref, size_t ref_len)
{
    struct token *token = p;
    char file[NAME_SIZE];
    size_t index;
    if (!name_parse_ref(ref, ref_len, file, &index))
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no file of this token");
    bool missing;
    int dir, result = directory_missing(token, &missing);
    if (!result && missing)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no directory '%s'", token->path);
    if (!result)
        result = directory_lock(token, &dir);
    if (result)
        return result;
    write_sweep(dir);
    result = remove_locked(token, dir, kind, file, index);
    directory_unlock(dir);
    return result;
}
