/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux import: a private key, a secret or data from a file onto a token.  (PKCS#12: bundle.c.) */
#include "tool.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

/* Without --label, the file's name without its last extension. */
static int choose_label(const struct call *call, char **ret)
{
    const char *given = option(call, O_LABEL);
    AUTO_FREE char *path = NULL;
    char *dot;

    if (given && !*given)
        return misused("the label is empty");
    if (!given && !strcmp(call->arg[0], "-"))
        return misused("standard input has no name to label the object with: --label");
    path = strdup(given ? given : call->arg[0]);
    *ret = path ? strdup(given ? path : basename(path)) : NULL;
    if (!*ret)
        return fail("out of memory");
    dot = strrchr(*ret, '.');
    if (!given && dot && dot != *ret)
        *dot = 0;
    return DONE;
}

static int check_options(const struct call *call)
{
    bool plain = option(call, O_SECRET) || option(call, O_DATA);

    if (option(call, O_SECRET) && option(call, O_DATA))
        return misused("either '--secret' or '--data'");
    if (option(call, O_P12) && plain)
        return misused("either '--p12' or '--secret' or '--data'");
    if (option(call, O_P12) && option(call, O_PLACE))
        return misused("'--place' is for one object, and '--p12' for several");
    if (option(call, O_BASE64) && !plain)
        return misused("'--base64' goes with '--secret' or '--data'");
    if (option(call, O_PASSPHRASE) && plain)
        return misused("'--passphrase-file' is for private keys");
    return DONE;
}

static int split_plain(const struct call *call, struct blob *text, struct hx_spec *spec, struct parts *ret)
{
    const char *path = strcmp(call->arg[0], "-") ? call->arg[0] : "standard input";
    unsigned char *copy;

    if (text->len == 0)
        return fail("'%s': is empty", path);
    if (option(call, O_BASE64) && decode_base64(text))
        return fail("'%s': is no base64", path);
    spec->kind = option(call, O_SECRET) ? HX_SECRET_KEY : HX_DATA;
    if (spec->kind == HX_SECRET_KEY) {
        spec->type = HX_GENERIC;
        spec->bits = (uint32_t)text->len * 8;
    }
    copy = OPENSSL_memdup(text->data, text->len);
    if (!copy)
        return fail("out of memory");
    ret->part[0].data = copy;
    ret->part[0].len = text->len;
    ret->count = 1;
    return DONE;
}

static int split_key(const struct call *call, const struct blob *text, struct hx_spec *spec, struct parts *ret)
{
    AUTO_PKEY EVP_PKEY *pkey = NULL;

    spec->kind = HX_PRIVATE_KEY;
    if (read_private_key(call->arg[0], text, option(call, O_PASSPHRASE), &pkey))
        return FAILED;
    return parts_split(call->arg[0], pkey, spec, ret);
}

int import_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BLOB struct blob text = { 0 };
    AUTO_FREE char *label = NULL;
    AUTO_PARTS struct parts parts = { 0 };
    AUTO_BYTES struct hx_bytes address = { 0 };
    struct hx_spec spec = { 0 };
    int status = check_options(call), result;

    if (!status && option(call, O_P12))
        return import_p12_run(call);
    if (!status)
        status = choose_label(call, &label);
    if (!status)
        status = open_context(call, &context);
    if (!status && option(call, O_TOKEN))
        status = check_token(context, option(call, O_TOKEN)); /* before a passphrase is asked for */
    if (!status)
        status = read_input(call->arg[0], &text);
    if (!status && (option(call, O_SECRET) || option(call, O_DATA)))
        status = split_plain(call, &text, &spec, &parts);
    else if (!status)
        status = split_key(call, &text, &spec, &parts);
    if (status)
        return status;
    spec.label = label;
    spec.place = option(call, O_PLACE);
    spec.flags = (option(call, O_EXTRACTABLE) ? HX_EXTRACTABLE : 0) | (option(call, O_REPLACE) ? HX_REPLACE : 0);
    progress_start("storing the object", option(call, O_TOKEN));
    result = hx_import(context, option(call, O_TOKEN), &spec, parts.part, parts.count, &address);
    progress_end();
    if (result)
        return fail_making(call, result);
    print_clean((const char *)address.data);
    putchar('\n');
    return DONE;
}
