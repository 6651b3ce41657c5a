/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC with a secret of the token. */
#include "mac.h"

#include <openssl/core_dispatch.h>

const OSSL_DISPATCH mac_functions[] = {
    { 0, NULL },
};
