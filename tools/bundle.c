/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux import --p12: key, certificate and chain go onto a token, all of them or none. */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define ASIDE ".replaced" /* behind the label: where the old certificate waits */

static void free_bundle(struct bundle *bundle)
{
    while (bundle->certs) {
        struct cert *cert = bundle->certs;

        bundle->certs = cert->next;
        free(cert->address);
        free(cert->label);
        hx_bytes_free(&cert->der);
        free(cert);
    }
    free(bundle->token);
    free(bundle->label);
    free(bundle->aside);
    free(bundle->old_key);
    p12_free(&bundle->p12);
    parts_free(&bundle->parts);
    hx_bytes_free(&bundle->key_address);
    hx_free(bundle->context);
}

/* Takes der over. */
int bundle_note(struct bundle *bundle, const char *address, const char *label, struct hx_bytes *der, bool ours)
{
    struct cert *cert = calloc(1, sizeof *cert);

    if (!cert)
        return HX_E_NO_MEMORY;
    cert->next = bundle->certs;
    bundle->certs = cert;
    cert->address = strdup(address);
    cert->label = strdup(label ? label : "");
    cert->der = *der;
    cert->ours = ours;
    *der = (struct hx_bytes){ 0 };
    return cert->address && cert->label ? 0 : HX_E_NO_MEMORY;
}

struct cert *bundle_find(const struct bundle *bundle, const char *label)
{
    struct cert *cert = bundle->certs;

    while (cert && strcmp(cert->label, label))
        cert = cert->next;
    return cert;
}

bool cert_is(const struct cert *cert, const struct hx_buf *der)
{
    return cert->der.len == der->len && !memcmp(cert->der.data, der->data, der->len);
}

/* An empty key can be taken by no token: but how it is refused tells whether keys are, logs in where that is needed,
 * and finds the only token that imports. */
static int try_token(const struct bundle *bundle, const char *token)
{
    const struct hx_buf nothing = { "", 0 };
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .bits = 256, .label = "hsmux" };
    int result;

    if (option(bundle->call, O_EXTRACTABLE))
        spec.flags = HX_EXTRACTABLE;
    result = hx_import(bundle->context, token, &spec, &nothing, 1, NULL);
    return result == HX_E_INVALID ? HX_OK : result;
}

static int try_named(void *arg, const char *subject, const char *name, int result, const char *text)
{
    struct bundle *bundle = arg;

    (void)text;
    if (!strcmp(subject, "configuration"))
        return 0;
    if (strcmp(subject, "token")) /* there are no more */
        return 1;
    if (result || try_token(bundle, name))
        return 0;
    bundle->token = strdup(name);
    return 1;
}

static int choose_token(struct bundle *bundle)
{
    const char *given = option(bundle->call, O_TOKEN);
    int result;

    if (given && check_token(bundle->context, given))
        return FAILED;
    result = try_token(bundle, given);
    if (result)
        return fail_making(bundle->call, result);
    if (given)
        bundle->token = strdup(given);
    else
        hx_status(bundle->context, try_named, bundle);
    return bundle->token ? DONE : fail("the token that imports keys cannot be found: name it with --token");
}

static int choose_label(struct bundle *bundle)
{
    const char *given = option(bundle->call, O_LABEL);

    if (given && !*given)
        return misused("the label is empty");
    if (given || bundle->p12.name)
        bundle->label = strdup(given ? given : bundle->p12.name);
    else
        bundle->label = cert_name(bundle->p12.leaf);
    if (!bundle->label)
        return fail("'%s': has neither a friendly name nor a common name to label the key with: --label",
                    bundle->call->arg[0]);
    return DONE;
}

static int note_object(void *arg, const char *address, const struct hx_object *object)
{
    struct bundle *bundle = arg;
    AUTO_BYTES struct hx_bytes der = { 0 };

    if (object->kind == HX_PRIVATE_KEY && object->label && !strcmp(object->label, bundle->label) && !bundle->old_key) {
        bundle->old_key = strdup(address);
        return bundle->old_key ? 0 : HX_E_NO_MEMORY;
    }
    if (object->kind == HX_PRIVATE_KEY && object->label && !strcmp(object->label, bundle->aside))
        bundle->aside_taken = true;
    if (object->kind != HX_CERTIFICATE)
        return 0;
    hx_read(bundle->context, address, HX_VALUE, &der); /* one that cannot be read still holds its label */
    return bundle_note(bundle, address, object->label, &der, false);
}

/* What the token holds now, and whether the label is free. */
static int look_at_token(struct bundle *bundle, const struct hx_buf *leaf)
{
    AUTO_FREE char *where = NULL;

    if (token_address(bundle->token, "", &where))
        return FAILED;
    if (hx_each(bundle->context, where, note_object, bundle))
        return fail_hx();
    for (struct cert *there = bundle->certs; there; there = there->next)
        if (!strcmp(there->label, bundle->label) && !cert_is(there, leaf)) /* an import that was stopped left both */
            bundle->old_leaf = there;
    if (!option(bundle->call, O_REPLACE) && (bundle->old_key || bundle->old_leaf))
        return fail("label '%s' is taken by '%s'; --replace replaces it", bundle->label,
                    bundle->old_key ? bundle->old_key : bundle->old_leaf->address);
    if (bundle->aside_taken && option(bundle->call, O_REPLACE))
        return fail("label '%s' is a key's on token '%s': the old certificate would have to wait there: give another "
                    "--label",
                    bundle->aside, bundle->token);
    if (bundle->old_leaf && !bundle->old_leaf->der.len)
        return fail("'%s' cannot be read, and so not be put back if something failed: remove it first",
                    bundle->old_leaf->address);
    return DONE;
}

static void print_address(const char *address)
{
    print_clean(address);
    putchar('\n');
}

/* Two imports at the same time could mix their keys and certificates, or take away what the other relies on: the later
 * one waits.  Where no such file can be made it goes ahead. */
static int wait_for_others(void)
{
    const char *own = secure_getenv("XDG_RUNTIME_DIR");
    AUTO_FREE char *path = NULL;
    int fd;

    if (geteuid() == 0)
        own = "/run";
    path = own && *own == '/' ? text_of("%s/hsmux-import.lock", own) : NULL;
    fd = path ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
        ;
    return fd;
}

static int run(struct bundle *bundle)
{
    const char *path = bundle->call->arg[0];
    AUTO_CRYPTO unsigned char *der = NULL;
    AUTO_CLOSE int lock = -1;
    struct hx_buf leaf;
    int status;

    if (p12_read(path, option(bundle->call, O_PASSPHRASE), &bundle->p12) ||
        parts_split(path, bundle->p12.pkey, &bundle->spec, &bundle->parts))
        return FAILED;
    status = choose_label(bundle);
    if (status)
        return status;
    leaf.len = (size_t)i2d_X509(bundle->p12.leaf, &der);
    leaf.data = der;
    bundle->aside = text_of("%s" ASIDE, bundle->label);
    if (!der || !bundle->aside)
        return fail("out of memory");
    progress_start("storing key and certificates", bundle->token);
    lock = wait_for_others();
    status = look_at_token(bundle, &leaf);
    if (!status)
        status = bundle_put(bundle, &leaf);
    progress_end();
    if (status)
        return status;
    print_address((char *)bundle->key_address.data);
    for (const struct cert *cert = bundle->certs; cert; cert = cert->next) {
        if (cert->ours && strcmp(cert->label, bundle->aside))
            print_address(cert->address);
    }
    return DONE;
}

int import_p12_run(const struct call *call)
{
    struct bundle bundle = { .call = call, .spec = { .kind = HX_PRIVATE_KEY } };
    int status = open_context(call, &bundle.context);

    if (!status)
        status = choose_token(&bundle); /* before a passphrase is asked for */
    if (!status)
        status = run(&bundle);
    free_bundle(&bundle);
    return status;
}
