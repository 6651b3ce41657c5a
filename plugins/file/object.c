/* SPDX-License-Identifier: Apache-2.0 */
/* Loading an object: the file is parsed once, and the key is kept as libcrypto wants it. */
#include "object.h"

#include "crypto.h"
#include "key.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t object_usage(uint32_t kind, uint32_t type)
{
    if (kind == HX_SECRET_KEY)
        return HX_SIGN_MESSAGE;
    if (kind != HX_PRIVATE_KEY)
        return 0;
    switch (type) {
    case HX_RSA:
        return HX_SIGN_DIGEST | HX_DECRYPT;
    case HX_P256:
    case HX_P384:
    case HX_P521:
        return HX_SIGN_DIGEST | HX_DERIVE;
    case HX_ED25519:
        return HX_SIGN_MESSAGE;
    default:
        return HX_SIGN_DIGEST | HX_SIGN_MESSAGE; /* encrypted: each type that there may be signs */
    }
}

int object_describe(uint32_t kind, const struct contents *contents, const char *file, size_t index,
                    const struct public_key *public, struct hx_list *list)
{
    char ref[NAME_SIZE + 24], label[NAME_SIZE + 24];
    name_print_ref(file, index, ref);
    name_print_ref(contents->name.label, index, label);
    struct hx_object object = {
        .kind = kind,
        .type = public->type,
        .bits = public->bits,
        .rsa_e = public->rsa_e,
        .usage = object_usage(kind, public->type),
        .label = label,
        .id = { public->id, sizeof public->id },
        .ref = { ref, strlen(ref) },
    };
    return hx_add(list, &object);
}

void object_unload(void *p)
{
    struct object *object = p;
    ready_free(&object->ready);
    EVP_PKEY_free(object->key);
    directory_wipe(object->value, object->len);
    OPENSSL_cleanse(object, sizeof *object);
    free(object);
}

static int keep_value(struct object *object, const void *data, size_t len)
{
    object->value = malloc(len + 1);
    if (!object->value)
        return hx_fail(object->token->host, HX_E_NO_MEMORY, "out of memory");
    memcpy(object->value, data, len);
    object->len = len;
    return 0;
}

/* The block as it is, or what the PIN makes of it. */
static int decrypt(struct token *token, const char *file, const struct block *block, unsigned char **ret,
                   size_t *ret_len)
{
    unsigned char pin[TOKEN_PIN_MAX];
    size_t pin_len = token_pin(token, pin);
    if (!pin_len)
        return hx_fail(token->host, HX_E_LOGIN, "'%s/%s' is encrypted, and there is no PIN", token->path, file);
    int result = key_decrypt(token, file, block, pin, pin_len, ret, ret_len);
    OPENSSL_cleanse(pin, sizeof pin);
    return result;
}

static int check_public(const struct contents *contents, const struct public_key *public, const char **ret_why)
{
    const struct block *block = contents_public(contents);
    struct public_key beside;
    *ret_why = "the public key below it belongs to another key";
    return !block || (public_from_spki(block->der, block->len, &beside) && public_equal(public, &beside)) ? 0
                                                                                                          : HX_E_CONFIG;
}

static int make_key(struct object *object, const char *file, const struct contents *contents, const struct block *block)
{
    struct token *token = object->token;
    struct parts parts;
    const char *why = "its numbers are unusable";
    int result = parts_from_block(block, &parts, &why);
    if (!result && !parts_public(&parts, &object->public))
        result = HX_E_CONFIG;
    if (!result)
        result = check_public(contents, &object->public, &why);
    if (!result)
        result = key_from_parts(&parts, false, &object->key, &why);
    parts_wipe(&parts);
    return result ? hx_fail(token->host, result, "'%s/%s' is unusable: %s", token->path, file, why) : 0;
}

static int load_key(struct object *object, const char *file, const struct contents *contents)
{
    struct token *token = object->token;
    const struct block *block = contents_key(contents);
    if (!block)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no private key in '%s/%s'", token->path, file);
    int result = directory_check_secret(token, file, &contents->stat);
    if (result)
        return result;
    if (!block_is_encrypted(block))
        return make_key(object, file, contents, block);
    struct block plain = { .what = BLOCK_KEY };
    result = decrypt(token, file, block, &plain.der, &plain.len);
    if (!result)
        result = make_key(object, file, contents, &plain);
    directory_wipe(plain.der, plain.len);
    return result;
}

static int load_certificate(struct object *object, const char *file, size_t index, const struct contents *contents)
{
    struct token *token = object->token;
    const struct block *block = contents_certificate(contents, index);
    if (!block)
        return hx_fail(token->host, HX_E_NOT_FOUND, "there is no certificate %zu in '%s/%s'", index + 1, token->path,
                       file);
    if (!public_from_certificate(block->der, block->len, &object->public))
        return hx_fail(token->host, HX_E_CONFIG, "certificate %zu in '%s/%s' is unusable: it is no X.509 certificate",
                       index + 1, token->path, file);
    return keep_value(object, block->der, block->len);
}

static int load_secret(struct object *object, const char *file, const struct contents *contents)
{
    struct token *token = object->token;
    const struct block *block = contents_key(contents);
    int result = directory_check_secret(token, file, &contents->stat);
    if (!result && block)
        result = decrypt(token, file, block, &object->value, &object->len);
    else if (!result)
        result = keep_value(object, contents->text, contents->len);
    if (result)
        return result;
    if (!object->len)
        return hx_fail(token->host, HX_E_CONFIG, "the secret in '%s/%s' is empty", token->path, file);
    object->public.type = HX_GENERIC;
    object->public.bits = (uint32_t)object->len * 8;
    return public_label_id(contents->name.label, object->public.id) ? 0 : HX_E_NO_MEMORY;
}

static int load_data(struct object *object, const struct contents *contents)
{
    if (!public_label_id(contents->name.label, object->public.id))
        return HX_E_NO_MEMORY;
    return keep_value(object, contents->text, contents->len);
}

static bool suits(uint32_t kind, enum name_suffix suffix)
{
    if (kind == HX_SECRET_KEY || kind == HX_DATA)
        return suffix == (kind == HX_DATA ? NAME_DATA : NAME_SECRET);
    return (kind == HX_PRIVATE_KEY || kind == HX_CERTIFICATE) && suffix <= NAME_CRT;
}

static int fill(struct object *object, const char *file, size_t index, const struct contents *contents)
{
    if (!suits(object->kind, contents->name.suffix) || (index && object->kind != HX_CERTIFICATE))
        return hx_fail(object->token->host, HX_E_NOT_FOUND, "'%s/%s' holds no object of that kind", object->token->path,
                       file);
    switch (object->kind) {
    case HX_PRIVATE_KEY:
        return load_key(object, file, contents);
    case HX_CERTIFICATE:
        return load_certificate(object, file, index, contents);
    case HX_SECRET_KEY:
        return load_secret(object, file, contents);
    default:
        return load_data(object, contents);
    }
}

int object_load(void *p, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info, void **ret)
{
    struct token *token = p;
    char file[NAME_SIZE];
    size_t index;
    int dir;
    if (!name_parse_ref(ref, ref_len, file, &index))
        return hx_fail(token->host, HX_E_NOT_FOUND, "the reference names no file of this token");
    int result = directory_open(token, false, &dir);
    if (result)
        return result;
    struct contents contents;
    result = contents_read(token, dir, file, &contents);
    close(dir);
    if (result)
        return result;
    struct object *object = calloc(1, sizeof *object);
    if (!object) {
        contents_free(&contents);
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    }
    object->token = token;
    object->kind = kind;
    ready_init(&object->ready);
    result = fill(object, file, index, &contents);
    if (!result)
        result = object_describe(kind, &contents, file, index, &object->public, info);
    contents_free(&contents);
    if (result) {
        object_unload(object);
        return result;
    }
    *ret = object;
    return 0;
}

int object_read(void *p, uint32_t part, struct hx_out *out)
{
    const struct object *object = p;
    const struct hx_host *host = object->token->host;
    bool open = object->kind == HX_CERTIFICATE || object->kind == HX_DATA;
    if (part == HX_VALUE && open)
        return hx_put(out, object->value, object->len);
    if (part == HX_VALUE)
        return hx_fail(host, HX_E_UNSUPPORTED, "a key or secret does not leave the token");
    if (part == HX_PUBLIC && object->public.len)
        return hx_put(out, object->public.value, object->public.len);
    return hx_fail(host, HX_E_UNSUPPORTED, "the object has no such part");
}
