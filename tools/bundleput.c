/* SPDX-License-Identifier: Apache-2.0 */
/* The order that makes it all or nothing.  The key comes last: until then nothing on the token has changed its meaning,
 * and afterwards nothing can fail any more.  Where an old certificate is replaced it waits under another label until
 * the old key is gone, since keys find their certificates by the public key. */
#include "bundle.h"

#include <openssl/err.h>
#include <signal.h>
#include <string.h>

struct search {
    struct bundle *bundle;
    const struct hx_buf *der;
    const char *label;
};

static int note_cert(void *arg, const char *address, const struct hx_object *object)
{
    const struct search *search = arg;
    const struct hx_buf *der = search->der;
    AUTO_BYTES struct hx_bytes value = { 0 };
    struct hx_bytes nothing = { 0 };

    if (!object->label || strcmp(object->label, search->label) ||
        hx_read(search->bundle->context, address, HX_VALUE, &value) || value.len != der->len ||
        memcmp(value.data, der->data, der->len))
        return 0;
    return bundle_note(search->bundle, address, search->label, &nothing, true) ? HX_E_NO_MEMORY : 1;
}

/* A token can fail after it has stored what it was given: as a disk that cannot be synchronised. */
static void note_if_there(struct bundle *bundle, const struct hx_buf *der, const char *label)
{
    struct search search = { bundle, der, label };
    AUTO_FREE char *where = NULL;

    if (!token_address(bundle->token, "cert", &where))
        hx_each(bundle->context, where, note_cert, &search);
}

static int put_cert(struct bundle *bundle, const struct hx_buf *der, const char *label, bool replace)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = label, .flags = replace ? HX_REPLACE : 0 };
    struct hx_bytes nothing = { 0 };
    AUTO_BYTES struct hx_bytes address = { 0 };
    int result = hx_import(bundle->context, bundle->token, &spec, der, 1, &address);

    if (result) {
        fail_hx();
        if (result != HX_E_EXISTS)
            note_if_there(bundle, der, label);
        return FAILED;
    }
    return bundle_note(bundle, (char *)address.data, label, &nothing, true) ? fail("out of memory") : DONE;
}

/* An authority's old and new certificates often share a name: nothing of the chain replaces anything. */
static char *chain_label(const struct bundle *bundle, X509 *cert)
{
    AUTO_FREE char *name = cert_name(cert);
    char *label = strdup(name ? name : "chain");

    for (int i = 2; label && (bundle_find(bundle, label) || !strcmp(label, bundle->label)); i++) {
        free(label);
        label = text_of("%s-%d", name ? name : "chain", i);
    }
    return label;
}

static int put_chain(struct bundle *bundle, X509 *cert)
{
    AUTO_CRYPTO unsigned char *der = NULL;
    AUTO_FREE char *label = NULL;
    int len = i2d_X509(cert, &der);
    const struct hx_buf buf = { der, (size_t)len };

    if (len <= 0)
        return fail_crypto("the certificate cannot be encoded");
    for (const struct cert *there = bundle->certs; there; there = there->next) {
        if (cert_is(there, &buf))
            return DONE;
    }
    label = chain_label(bundle, cert);
    return label ? put_cert(bundle, &buf, label, false) : fail("out of memory");
}

/* Is that the other half of the key there?  It is if that cannot be told. */
static bool fits(hx *context, const char *address, EVP_PKEY *half)
{
    AUTO_KEY hx_key *key = NULL;
    AUTO_BYTES struct hx_bytes spki = { 0 };
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    const unsigned char *der;
    bool differs;

    if (hx_key_open(context, address, &key) || hx_key_public(key, &spki))
        return true;
    der = spki.data;
    pkey = d2i_PUBKEY_ex(NULL, &der, (long)spki.len, libctx(), NULL);
    differs = pkey && half && EVP_PKEY_eq(half, pkey) != 1;
    ERR_clear_error();
    return !differs;
}

/* Does the old certificate belong to the old key? */
static bool is_in_use(const struct bundle *bundle)
{
    X509 *cert;
    bool used;

    if (!bundle->old_key)
        return false;
    cert = cert_parse(bundle->old_leaf->der.data, bundle->old_leaf->der.len);
    used = fits(bundle->context, bundle->old_key, cert ? X509_get0_pubkey(cert) : NULL);
    X509_free(cert);
    return used;
}

static int put_leaf(struct bundle *bundle, const struct hx_buf *leaf)
{
    const struct cert *old = bundle->old_leaf;
    bool replace = option(bundle->call, O_REPLACE);

    if (!old && bundle_find(bundle, bundle->label))
        return DONE;
    if (old && is_in_use(bundle)) {
        const struct hx_buf der = { old->der.data, old->der.len };

        if (put_cert(bundle, &der, bundle->aside, true))
            return FAILED;
    }
    bundle->leaf_replaced = old;
    return put_cert(bundle, leaf, bundle->label, replace);
}

static int note_key(void *arg, const char *address, const struct hx_object *object)
{
    const struct bundle *bundle = arg;

    return object->kind == HX_PRIVATE_KEY && object->label && !strcmp(object->label, bundle->label) &&
           fits(bundle->context, address, bundle->p12.pkey);
}

/* Another import of the same key was quicker, or the token failed after it had stored it: the certificates that are
 * there are the key's, whoever put them. */
static bool key_is_there(struct bundle *bundle)
{
    AUTO_FREE char *where = NULL;

    return !token_address(bundle->token, "key", &where) && hx_each(bundle->context, where, note_key, bundle) > 0;
}

static bool put_back(const struct bundle *bundle)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = bundle->label, .flags = HX_REPLACE };
    const struct hx_buf der = { bundle->old_leaf->der.data, bundle->old_leaf->der.len };

    return !hx_import(bundle->context, bundle->token, &spec, &der, 1, NULL);
}

/* The newest first: the old certificate stands aside until it is back in its place. */
static void undo(struct bundle *bundle)
{
    bool keep_aside = false;

    if (!bundle->same_key && key_is_there(bundle))
        return;
    for (const struct cert *cert = bundle->certs; cert; cert = cert->next) {
        if (!cert->ours || (keep_aside && !strcmp(cert->label, bundle->aside)))
            continue;
        if (bundle->leaf_replaced && !strcmp(cert->label, bundle->label)) {
            keep_aside = !put_back(bundle);
            if (keep_aside)
                warn("the certificate that was '%s' could not be put back: %s", cert->address, hx_last_error());
        } else if (hx_remove(bundle->context, cert->address)) {
            warn("'%s' was put there and cannot be removed: %s", cert->address, hx_last_error());
        }
    }
}

/* One that an import left there which was stopped goes as well: the key that it belonged to is gone. */
static void remove_aside(const struct bundle *bundle)
{
    const struct cert *cert = bundle_find(bundle, bundle->aside);

    if (option(bundle->call, O_REPLACE) && cert && hx_remove(bundle->context, cert->address))
        warn("'%s' is of no use any more and cannot be removed: %s", cert->address, hx_last_error());
}

static int put_key(struct bundle *bundle)
{
    int result;

    bundle->spec.label = bundle->label;
    bundle->spec.flags =
        (option(bundle->call, O_EXTRACTABLE) ? HX_EXTRACTABLE : 0) | (option(bundle->call, O_REPLACE) ? HX_REPLACE : 0);
    result = hx_import(bundle->context, bundle->token, &bundle->spec, bundle->parts.part, bundle->parts.count,
                       &bundle->key_address);
    return result ? fail_making(bundle->call, result) : DONE;
}

/* Whoever types ^C now gets the whole of it first. */
int bundle_put(struct bundle *bundle, const struct hx_buf *leaf)
{
    int status = DONE;
    sigset_t stops, before;

    bundle->same_key = bundle->old_key && fits(bundle->context, bundle->old_key, bundle->p12.pkey);
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &stops, &before);
    for (int i = 0; i < sk_X509_num(bundle->p12.certs) && !status; i++) {
        X509 *cert = sk_X509_value(bundle->p12.certs, i);

        if (EVP_PKEY_eq(X509_get0_pubkey(cert), bundle->p12.pkey) != 1)
            status = put_chain(bundle, cert);
    }
    ERR_clear_error();
    if (!status)
        status = put_leaf(bundle, leaf);
    if (!status)
        status = put_key(bundle);
    if (status)
        undo(bundle);
    else
        remove_aside(bundle);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
