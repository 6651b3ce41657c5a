/* SPDX-License-Identifier: Apache-2.0 */
/* What a PKCS#12 file (RFC 7292) holds.  Its integrity check tells whether a passphrase is right; where it has none,
 * only the attempt to open it does. */
#include "tool.h"

#include <openssl/err.h>
#include <openssl/evperr.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <string.h>

enum { NESTED_MAX = 4 };
enum fit { FITS, WRONG, SAID };

struct source {
    const char *path;
    struct blob text;
    PKCS12 *p12; /* parsed with libctx(), for the integrity check */
    bool has_mac;
};

struct contents {
    OSSL_LIB_CTX *context;
    const char *pass; /* NULL is another passphrase than "": no bytes, or an empty string's two zeros */
    int pass_len;
    struct p12 found;
    int keys; /* how many; only the first is kept */
    bool strange; /* it is of a type that libcrypto does not know */
};

void p12_free(struct p12 *p12)
{
    EVP_PKEY_free(p12->pkey);
    sk_X509_pop_free(p12->certs, X509_free);
    free(p12->name);
    *p12 = (struct p12){ 0 };
}

/* OpenSSL 1 encrypted certificates with 40 bits of RC2, which lives in the legacy provider now. */
static OSSL_LIB_CTX *legacy_context(void)
{
    static OSSL_LIB_CTX *context;
    static bool usable;

    if (!context) {
        context = OSSL_LIB_CTX_new();
        usable = context && OSSL_PROVIDER_load(context, "default") && OSSL_PROVIDER_load(context, "legacy");
    }
    return usable ? context : NULL;
}

static PKCS12 *parse(const struct blob *text, OSSL_LIB_CTX *context)
{
    AUTO_BIO BIO *in = BIO_new_mem_buf(text->data, (int)text->len);
    PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, context, NULL); /* carries the context into what is read */

    if (in && p12 && d2i_PKCS12_bio(in, &p12))
        return p12;
    PKCS12_free(p12);
    return NULL;
}

static bool add_key(struct contents *contents, const PKCS8_PRIV_KEY_INFO *info, PKCS12_SAFEBAG *bag)
{
    char *name;

    if (!info)
        return false;
    if (contents->keys++)
        return true;
    contents->found.pkey = EVP_PKCS82PKEY_ex(info, libctx(), NULL);
    contents->strange = !contents->found.pkey;
    name = PKCS12_get_friendlyname(bag);
    if (name && *name)
        contents->found.name = strdup(name);
    OPENSSL_free(name);
    return true;
}

static bool is_known(STACK_OF(X509) * certs, const X509 *cert)
{
    for (int i = 0; i < sk_X509_num(certs); i++) {
        if (X509_cmp(sk_X509_value(certs, i), cert) == 0)
            return true;
    }
    return false;
}

/* The bag's own certificate is tied to libcrypto's default context: what is kept is read anew. */
static bool add_cert(struct contents *contents, PKCS12_SAFEBAG *bag)
{
    X509 *given = PKCS12_SAFEBAG_get1_cert(bag), *cert = NULL;
    AUTO_CRYPTO unsigned char *der = NULL;
    AUTO_CRYPTO char *name = NULL;
    int len = given ? i2d_X509(given, &der) : -1;

    X509_free(given);
    if (len > 0)
        cert = cert_parse(der, (size_t)len);
    if (!cert)
        return false;
    name = PKCS12_get_friendlyname(bag);
    if (name && *name)
        X509_alias_set1(cert, (unsigned char *)name, -1);
    if (!is_known(contents->found.certs, cert) && sk_X509_push(contents->found.certs, cert))
        return true;
    X509_free(cert);
    return true;
}

static bool add_bags(struct contents *, const STACK_OF(PKCS12_SAFEBAG) *, int depth);

static bool add_bag(struct contents *contents, PKCS12_SAFEBAG *bag, int depth)
{
    PKCS8_PRIV_KEY_INFO *info;
    bool done;

    switch (PKCS12_SAFEBAG_get_nid(bag)) {
    case NID_keyBag:
        return add_key(contents, PKCS12_SAFEBAG_get0_p8inf(bag), bag);
    case NID_pkcs8ShroudedKeyBag:
        info = PKCS12_decrypt_skey_ex(bag, contents->pass, contents->pass_len, contents->context, NULL);
        done = add_key(contents, info, bag);
        PKCS8_PRIV_KEY_INFO_free(info);
        return done;
    case NID_certBag:
        return PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate || add_cert(contents, bag);
    case NID_safeContentsBag:
        return depth < NESTED_MAX && add_bags(contents, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
    default: /* revocation lists and secrets are not what is wanted */
        return true;
    }
}

static bool add_bags(struct contents *contents, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth)
{
    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++) {
        if (!add_bag(contents, sk_PKCS12_SAFEBAG_value(bags, i), depth))
            return false;
    }
    return bags;
}

static bool add_safe(struct contents *contents, PKCS7 *safe)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    bool done;

    if (PKCS7_type_is_data(safe))
        bags = PKCS12_unpack_p7data(safe);
    else if (PKCS7_type_is_encrypted(safe))
        bags = PKCS12_unpack_p7encdata(safe, contents->pass, contents->pass_len);
    done = add_bags(contents, bags, 0);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return done;
}

/* Everything in the file, decrypted with this passphrase, or nothing. */
static bool unpack(const struct source *source, const char *pass, int len, OSSL_LIB_CTX *context, struct contents *ret)
{
    struct contents contents = { .context = context, .pass = pass, .pass_len = len };
    PKCS12 *p12 = parse(&source->text, context);
    STACK_OF(PKCS7) *safes = p12 ? PKCS12_unpack_authsafes(p12) : NULL;
    bool done = safes;

    contents.found.certs = sk_X509_new_null();
    for (int i = 0; done && i < sk_PKCS7_num(safes); i++)
        done = contents.found.certs && add_safe(&contents, sk_PKCS7_value(safes, i));
    sk_PKCS7_pop_free(safes, PKCS7_free);
    PKCS12_free(p12);
    if (done)
        *ret = contents;
    else
        p12_free(&contents.found);
    return done;
}

/* Was an algorithm wanted that the providers at hand do not have?  Empties the queue. */
static bool wanted_more(void)
{
    unsigned long error;
    bool found = false;

    while ((error = ERR_get_error())) {
        int reason = ERR_GET_REASON(error);

        found |=
            reason == ERR_R_UNSUPPORTED || (ERR_GET_LIB(error) == ERR_LIB_EVP &&
                                            (reason == EVP_R_UNSUPPORTED_ALGORITHM || reason == EVP_R_UNKNOWN_CIPHER));
    }
    return found;
}

static enum fit open_with(const struct source *source, const char *pass, int len, struct contents *ret)
{
    bool old;

    if (source->has_mac && !PKCS12_verify_mac(source->p12, pass, len)) {
        if (!ERR_peek_error())
            return WRONG;
        ERR_clear_error();
        fail("'%s': its integrity check is of a kind that is not known here: write it anew with 'openssl pkcs12'",
             source->path);
        return SAID;
    }
    if (unpack(source, pass, len, libctx(), ret))
        return FITS;
    old = wanted_more();
    if (old && !legacy_context()) {
        ERR_clear_error();
        fail("'%s': encrypted the old way, for which OpenSSL's legacy provider is needed, and that is not here: "
             "write it anew with 'openssl pkcs12' where it is",
             source->path);
        return SAID;
    }
    if (old && unpack(source, pass, len, legacy_context(), ret))
        return FITS;
    ERR_clear_error();
    if (!source->has_mac)
        return WRONG;
    fail("'%s': a broken PKCS#12 file: the passphrase is right, but what it protects cannot be read", source->path);
    return SAID;
}

static int ask_passphrase(const char *path, const char *file, struct blob *ret)
{
    AUTO_FREE char *prompt = NULL;

    if (file)
        return read_secret_file(file, "passphrase", ret);
    prompt = text_of("passphrase of '%s'", path);
    return prompt ? ask_secret(prompt, "--passphrase-file", ret) : fail("out of memory");
}

/* Nobody is asked for a passphrase that is empty. */
static int open_source(const struct source *source, const char *passphrase_file, struct contents *ret)
{
    AUTO_BLOB struct blob pass = { 0 };
    enum fit fit = open_with(source, NULL, 0, ret);

    if (fit == WRONG)
        fit = open_with(source, "", 0, ret);
    if (fit == WRONG) {
        if (ask_passphrase(source->path, passphrase_file, &pass))
            return FAILED;
        fit = open_with(source, (char *)pass.data, (int)pass.len, ret);
        ret->pass = NULL;
    }
    if (fit == WRONG)
        return fail("'%s': the passphrase does not open it, or it is damaged", source->path);
    return fit == FITS ? DONE : FAILED;
}

/* Of several, as after a renewal, the best. */
static X509 *find_leaf(const struct p12 *p12)
{
    X509 *leaf = NULL;

    for (int i = 0; i < sk_X509_num(p12->certs); i++) {
        X509 *cert = sk_X509_value(p12->certs, i);

        if (EVP_PKEY_eq(X509_get0_pubkey(cert), p12->pkey) == 1 && (!leaf || cert_better(cert, leaf)))
            leaf = cert;
    }
    ERR_clear_error();
    return leaf;
}

static int check_contents(const char *path, struct contents *contents)
{
    struct p12 *found = &contents->found;
    const unsigned char *alias;
    int len;

    if (contents->keys == 0)
        return fail("'%s': holds no private key%s", path,
                    sk_X509_num(found->certs) ? ": 'hsmux cert import' takes certificates, in PEM" : "");
    if (contents->keys > 1)
        return fail("'%s': holds %d private keys: a file with one is wanted", path, contents->keys);
    if (contents->strange)
        return fail("'%s': a key of a type that hsmux does not know: RSA, P-256, P-384, P-521 or Ed25519 is wanted",
                    path);
    if (sk_X509_num(found->certs) == 0)
        return fail("'%s': holds a private key, but no certificate", path);
    found->leaf = find_leaf(found);
    if (!found->leaf)
        return fail("'%s': no certificate in it belongs to its private key", path);
    alias = X509_alias_get0(found->leaf, &len);
    if (!found->name && alias && len > 0)
        found->name = strndup((const char *)alias, (size_t)len);
    return DONE;
}

int p12_read(const char *path, const char *passphrase_file, struct p12 *ret)
{
    struct source source = { .path = path };
    struct contents contents = { 0 };
    int status = read_input(path, &source.text);

    if (status)
        return status;
    source.p12 = parse(&source.text, libctx());
    ERR_clear_error();
    if (source.p12) {
        source.has_mac = PKCS12_mac_present(source.p12);
        status = open_source(&source, passphrase_file, &contents);
    } else {
        status = fail("'%s': is no PKCS#12 file, or a broken one%s", path,
                      memmem(source.text.data, source.text.len, "-----BEGIN ", 11) ? ": it is PEM" : "");
    }
    if (!status)
        status = check_contents(path, &contents);
    if (status)
        p12_free(&contents.found);
    else
        *ret = contents.found;
    PKCS12_free(source.p12);
    blob_free(&source.text);
    return status;
}
