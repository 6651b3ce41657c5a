/* SPDX-License-Identifier: Apache-2.0 */
/* A file's PEM blocks.  Files are small and read anew for each call: what another program writes is seen at once. */
#include "contents.h"

#include "crypto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum block_what what;
} labels[] = {
    { PEM_STRING_PKCS8INF, BLOCK_KEY },         { PEM_STRING_RSA, BLOCK_RSA_KEY },
    { PEM_STRING_ECPRIVATEKEY, BLOCK_EC_KEY },  { PEM_STRING_PKCS8, BLOCK_ENCRYPTED_KEY },
    { PEM_STRING_PUBLIC, BLOCK_PUBLIC },        { PEM_STRING_X509, BLOCK_CERTIFICATE },
    { PEM_STRING_X509_OLD, BLOCK_CERTIFICATE }, { SECRET_BLOCK, BLOCK_ENCRYPTED_SECRET },
};

static enum block_what what_is(const char *name, const char *header)
{
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (!strcmp(name, labels[i].name))
            return strstr(header, "ENCRYPTED") ? BLOCK_OLD_KEY : labels[i].what;
    return BLOCK_OTHER;
}

bool block_is_key(const struct block *block)
{
    return block->what >= BLOCK_KEY && block->what <= BLOCK_OLD_KEY;
}

bool block_is_encrypted(const struct block *block)
{
    return block->what == BLOCK_ENCRYPTED_KEY || block->what == BLOCK_OLD_KEY || block->what == BLOCK_ENCRYPTED_SECRET;
}

static void free_block(struct block *block)
{
    OPENSSL_cleanse(block->der, block->len);
    free(block->der);
}

void contents_free(struct contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        free_block(&contents->block[i]);
    free(contents->block);
    directory_wipe(contents->text, contents->len);
    memset(contents, 0, sizeof *contents);
}

static bool add_block(struct contents *contents, enum block_what what, const void *der, size_t len, size_t end)
{
    struct block *grown = reallocarray(contents->block, contents->count + 1, sizeof *grown);
    if (!grown)
        return false;
    contents->block = grown;
    unsigned char *copy = malloc(len + 1);
    if (!copy)
        return false;
    memcpy(copy, der, len);
    size_t start = contents->count ? grown[contents->count - 1].end : 0;
    grown[contents->count++] = (struct block){ .what = what, .der = copy, .len = len, .start = start, .end = end };
    return true;
}

/* One block: 1, none left: 0, broken: HX_E_CONFIG. */
static int next_block(struct contents *contents, BIO *bio, unsigned flags)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    ERR_set_mark();
    if (!PEM_read_bio_ex(bio, &name, &header, &der, &len, flags)) {
        unsigned long error = ERR_peek_last_error();
        if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
            return HX_E_CONFIG;
        ERR_pop_to_mark();
        return 0;
    }
    ERR_pop_to_mark();
    size_t end = contents->len - BIO_ctrl_pending(bio);
    int result = add_block(contents, what_is(name, header), der, (size_t)len, end) ? 1 : HX_E_NO_MEMORY;
    if (flags & PEM_FLAG_SECURE) {
        /* libcrypto frees its base64 context unwiped, the last line in it, which is the whole of a short key; the next
         * context of that size is made, zeroed, in the same place. */
        EVP_ENCODE_CTX_free(EVP_ENCODE_CTX_new());
        OPENSSL_secure_free(name);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(der, (size_t)len);
    } else {
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    return result;
}

static int divide(struct token *token, const char *file, struct contents *contents)
{
    /* The flag has libcrypto wipe its copies; certificates go without, since a small secure heap could not hold a
     * long chain. */
    static const char mark[] = "PRIVATE KEY";
    bool private = memmem(contents->text, contents->len, mark, sizeof mark - 1);
    unsigned flags = PEM_FLAG_EAY_COMPATIBLE | (private ? PEM_FLAG_SECURE : 0);
    BIO *bio = BIO_new_mem_buf(contents->text, (int)contents->len);
    int result = bio ? 1 : HX_E_NO_MEMORY;
    while (result > 0)
        result = next_block(contents, bio, flags);
    BIO_free(bio);
    if (result == HX_E_CONFIG)
        return hx_fail(token->host, result, "'%s/%s' is no good PEM file: %s", token->path, file, crypto_reason());
    if (result)
        return hx_fail(token->host, result, "out of memory");
    return 0;
}

/* A text must hold what its name promises, and one private key at most, or "the key of that label" means nothing. */
static int check(struct token *token, const char *file, const struct contents *contents)
{
    size_t keys = 0, others = 0;
    for (size_t i = 0; i < contents->count; i++) {
        keys += block_is_key(&contents->block[i]);
        others += contents->block[i].what == BLOCK_CERTIFICATE;
    }
    if (keys > 1)
        return hx_fail(token->host, HX_E_CONFIG, "'%s/%s' holds %zu private keys: give each a file of its own",
                       token->path, file, keys);
    if (!keys && !others)
        return hx_fail(token->host, HX_E_CONFIG, "'%s/%s' holds no %s in PEM", token->path, file,
                       contents->name.suffix == NAME_KEY ? "private key" : "certificate");
    return 0;
}

static int parse(struct token *token, const char *file, struct contents *contents)
{
    enum name_suffix suffix = contents->name.suffix;
    static const char ours[] = "-----BEGIN " SECRET_BLOCK "-----";
    if (suffix == NAME_DATA)
        return 0;
    if (suffix == NAME_SECRET) {
        if (!contents->len)
            return hx_fail(token->host, HX_E_CONFIG, "'%s/%s' is empty", token->path, file);
        bool raw = contents->len < sizeof ours - 1 || memcmp(contents->text, ours, sizeof ours - 1);
        return raw ? 0 : divide(token, file, contents);
    }
    if (suffix == NAME_CRT && contents->len && contents->text[0] == 0x30) /* DER, as .crt files often are */
        return add_block(contents, BLOCK_CERTIFICATE, contents->text, contents->len, contents->len)
                   ? 0
                   : hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    int result = divide(token, file, contents);
    return result ? result : check(token, file, contents);
}

int contents_read(struct token *token, int dir, const char *file, struct contents *ret)
{
    struct contents contents = { 0 };
    if (!name_parse(file, &contents.name))
        return hx_fail(token->host, HX_E_NOT_FOUND, "'%s/%s' is no file of this token", token->path, file);
    int result = directory_read(token, dir, file, &contents.text, &contents.len, &contents.stat);
    if (!result)
        result = parse(token, file, &contents);
    if (result) {
        contents_free(&contents);
        return result;
    }
    *ret = contents;
    return 0;
}

struct block *contents_key(const struct contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        if (block_is_key(&contents->block[i]) || contents->block[i].what == BLOCK_ENCRYPTED_SECRET)
            return &contents->block[i];
    return NULL;
}

struct block *contents_public(const struct contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        if (contents->block[i].what == BLOCK_PUBLIC)
            return &contents->block[i];
    return NULL;
}

struct block *contents_certificate(const struct contents *contents, size_t index)
{
    for (size_t i = 0; i < contents->count; i++)
        if (contents->block[i].what == BLOCK_CERTIFICATE && !index--)
            return &contents->block[i];
    return NULL;
}
