/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux ref: the PEM file that stands for a key wherever a program wants a key file. */
#include "tool.h"

int ref_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_KEY hx_key *key = NULL;
    AUTO_BYTES struct hx_bytes pem = { 0 };

    if (option(call, O_DEFAULT)) {
        if (call->args)
            return misused("either an address or '--default'");
        if (hx_default_reference(&pem))
            return fail_hx();
        return emit(call, pem.data, pem.len);
    }
    if (open_context(call, &context))
        return FAILED;
    if (hx_key_open(context, call->args ? call->arg[0] : "hsm:", &key) || hx_key_reference(key, &pem))
        return fail_hx();
    return emit(call, pem.data, pem.len);
}
