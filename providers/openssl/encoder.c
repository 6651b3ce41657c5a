/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders.  The public half is written by the default provider; the private half's place is taken by the PEM
 * reference, so that "openssl genpkey -out" writes a file that any program can use. */
#include "encoder.h"

#include "key.h"
#include "software.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

static void *newctx(void *provider)
{
    return provider;
}

static void freectx(void *ctx)
{
    (void)ctx;
}

static int is_public(void *provider, int selection)
{
    (void)provider;
    return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY;
}

static int is_private(void *provider, int selection)
{
    (void)provider;
    return !!(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY);
}

static int is_key(void *provider, int selection)
{
    (void)provider;
    return !!(selection & OSSL_KEYMGMT_SELECT_KEYPAIR);
}

typedef int write_fn(BIO *bio, struct key *key, int selection);

static int encode(struct provider *provider, OSSL_CORE_BIO *out, const void *object, int selection, write_fn *write)
{
    struct key *key = (struct key *)(uintptr_t)object;
    BIO *bio;
    int ok;

    if (!key)
        return error_raise(provider, HX_E_UNSUPPORTED, __func__, "only a key of ours can be written");
    bio = software_bio(provider, out);
    ok = bio && write(bio, key, selection);
    BIO_free(bio);
    return ok;
}

static int write_der(BIO *bio, struct key *key, int selection)
{
    EVP_PKEY *public = key_public(key);

    (void)selection;
    return public && i2d_PUBKEY_bio(bio, public) == 1;
}

static int write_pem(BIO *bio, struct key *key, int selection)
{
    EVP_PKEY *public = key_public(key);

    (void)selection;
    return public && PEM_write_bio_PUBKEY(bio, public) == 1;
}

static int write_text(BIO *bio, struct key *key, int selection)
{
    EVP_PKEY *public = key_public(key);

    if (!public)
        return 0;
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY && key->hx &&
        BIO_printf(bio, "Key in a token: %s\n", hx_key_address(key->hx)) < 0)
        return 0;
    return EVP_PKEY_print_public(bio, public, 0, NULL) == 1;
}

static int write_reference(BIO *bio, struct key *key, int selection)
{
    struct hx_bytes pem = { 0 };
    int result, ok;

    (void)selection;
    if (!key->hx)
        return error_raise(key->provider, HX_E_INVALID, __func__, "a public key has no reference");
    result = hx_key_reference(key->hx, &pem);
    if (result < 0)
        return error_hx(key->provider, result, __func__);
    ok = BIO_write(bio, pem.data, (int)pem.len) == (int)pem.len;
    hx_bytes_free(&pem);
    return ok;
}

static int encode_der(void *ctx, OSSL_CORE_BIO *out, const void *object, const OSSL_PARAM abstract[], int selection,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    (void)abstract;
    (void)ask;
    (void)ask_arg;
    return encode(ctx, out, object, selection, write_der);
}

static int encode_pem(void *ctx, OSSL_CORE_BIO *out, const void *object, const OSSL_PARAM abstract[], int selection,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    (void)abstract;
    (void)ask;
    (void)ask_arg;
    return encode(ctx, out, object, selection, write_pem);
}

static int encode_text(void *ctx, OSSL_CORE_BIO *out, const void *object, const OSSL_PARAM abstract[], int selection,
                       OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    (void)abstract;
    (void)ask;
    (void)ask_arg;
    return encode(ctx, out, object, selection, write_text);
}

static int encode_reference(void *ctx, OSSL_CORE_BIO *out, const void *object, const OSSL_PARAM abstract[],
                            int selection, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    (void)abstract;
    (void)ask;
    (void)ask_arg;
    return encode(ctx, out, object, selection, write_reference);
}

static const OSSL_DISPATCH der_functions[] = {
    { OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_ENCODER_DOES_SELECTION, (void (*)(void))is_public },
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_der },
    { 0, NULL },
};

static const OSSL_DISPATCH pem_functions[] = {
    { OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_ENCODER_DOES_SELECTION, (void (*)(void))is_public },
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_pem },
    { 0, NULL },
};

static const OSSL_DISPATCH text_functions[] = {
    { OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_ENCODER_DOES_SELECTION, (void (*)(void))is_key },
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_text },
    { 0, NULL },
};

static const OSSL_DISPATCH reference_functions[] = {
    { OSSL_FUNC_ENCODER_NEWCTX, (void (*)(void))newctx },
    { OSSL_FUNC_ENCODER_FREECTX, (void (*)(void))freectx },
    { OSSL_FUNC_ENCODER_DOES_SELECTION, (void (*)(void))is_private },
    { OSSL_FUNC_ENCODER_ENCODE, (void (*)(void))encode_reference },
    { 0, NULL },
};

const struct encoding encodings[] = {
    { "provider=hsmux,output=der,structure=SubjectPublicKeyInfo", "public key, DER", der_functions },
    { "provider=hsmux,output=pem,structure=SubjectPublicKeyInfo", "public key, PEM", pem_functions },
    { "provider=hsmux,output=pem,structure=PrivateKeyInfo", "reference to a key in a token, PEM", reference_functions },
    { "provider=hsmux,output=text", "public numbers and address, text", text_functions },
    { 0 },
};
