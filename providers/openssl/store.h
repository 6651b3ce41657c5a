/* SPDX-License-Identifier: Apache-2.0 */
/* The STORE loader: what an address yields. */
#ifndef STORE_H
#define STORE_H

#include <openssl/core_dispatch.h>

extern const OSSL_DISPATCH store_functions[];

#endif
