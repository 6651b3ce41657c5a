/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption on the token. */
#include "asymcipher.h"

#include <openssl/core_dispatch.h>

const OSSL_DISPATCH asymcipher_functions[] = {
    { 0, NULL },
};
