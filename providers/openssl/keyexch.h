/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH on the token. */
#ifndef KEYEXCH_H
#define KEYEXCH_H

#include <openssl/core.h>

extern const OSSL_DISPATCH keyexch_functions[];

#endif
