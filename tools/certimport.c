/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux cert import: a certificate goes to the token that holds its key, and its chain goes with it. */
#include "tool.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

struct import {
    const struct call *call;
    hx *context;
    STACK_OF(X509) * certs;
    X509 *leaf; /* the one whose key was found; borrowed */
    char *token; /* where that key is */
    char **label; /* what this import has stored or found: with --replace, none of it may go again */
    size_t labels;
};

static int use_label(struct import *import, const char *label)
{
    char **grown = reallocarray(import->label, import->labels + 1, sizeof *grown), *copy = strdup(label);

    import->label = grown ? grown : import->label;
    if (!grown || !copy) {
        free(copy);
        return fail("out of memory");
    }
    import->label[import->labels++] = copy;
    return DONE;
}

static bool is_used(const struct import *import, const char *label)
{
    for (size_t i = 0; i < import->labels; i++)
        if (!strcmp(import->label[i], label))
            return true;
    return false;
}

static void free_import(struct import *import)
{
    for (size_t i = 0; i < import->labels; i++)
        free(import->label[i]);
    free(import->label);
    free(import->token);
}

/* A key whose public half cannot be read is nobody's here; the next one may be the one. */
static int match_key(void *arg, const char *address, const struct hx_object *object)
{
    struct import *import = arg;
    AUTO_KEY hx_key *key = NULL;
    AUTO_BYTES struct hx_bytes spki = { 0 };
    AUTO_PKEY EVP_PKEY *pkey = NULL;
    const unsigned char *der;

    if (object->kind != HX_PRIVATE_KEY || hx_key_open(import->context, address, &key) || hx_key_public(key, &spki))
        return 0;
    der = spki.data;
    pkey = d2i_PUBKEY_ex(NULL, &der, (long)spki.len, libctx(), NULL);
    for (int i = 0; pkey && i < sk_X509_num(import->certs) && !import->leaf; i++) {
        X509 *cert = sk_X509_value(import->certs, i);

        if (EVP_PKEY_eq(X509_get0_pubkey(cert), pkey) == 1) {
            import->leaf = cert;
            import->token = address_token(address);
        }
    }
    ERR_clear_error();
    if (import->leaf && object->label && !option(import->call, O_LABEL))
        use_label(import, object->label); /* the certificate will have it */
    return import->leaf ? 1 : 0;
}

static int find_leaf(struct import *import)
{
    const char *token = option(import->call, O_TOKEN);
    AUTO_FREE char *where = NULL;
    int result;

    if (token && token_address(token, "", &where))
        return FAILED;
    result = hx_each(import->context, where, match_key, import);
    if (import->leaf)
        return DONE;
    if (result)
        return fail_hx();
    if (option(import->call, O_FORCE))
        return DONE;
    return fail("no key on %s%s%s belongs to the certificate in '%s': --force stores it all the same",
                token ? "token '" : "any token", token ? token : "", token ? "'" : "", import->call->arg[0]);
}

/* A certificate of the chain has no key to be named after: its common name, else a running number; both where another
 * of this import has the name, as one CA's old and new certificate do. */
static int chain_label(const struct import *import, X509 *cert, int number, char **ret)
{
    char *longer;

    *ret = cert_name(cert);
    if (!*ret)
        *ret = text_of("chain-%d", number);
    for (; *ret && is_used(import, *ret); *ret = longer) {
        longer = text_of("%s-%d", *ret, number);
        free(*ret);
    }
    return *ret ? DONE : fail("out of memory");
}

struct search {
    struct import *import;
    const void *der;
    size_t len;
    bool found;
};

static int compare_cert(void *arg, const char *address, const struct hx_object *object)
{
    struct search *search = arg;
    AUTO_BYTES struct hx_bytes der = { 0 };

    if (object->kind == HX_CERTIFICATE && !hx_read(search->import->context, address, HX_VALUE, &der))
        search->found = der.len == search->len && !memcmp(der.data, search->der, der.len);
    if (search->found && object->label)
        use_label(search->import, object->label);
    return search->found ? 1 : 0;
}

/* The same certificate again, as when a renewed leaf comes with the same chain, is no news. */
static bool is_there(struct import *import, const char *token, const struct hx_buf *der)
{
    struct search search = { .import = import, .der = der->data, .len = der->len };
    AUTO_FREE char *where = NULL;

    if (!token || token_address(token, "cert", &where))
        return false;
    hx_each(import->context, where, compare_cert, &search);
    return search.found;
}

static int store_cert(struct import *import, X509 *cert, int number)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE };
    const char *given = option(import->call, O_LABEL), *token = option(import->call, O_TOKEN);
    AUTO_CRYPTO unsigned char *der = NULL;
    AUTO_FREE char *label = NULL;
    AUTO_BYTES struct hx_bytes address = { 0 };
    int len = i2d_X509(cert, &der), result;
    struct hx_buf part = { der, (size_t)len };
    bool is_leaf = cert == import->leaf || (!import->leaf && number == 0);

    if (len <= 0)
        return fail_crypto("the certificate cannot be encoded");
    if (!token)
        token = import->token;
    if (cert != import->leaf && is_there(import, token, &part))
        return DONE;
    if (is_leaf)
        spec.label = given;
    if (!spec.label && cert != import->leaf) {
        if (chain_label(import, cert, number, &label))
            return FAILED;
        spec.label = label;
    }
    if (spec.label && use_label(import, spec.label))
        return FAILED;
    if (option(import->call, O_REPLACE))
        spec.flags |= HX_REPLACE;
    result = hx_import(import->context, token, &spec, &part, 1, &address);
    if (result)
        return fail_making(import->call, result);
    print_clean((const char *)address.data);
    putchar('\n');
    return DONE;
}

int cert_import_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_CERTS STACK_OF(X509) *certs = NULL;
    struct import import = { .call = call };
    int status = read_certs(call->arg[0], &certs);

    if (!status)
        status = open_context(call, &context);
    if (status)
        return status;
    import.context = context;
    import.certs = certs;
    status = find_leaf(&import);
    if (!status && import.leaf && option(call, O_LABEL))
        status = use_label(&import, option(call, O_LABEL));
    for (int i = 0; i < sk_X509_num(certs) && !status; i++)
        status = store_cert(&import, sk_X509_value(certs, i), i);
    free_import(&import);
    return status;
}
