/* SPDX-License-Identifier: Apache-2.0 */
/* The token's random numbers, for programs whose configuration asks for them. */
#ifndef RANDOM_H
#define RANDOM_H

#include <openssl/core.h>

#define RANDOM_NAME "HSMUX-RAND"

extern const OSSL_DISPATCH random_functions[];

#endif
