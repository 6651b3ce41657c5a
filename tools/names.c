/* SPDX-License-Identifier: Apache-2.0 */
/* The words that people use for kinds, types and hashes, and the shapes of addresses. */
#include "tool.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct type_row {
    const char *word;
    uint32_t type, bits;
};

static const struct type_row types[] = {
    { "rsa:2048", HX_RSA, 2048 },   { "rsa:3072", HX_RSA, 3072 }, { "rsa:4096", HX_RSA, 4096 },
    { "p256", HX_P256, 256 },       { "p384", HX_P384, 384 },     { "p521", HX_P521, 521 },
    { "ed25519", HX_ED25519, 256 },
};

struct hash_row {
    const char *word, *name;
    uint32_t hash;
};

static const struct hash_row hashes[] = {
    { "sha1", "SHA1", HX_SHA1 },
    { "sha256", "SHA256", HX_SHA256 },
    { "sha384", "SHA384", HX_SHA384 },
    { "sha512", "SHA512", HX_SHA512 },
};

const char *kind_word(uint32_t kind)
{
    static const char *const words[] = { "unknown", "key", "pubkey", "secret", "cert", "data" };

    return kind < sizeof words / sizeof words[0] ? words[kind] : words[0];
}

const char *type_word(const struct hx_object *object, char buf[static 32])
{
    if (object->kind == HX_DATA || (object->kind == HX_CERTIFICATE && !object->type))
        return "";
    if (object->type == HX_GENERIC)
        return "generic";
    if (object->type == HX_RSA) {
        snprintf(buf, 32, "rsa:%u", object->bits);
        return buf;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type == object->type)
            return types[i].word;
    }
    return "unknown";
}

const char *hash_word(uint32_t hash)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i].hash == hash)
            return hashes[i].name;
    }
    return NULL;
}

int parse_hash(const char *word, uint32_t *ret)
{
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (!strcmp(hashes[i].word, word)) {
            *ret = hashes[i].hash;
            return DONE;
        }
    }
    return misused("no hash '%s': sha256, sha384, sha512 or sha1", word);
}

int parse_type(const char *word, struct hx_spec *ret)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (!strcmp(types[i].word, word)) {
            ret->type = types[i].type;
            ret->bits = types[i].bits;
            return DONE;
        }
    }
    return misused("no key type '%s': rsa:2048, rsa:3072, rsa:4096, p256, p384, p521 or ed25519", word);
}

bool is_credential(const char *address, const char **ret_name)
{
    if (strncmp(address, "hsm:", 4) || strpbrk(address, "/?"))
        return false;
    *ret_name = address[4] ? address + 4 : NULL;
    return true;
}

char *encode_base64(const void *data, size_t len)
{
    unsigned char *text = malloc((len + 2) / 3 * 4 + 1);

    if (text)
        EVP_EncodeBlock(text, data, (int)len);
    return (char *)text;
}

char *percent_encode(const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *encoded = malloc(3 * strlen(text) + 1), *out = encoded;

    if (!encoded)
        return NULL;
    for (const char *c = text; *c; c++) {
        if (strchr(plain, *c))
            *out++ = *c;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*c);
    }
    *out = 0;
    return encoded;
}

int token_address(const char *token, const char *rest, char **ret)
{
    AUTO_FREE char *name = percent_encode(token);
    char *out;

    if (!name)
        return fail("out of memory");
    out = text_of("hsm:%s/%s", name, rest);
    if (!out)
        return fail("out of memory");
    *ret = out;
    return DONE;
}

char *address_token(const char *address)
{
    const char *slash = strchr(address, '/');
    char *token, *out;

    if (strncmp(address, "hsm:", 4) || !slash)
        return NULL;
    token = out = strndup(address + 4, (size_t)(slash - address - 4));
    for (const char *c = token; c && *c; c++) {
        char digits[3] = { 0 };

        if (*c == '%' && isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2])) {
            memcpy(digits, c + 1, 2);
            *out++ = (char)strtoul(digits, NULL, 16);
            c += 2;
        } else {
            *out++ = *c;
        }
    }
    if (out)
        *out = 0;
    return token;
}
