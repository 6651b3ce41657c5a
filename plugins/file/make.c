/* SPDX-License-Identifier: Apache-2.0 */
/* Generating and importing: the object is made and checked first, then written under the directory's lock. */
#include "make.h"

#include "crypto.h"
#include "key.h"
#include "object.h"
#include "store.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <string.h>

#define SECRET_MAX 1024
#define VALUE_MAX (1024 * 1024)

static int check_spec(struct token *token, const struct hx_spec *spec)
{
    const struct hx_host *host = token->host;
    char name[NAME_SIZE];
    if (spec->spare[0] | spec->spare[1] | spec->spare[2] || spec->spare_ptr[0] || spec->spare_ptr[1])
        return hx_fail(host, HX_E_UNSUPPORTED, "the request asks for what this plugin does not know");
    if (!spec->label || !*spec->label)
        return hx_fail(host, HX_E_INVALID, "the new object needs a label: it becomes the file's name");
    if (!name_make(spec->label, NAME_SECRET, name))
        return hx_fail(host, HX_E_INVALID, "label '%s' is too long for a file name", spec->label);
    if (spec->place)
        return hx_fail(host, HX_E_UNSUPPORTED, "place '%s': a file token has no places", spec->place);
    bool private = spec->kind == HX_PRIVATE_KEY || spec->kind == HX_SECRET_KEY;
    uint32_t known = HX_REPLACE | (private ? 0 : HX_EXTRACTABLE);
    if (spec->flags & ~known)
        return hx_fail(host, HX_E_UNSUPPORTED,
                       "a file token makes no objects that are extractable, restricted, in hardware or always ask");
    if (spec->usage & ~object_usage(spec->kind, spec->type))
        return hx_fail(host, HX_E_UNSUPPORTED, "a key of that type has no such usage");
    return 0;
}

/* When a PIN is configured, no key is written without: the core logs in, and calls again. */
static int check_login(struct token *token)
{
    static const char *const names[] = { "pin", "pin-file", "pin-credential" };
    unsigned char pin[TOKEN_PIN_MAX];
    size_t len = token_pin(token, pin);
    OPENSSL_cleanse(pin, sizeof pin);
    for (size_t i = 0; !len && i < sizeof names / sizeof *names; i++)
        if (token->host->option(token->host, names[i]))
            return hx_fail(token->host, HX_E_LOGIN, "a PIN is configured, and new keys are to be encrypted with it");
    return 0;
}

/* An id can be given only as what it would be anyway. */
static int check_id(struct token *token, const struct hx_spec *spec, const unsigned char id[PUBLIC_ID])
{
    if (!spec->id.len || (spec->id.len == PUBLIC_ID && !memcmp(spec->id.data, id, PUBLIC_ID)))
        return 0;
    return hx_fail(token->host, HX_E_UNSUPPORTED, "a file token reckons ids from the public key or the label");
}

static int store_bio(struct token *token, const struct hx_spec *spec, BIO *bio, struct hx_out *ret_ref)
{
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    int result = store_add(token, spec->kind, spec->label, text, (size_t)len, spec->flags & HX_REPLACE, ret_ref);
    BIO_free(bio);
    return result;
}

static int store_key(struct token *token, const struct hx_spec *spec, EVP_PKEY *key, struct hx_out *ret_ref)
{
    BIO *bio;
    int result = key_to_pem(token, key, &bio);
    return result ? result : store_bio(token, spec, bio, ret_ref);
}

static int store_secret(struct token *token, const struct hx_spec *spec, const void *secret, size_t len,
                        struct hx_out *ret_ref)
{
    unsigned char id[PUBLIC_ID], pin[TOKEN_PIN_MAX];
    if (!public_label_id(spec->label, id))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    int result = check_id(token, spec, id);
    if (result)
        return result;
    size_t pin_len = token_pin(token, pin);
    OPENSSL_cleanse(pin, sizeof pin);
    BIO *bio;
    if (pin_len) {
        result = key_encrypt_secret(token, secret, len, &bio);
        return result ? result : store_bio(token, spec, bio, ret_ref);
    }
    return store_add(token, spec->kind, spec->label, secret, len, spec->flags & HX_REPLACE, ret_ref);
}

static int generate_secret(struct token *token, const struct hx_spec *spec, struct hx_out *ret_ref)
{
    unsigned char secret[SECRET_MAX];
    OSSL_LIB_CTX *lib = crypto_context();
    size_t len = spec->bits ? spec->bits / 8 : 32;
    if (spec->bits % 8 || len < 16 || len > sizeof secret)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "secrets have 128 to 8192 bits here, in whole bytes");
    if (!lib || RAND_priv_bytes_ex(lib, secret, len, 256) <= 0)
        return hx_fail(token->host, HX_E_DEVICE, "no random bytes: %s", crypto_reason());
    int result = store_secret(token, spec, secret, len, ret_ref);
    OPENSSL_cleanse(secret, sizeof secret);
    return result;
}

static int generate_key(struct token *token, const struct hx_spec *spec, struct hx_out *ret_ref)
{
    const struct hx_host *host = token->host;
    const struct curve *curve = curve_by_type(spec->type);
    bool rsa = spec->type == HX_RSA;
    if (!curve && !rsa && spec->type != HX_ED25519)
        return hx_fail(host, HX_E_UNSUPPORTED, "keys are RSA, P-256, P-384, P-521 or Ed25519 here");
    if (rsa && spec->bits && (spec->bits < 2048 || spec->bits > 4096 || spec->bits % 8))
        return hx_fail(host, HX_E_UNSUPPORTED, "RSA keys have 2048 to 4096 bits here, in whole bytes");
    if (!rsa && ((spec->bits && spec->bits != (curve ? curve->bits : 256)) || spec->rsa_e))
        return hx_fail(host, HX_E_INVALID, "the type says how many bits the key has, and that it has no exponent");
    if (spec->id.len)
        return hx_fail(host, HX_E_UNSUPPORTED, "a file token reckons ids from the public key");
    EVP_PKEY *key;
    int result = key_generate(token, spec, &key);
    if (result)
        return result;
    result = store_key(token, spec, key, ret_ref);
    EVP_PKEY_free(key);
    return result;
}

int make_generate(void *p, const struct hx_spec *given, struct hx_out *ret_ref)
{
    struct token *token = p;
    struct hx_spec spec = *given;
    if (!spec.kind)
        spec.kind = spec.type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY;
    if (spec.kind != (spec.type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY))
        return hx_fail(token->host, HX_E_UNSUPPORTED, "only private keys and secrets can be generated");
    int result = check_spec(token, &spec);
    if (!result && !(spec.flags & HX_REPLACE))
        result = store_check_free(token, spec.kind, spec.label);
    if (!result)
        result = check_login(token);
    if (result)
        return result;
    return spec.kind == HX_SECRET_KEY ? generate_secret(token, &spec, ret_ref) : generate_key(token, &spec, ret_ref);
}

static int import_key(struct token *token, const struct hx_spec *spec, const struct hx_buf *part, size_t count,
                      struct hx_out *ret_ref)
{
    struct parts parts;
    struct public_key public;
    EVP_PKEY *key = NULL;
    const char *why = "its numbers are unusable";
    int result = check_login(token);
    if (result)
        return result;
    result = parts_from_numbers(spec->type, part, count, &parts, &why);
    if (!result && !parts_public(&parts, &public))
        result = HX_E_CONFIG;
    if (!result)
        result = key_from_parts(&parts, true, &key, &why);
    parts_wipe(&parts);
    if (result) /* what is a broken file elsewhere is the caller's mistake here */
        return hx_fail(token->host, result == HX_E_CONFIG ? HX_E_INVALID : result, "cannot take the key: %s", why);
    result = check_id(token, spec, public.id);
    if (!result)
        result = store_key(token, spec, key, ret_ref);
    EVP_PKEY_free(key);
    return result;
}

static int import_secret(struct token *token, const struct hx_spec *spec, const struct hx_buf *part,
                         struct hx_out *ret_ref)
{
    static const char mark[] = "-----BEGIN " SECRET_BLOCK "-----";
    if (!part->len || part->len > SECRET_MAX)
        return hx_fail(token->host, HX_E_INVALID, "secrets have 1 to %d bytes here", SECRET_MAX);
    if (part->len >= sizeof mark - 1 && !memcmp(part->data, mark, sizeof mark - 1))
        return hx_fail(token->host, HX_E_INVALID, "the secret looks like a file of this token: import the bytes");
    int result = check_login(token);
    return result ? result : store_secret(token, spec, part->data, part->len, ret_ref);
}

static int import_certificate(struct token *token, const struct hx_spec *spec, const struct hx_buf *part,
                              struct hx_out *ret_ref)
{
    struct public_key public;
    if (!public_from_certificate(part->data, part->len, &public))
        return hx_fail(token->host, HX_E_INVALID, "that is no X.509 certificate in DER");
    int result = check_id(token, spec, public.id);
    if (result)
        return result;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || !PEM_write_bio(bio, PEM_STRING_X509, "", part->data, (long)part->len)) {
        BIO_free(bio);
        return hx_fail(token->host, HX_E_NO_MEMORY, "cannot write the certificate as PEM: %s", crypto_reason());
    }
    return store_bio(token, spec, bio, ret_ref);
}

static int import_data(struct token *token, const struct hx_spec *spec, const struct hx_buf *part,
                       struct hx_out *ret_ref)
{
    unsigned char id[PUBLIC_ID];
    if (!public_label_id(spec->label, id))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    int result = check_id(token, spec, id);
    return result ? result
                  : store_add(token, spec->kind, spec->label, part->data, part->len, spec->flags & HX_REPLACE, ret_ref);
}

int make_import(void *p, const struct hx_spec *given, const struct hx_buf *part, size_t count, struct hx_out *ret_ref)
{
    struct token *token = p;
    struct hx_spec spec = *given;
    if (spec.kind == HX_SECRET_KEY && !spec.type)
        spec.type = HX_GENERIC;
    int result = check_spec(token, &spec);
    if (result)
        return result;
    if (spec.kind == HX_PRIVATE_KEY)
        return import_key(token, &spec, part, count, ret_ref);
    if (count != 1 || part->len > VALUE_MAX)
        return hx_fail(token->host, HX_E_INVALID, "such an object has one part, of 1 MiB at most");
    switch (spec.kind) {
    case HX_SECRET_KEY:
        return import_secret(token, &spec, part, ret_ref);
    case HX_CERTIFICATE:
        return import_certificate(token, &spec, part, ret_ref);
    case HX_DATA:
        return import_data(token, &spec, part, ret_ref);
    default:
        return hx_fail(token->host, HX_E_UNSUPPORTED, "a file token holds keys, secrets, certificates and data");
    }
}
