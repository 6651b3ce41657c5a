/* SPDX-License-Identifier: Apache-2.0 */
/* The loadable module's entry.  It has a file of its own so that a program can link the rest in as a built-in. */
#include "provider.h"

__attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
                                                              const OSSL_DISPATCH **out, void **ret)
{
    return hsmux_provider_init(core, in, out, ret);
}
