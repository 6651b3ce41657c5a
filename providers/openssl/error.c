/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons for the application's error queue, through OpenSSL's upcalls: the queue of the libcrypto that the
 * application uses, which need not be the one that we are linked with. */
#include "provider.h"

#include <stdarg.h>

static void raise_reason(const struct provider *provider, int result, const char *where, const char *fmt, va_list args)
{
    if (!provider->new_error || !provider->vset_error)
        return;
    provider->new_error(provider->core);
    if (provider->set_error_debug)
        provider->set_error_debug(provider->core, "hsmux", 0, where);
    provider->vset_error(provider->core, (uint32_t)-result, fmt, args);
}

int error_raise(const struct provider *provider, int result, const char *where, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    raise_reason(provider, result, where, fmt, args);
    va_end(args);
    return 0;
}

int error_hx(const struct provider *provider, int result, const char *where)
{
    return error_raise(provider, result, where, "%s", hx_last_error());
}

void error_reasons(OSSL_ITEM ret[REASONS + 1])
{
    for (int i = 0; i < REASONS; i++) {
        const char *text = hx_strerror(-(i + 1));
        union {
            const char *text;
            void *ptr;
        } reason = { text };

        ret[i] = (OSSL_ITEM){ .id = (unsigned)i + 1, .ptr = reason.ptr };
    }
    ret[REASONS] = (OSSL_ITEM){ 0 };
}
