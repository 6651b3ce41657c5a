/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes by number and name, and what is common to all operations. */
#ifndef ALGORITHM_H
#define ALGORITHM_H

#include <hsmux/types.h>
#include <openssl/params.h>
#include <stdbool.h>

#define HASH_NAME_SIZE 8

/* Bytes of a digest; 0: unknown. */
size_t hash_width(uint32_t hash);

/* The hash as a parameter of that name; only for a known one. */
OSSL_PARAM hash_param(const char *name, uint32_t hash, char buffer[HASH_NAME_SIZE]);

/* No spare word is in use. */
bool algorithm_is_plain(const struct hx_alg *);

#endif
