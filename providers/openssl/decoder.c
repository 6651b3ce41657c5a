/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders: PEM to DER, and DER to a key.  Every PEM and DER that the application reads comes by here, so whatever
 * is not a reference is left alone: same position in the input, nothing on the error queue, no configuration read. */
#include "decoder.h"

#include "key.h"
#include "reference.h"
#include "software.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

struct decoder {
    struct provider *provider;
    const struct keytype *type;
};

static void *pem_new(void *provider)
{
    return provider;
}

static void pem_free(void *ctx)
{
    (void)ctx;
}

/* NULL with the reason raised. */
static struct key *open_by_core(struct provider *provider, const void *der, size_t len)
{
    hx *context = provider_hx(provider);
    hx_key *token_key;
    int result;

    if (!context)
        return NULL;
    result = hx_key_from_reference(context, der, len, &token_key);
    if (result < 0) {
        error_hx(provider, result, __func__);
        return NULL;
    }
    return key_from_hx(provider, token_key);
}

/* The same; errno stays what it was: Python takes one that is set for the reason, and not what was raised. */
static struct key *open_reference(struct provider *provider, const void *der, size_t len)
{
    int before = errno;
    struct key *key = open_by_core(provider, der, len);

    errno = before;
    return key;
}

static int hand_der(unsigned char *der, long len, OSSL_CALLBACK *cb, void *arg)
{
    char structure[] = REFERENCE_STRUCTURE;
    int object = OSSL_OBJECT_PKEY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE, structure, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der, (size_t)len),
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &object),
        OSSL_PARAM_construct_end(),
    };

    return cb(params, arg);
}

/* A store forgets why DER could not be decoded but not why PEM could not.  So what is wrong with a reference has to be
 * found here, where its reason reaches the user. */
static int try_reference(struct provider *provider, const void *der, size_t len)
{
    struct key *key;
    int nid;

    if (!reference_peek(der, len, &nid))
        return error_raise(provider, HX_E_INVALID, __func__, "key reference: damaged; write it anew");
    key = open_reference(provider, der, len);
    key_free(key);
    return !!key;
}

/* Reads one PEM block to its last line, as the default provider does: where we stop, the next try goes on. */
static int pem_decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *cb, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    struct provider *provider = ctx;
    BIO *bio = software_bio(provider, in);
    unsigned char *der = NULL;
    char *name = NULL, *header = NULL;
    int ok = 1;
    long len = 0;

    (void)selection;
    (void)ask;
    (void)ask_arg;
    if (!bio)
        return 1;
    ERR_set_mark();
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1)
        name = NULL;
    ERR_pop_to_mark();
    if (name && !strcmp(name, REFERENCE_LABEL))
        ok = try_reference(provider, der, (size_t)len) && hand_der(der, len, cb, arg);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)len);
    BIO_free(bio);
    return ok;
}

void *decoder_new(struct provider *provider, const struct keytype *type)
{
    struct decoder *decoder = malloc(sizeof(*decoder));

    if (decoder)
        *decoder = (struct decoder){ .provider = provider, .type = type };
    return decoder;
}

static void der_free(void *ctx)
{
    free(ctx);
}

static int der_selection(void *provider, int selection)
{
    (void)provider;
    return !selection || selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY;
}

static size_t read_all(struct provider *provider, OSSL_CORE_BIO *in, unsigned char *buf, size_t size)
{
    BIO *bio = software_bio(provider, in);
    size_t len = 0, got;

    while (bio && len < size && BIO_read_ex(bio, buf + len, size - len, &got) && got)
        len += got;
    BIO_free(bio);
    return len;
}

static int decode_key(const struct decoder *decoder, const void *der, size_t len, OSSL_CALLBACK *cb, void *arg)
{
    struct key *key = open_reference(decoder->provider, der, len);

    if (!key)
        return 0;
    if (key->type == decoder->type)
        return key_hand_over(key, cb, arg);
    /* A reference without a public key does not tell its type before: it is another row's. */
    key_free(key);
    return 1;
}

static int der_decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *cb, void *arg,
                      OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    const struct decoder *decoder = ctx;
    unsigned char *der;
    int nid, ok = 1;
    size_t len;

    (void)selection;
    (void)ask;
    (void)ask_arg;
    der = malloc(REFERENCE_MAX);
    if (!der)
        return 1;
    len = read_all(decoder->provider, in, der, REFERENCE_MAX);
    if (reference_peek(der, len, &nid) && (nid == NID_undef || keytype_of_nid(nid) == decoder->type))
        ok = decode_key(decoder, der, len, cb, arg);
    free(der);
    return ok;
}

const OSSL_DISPATCH decoder_pem_functions[] = {
    { OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))pem_new },
    { OSSL_FUNC_DECODER_FREECTX, (void (*)(void))pem_free },
    { OSSL_FUNC_DECODER_DECODE, (void (*)(void))pem_decode },
    { 0, NULL },
};

const OSSL_DISPATCH decoder_der_functions[] = {
    { OSSL_FUNC_DECODER_FREECTX, (void (*)(void))der_free },
    { OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))der_selection },
    { OSSL_FUNC_DECODER_DECODE, (void (*)(void))der_decode },
    { 0, NULL },
};
