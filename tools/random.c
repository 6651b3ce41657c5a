/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux random: bytes from a token's own generator. */
#include "tool.h"

#include <errno.h>

enum { RANDOM_MAX = 1 << 20 };

int random_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    AUTO_BLOB struct blob bytes = { 0 };
    char *end;
    unsigned long len;
    int result;

    errno = 0;
    len = strtoul(call->arg[0], &end, 10);
    if (errno || *end || call->arg[0][0] < '0' || call->arg[0][0] > '9' || len == 0 || len > RANDOM_MAX)
        return misused("'%s' is no number of bytes from 1 to %d", call->arg[0], RANDOM_MAX);
    bytes.data = OPENSSL_zalloc(len + 1);
    if (!bytes.data)
        return fail("out of memory");
    bytes.len = len;
    if (open_context(call, &context))
        return FAILED;
    result = hx_random(context, option(call, O_TOKEN), bytes.data, len);
    if (result)
        return fail_making(call, result);
    return emit_binary(call, bytes.data, len);
}
