/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux key generate: a new key pair, made by the token itself. */
#include "tool.h"

#include <stdio.h>

/* An RSA key takes seconds, and on a smart card minutes. */
static int make_key(hx *context, const char *token, const struct hx_spec *spec, const char *type,
                    struct hx_bytes *ret_address)
{
    AUTO_FREE char *what = NULL;
    int result;

    what =
        spec->type == HX_RSA ? text_of("making an RSA key of %u bits", spec->bits) : text_of("making a %s key", type);
    progress_start(what ? what : "making a key", token);
    result = hx_generate(context, token, spec, ret_address);
    progress_end();
    return result;
}

int key_generate_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BYTES struct hx_bytes address = { 0 };
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .label = call->arg[0], .place = option(call, O_PLACE) };
    const char *type = option(call, O_TYPE) ? option(call, O_TYPE) : "p256";
    int result;

    if (!call->arg[0][0])
        return misused("the label is empty");
    if (parse_type(type, &spec))
        return MISUSED;
    if (option(call, O_REPLACE))
        spec.flags |= HX_REPLACE;
    if (open_context(call, &context))
        return FAILED;
    result = make_key(context, option(call, O_TOKEN), &spec, type, &address);
    if (result)
        return fail_making(call, result);
    puts((const char *)address.data);
    return DONE;
}
