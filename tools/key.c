/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux key generate: a new key pair, made by the token itself. */
#include "tool.h"

#include <stdio.h>

int key_generate_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BYTES struct hx_bytes address = { 0 };
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .label = call->arg[0] };
    int result;

    if (!call->arg[0][0])
        return misused("the label is empty");
    if (parse_type(option(call, O_TYPE) ? option(call, O_TYPE) : "p256", &spec))
        return MISUSED;
    if (option(call, O_REPLACE))
        spec.flags |= HX_REPLACE;
    if (open_context(call, &context))
        return FAILED;
    result = hx_generate(context, option(call, O_TOKEN), &spec, &address);
    if (result)
        return fail_making(call, result);
    puts((const char *)address.data);
    return DONE;
}
