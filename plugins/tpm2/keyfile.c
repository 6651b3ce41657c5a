/* SPDX-License-Identifier: Apache-2.0 */
/* The format is that of J. Bottomley, "ASN.1 Specification for TPM 2.0 Key Files" (draft-bottomley-tpm2-keys).  Nothing
 * here needs a library context of libcrypto's. */
#include "keyfile.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define BLOCK "TSS2 PRIVATE KEY"
#define LOADABLE "2.23.133.10.1.3"
#define IMPORTABLE "2.23.133.10.1.4"
#define SEALED "2.23.133.10.1.5"

#define MARSHALLED_MAX (sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE))

/* description is for people; parent_name (a later addition) lets a session's HMAC be checked: neither is needed. */
typedef struct {
    ASN1_OBJECT *type;
    ASN1_BOOLEAN empty_auth;
    STACK_OF(ASN1_TYPE) * policy;
    ASN1_OCTET_STRING *secret;
    STACK_OF(ASN1_TYPE) * auth_policy;
    ASN1_UTF8STRING *description;
    ASN1_BOOLEAN rsa_parent;
    ASN1_OCTET_STRING *parent_name;
    ASN1_INTEGER *parent;
    ASN1_OCTET_STRING *public, *private;
} TPM_KEY;

/* clang-format off */
ASN1_SEQUENCE(TPM_KEY) = {
    ASN1_SIMPLE(TPM_KEY, type, ASN1_OBJECT),
    ASN1_EXP_OPT(TPM_KEY, empty_auth, ASN1_BOOLEAN, 0),
    ASN1_EXP_SEQUENCE_OF_OPT(TPM_KEY, policy, ASN1_ANY, 1),
    ASN1_EXP_OPT(TPM_KEY, secret, ASN1_OCTET_STRING, 2),
    ASN1_EXP_SEQUENCE_OF_OPT(TPM_KEY, auth_policy, ASN1_ANY, 3),
    ASN1_EXP_OPT(TPM_KEY, description, ASN1_UTF8STRING, 4),
    ASN1_EXP_OPT(TPM_KEY, rsa_parent, ASN1_BOOLEAN, 5),
    ASN1_EXP_OPT(TPM_KEY, parent_name, ASN1_OCTET_STRING, 6),
    ASN1_SIMPLE(TPM_KEY, parent, ASN1_INTEGER),
    ASN1_SIMPLE(TPM_KEY, public, ASN1_OCTET_STRING),
    ASN1_SIMPLE(TPM_KEY, private, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(TPM_KEY)
/* clang-format on */

static void free_key(TPM_KEY *key)
{
    ASN1_item_free((ASN1_VALUE *)key, ASN1_ITEM_rptr(TPM_KEY));
}

/* Finds the block: 1, none: 0, broken, or a second one: HX_E_CONFIG and why. */
static int find_block(BIO *bio, unsigned char **ret, long *ret_len, const char **ret_why)
{
    unsigned char *found = NULL, *der = NULL;
    char *name = NULL, *header = NULL;
    long len, found_len = 0;
    const char *why = NULL;
    while (!why && PEM_read_bio(bio, &name, &header, &der, &len)) {
        bool ours = !strcmp(name, BLOCK);
        if (ours && found)
            why = "there is more than one key in it: give each a file of its own";
        else if (ours && *header)
            why = "it is encrypted, as a key file never is";
        else if (ours) {
            found = der;
            found_len = len;
            der = NULL;
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    if (!why && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        why = "it is no good PEM";
    if (why) {
        OPENSSL_free(found);
        *ret_why = why;
        return HX_E_CONFIG;
    }
    *ret = found;
    *ret_len = found_len;
    return found != NULL;
}

static TPM_KEY *decode(const unsigned char *der, long len)
{
    const unsigned char *p = der;
    TPM_KEY *key = (TPM_KEY *)ASN1_item_d2i(NULL, &p, len, ASN1_ITEM_rptr(TPM_KEY));
    if (key && p != der + len) {
        free_key(key);
        return NULL;
    }
    return key;
}

/* Some have written handles from 0x80000000 on as negative numbers; 0 is some others' word for the owner. */
static bool read_parent(const ASN1_INTEGER *number, TPM2_HANDLE *ret)
{
    int64_t value;
    if (!ASN1_INTEGER_get_int64(&value, number) || value < INT32_MIN || value > UINT32_MAX)
        return false;
    TPM2_HANDLE parent = value ? (TPM2_HANDLE)value : TPM2_RH_OWNER;
    *ret = parent;
    return parent >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT || parent == TPM2_RH_OWNER;
}

static bool read_private(const ASN1_OCTET_STRING *string, TPM2B_PRIVATE *ret)
{
    const unsigned char *data = ASN1_STRING_get0_data(string);
    size_t len = (size_t)ASN1_STRING_length(string);
    if (len <= 2 || len - 2 > sizeof ret->buffer || (size_t)(data[0] << 8 | data[1]) != len - 2)
        return false;
    ret->size = (UINT16)(len - 2);
    memcpy(ret->buffer, data + 2, len - 2);
    return true;
}

/* tpm2-tss overlooks the size in front. */
static bool read_public(const ASN1_OCTET_STRING *string, TPM2B_PUBLIC *ret)
{
    const unsigned char *data = ASN1_STRING_get0_data(string);
    size_t len = (size_t)ASN1_STRING_length(string), read = 0;
    if (len <= 2 || (size_t)(data[0] << 8 | data[1]) != len - 2 ||
        Tss2_MU_TPM2B_PUBLIC_Unmarshal(data, len, &read, ret) || read != len)
        return false;
    TPM2_ALG_ID type = ret->publicArea.type;
    return type == TPM2_ALG_RSA || type == TPM2_ALG_ECC || type == TPM2_ALG_KEYEDHASH;
}

/* Neither signing nor decrypting: what is in such an object is only handed out (TPM 2.0 Part 1 §27.6.2.3). */
static bool is_sealed(const TPMT_PUBLIC *public)
{
    return public->type == TPM2_ALG_KEYEDHASH &&
           !(public->objectAttributes & (TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT));
}

/* NULL, or why we do not load such a key. */
static const char *unsupported(const TPM_KEY *key, const char *oid, const TPMT_PUBLIC *public)
{
    if (!strcmp(oid, IMPORTABLE) || key->secret)
        return "it is for importing, not for loading: import it first, with `tpm2_import` for instance";
    if (strcmp(oid, LOADABLE) && strcmp(oid, SEALED))
        return "it is of a kind that is not known here";
    if (sk_ASN1_TYPE_num(key->policy) > 0 || sk_ASN1_TYPE_num(key->auth_policy) > 0 ||
        !(public->objectAttributes & TPMA_OBJECT_USERWITHAUTH))
        return "it wants a policy to be satisfied, and only auth values are given here";
    if (key->rsa_parent > 0)
        return "its parent is an RSA primary key, and only that of P-256 is made here";
    return NULL;
}

static int read_key(const struct hx_host *host, const char *path, const TPM_KEY *key, struct tpm_keyfile *ret)
{
    static const struct tpm_keyfile none;
    char oid[80];
    *ret = none;
    if (!read_public(key->public, &ret->public))
        return hx_fail(host, HX_E_CONFIG, "key file '%s' is broken: its public part is no key's", path);
    if (OBJ_obj2txt(oid, sizeof oid, key->type, 1) <= 0)
        return hx_fail(host, HX_E_CONFIG, "key file '%s' is broken: it does not say of what kind it is", path);
    const char *why = unsupported(key, oid, &ret->public.publicArea);
    if (why)
        return hx_fail(host, HX_E_UNSUPPORTED, "key file '%s' cannot be used: %s", path, why);
    bool sealed = is_sealed(&ret->public.publicArea); /* some write the other kind even then */
    if (!sealed && !strcmp(oid, SEALED))
        return hx_fail(host, HX_E_CONFIG, "key file '%s' is broken: it says sealed data, and is a key", path);
    if (!read_private(key->private, &ret->private))
        return hx_fail(host, HX_E_CONFIG, "key file '%s' is broken: its private part has another size", path);
    if (!read_parent(key->parent, &ret->parent))
        return hx_fail(
            host, HX_E_UNSUPPORTED,
            "key file '%s' cannot be used: its parent is neither a persistent handle nor the owner hierarchy", path);
    ret->type = sealed ? TPM_KEYFILE_SEALED : TPM_KEYFILE_KEY;
    ret->empty_auth = key->empty_auth > 0; /* absent, it is -1, and means false */
    return 0;
}

static int parse(const struct hx_host *host, const char *path, BIO *bio, struct tpm_keyfile *ret)
{
    unsigned char *der = NULL;
    long len = 0;
    const char *why = NULL;
    int found = find_block(bio, &der, &len, &why);
    if (found < 0)
        return hx_fail(host, found, "key file '%s' is broken: %s", path, why);
    if (!found)
        return hx_fail(host, HX_E_NOT_FOUND, "there is no " BLOCK " in '%s'", path);
    TPM_KEY *key = decode(der, len);
    OPENSSL_free(der);
    if (!key)
        return hx_fail(host, HX_E_CONFIG, "key file '%s' is broken: what is in its PEM is no TPMKey", path);
    int result = read_key(host, path, key, ret);
    free_key(key);
    return result;
}

int tpm_keyfile_parse(const struct hx_host *host, const char *path, const void *text, size_t len,
                      struct tpm_keyfile *ret)
{
    struct tpm_keyfile file;
    BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
    if (!bio)
        return hx_fail(host, HX_E_NO_MEMORY, "out of memory");
    ERR_set_mark();
    int result = parse(host, path, bio, &file);
    ERR_pop_to_mark();
    BIO_free(bio);
    if (!result)
        *ret = file;
    return result;
}

static bool set_parts(TPM_KEY *key, const struct tpm_keyfile *file)
{
    unsigned char public[MARSHALLED_MAX], private[MARSHALLED_MAX];
    size_t public_len = 0, private_len = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(&file->public, public, sizeof public, &public_len) ||
        Tss2_MU_TPM2B_PRIVATE_Marshal(&file->private, private, sizeof private, &private_len))
        return false;
    return ASN1_STRING_set(key->public, public, (int)public_len) &&
           ASN1_STRING_set(key->private, private, (int)private_len);
}

/* "false" is written out: tpm2-openssl 1.1 takes it for true where it is left out. */
static TPM_KEY *make_key(const struct tpm_keyfile *file)
{
    TPM_KEY *key = (TPM_KEY *)ASN1_item_new(ASN1_ITEM_rptr(TPM_KEY));
    if (!key)
        return NULL;
    ASN1_OBJECT_free(key->type);
    key->type = OBJ_txt2obj(file->type == TPM_KEYFILE_SEALED ? SEALED : LOADABLE, 1);
    key->empty_auth = file->empty_auth ? 0xff : 0;
    if (key->type && ASN1_INTEGER_set_uint64(key->parent, file->parent) && set_parts(key, file))
        return key;
    free_key(key);
    return NULL;
}

static char *print(const TPM_KEY *key, size_t *ret_len)
{
    unsigned char *der = NULL;
    char *text = NULL, *copy = NULL;
    int der_len = ASN1_item_i2d((const ASN1_VALUE *)key, &der, ASN1_ITEM_rptr(TPM_KEY));
    BIO *bio = der_len > 0 ? BIO_new(BIO_s_mem()) : NULL;
    if (bio && PEM_write_bio(bio, BLOCK, "", der, der_len) > 0) {
        long len = BIO_get_mem_data(bio, &text);
        copy = strndup(text, (size_t)len);
        *ret_len = (size_t)len;
    }
    BIO_free(bio);
    OPENSSL_free(der);
    return copy;
}

int tpm_keyfile_print(const struct hx_host *host, const struct tpm_keyfile *file, char **ret, size_t *ret_len)
{
    ERR_set_mark();
    TPM_KEY *key = make_key(file);
    size_t len = 0;
    char *text = key ? print(key, &len) : NULL;
    free_key(key);
    ERR_pop_to_mark();
    if (!text)
        return hx_fail(host, HX_E_NO_MEMORY, "the key file cannot be put together: out of memory");
    *ret = text;
    *ret_len = len;
    return 0;
}
