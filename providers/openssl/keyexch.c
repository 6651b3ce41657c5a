/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH on the token. */
#include "keyexch.h"

#include <openssl/core_dispatch.h>

const OSSL_DISPATCH keyexch_functions[] = {
    { 0, NULL },
};
