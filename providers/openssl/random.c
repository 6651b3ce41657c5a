/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers from the token. */
#include "random.h"

#include <openssl/core_dispatch.h>

const OSSL_DISPATCH random_functions[] = {
    { 0, NULL },
};
