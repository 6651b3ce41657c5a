/* SPDX-License-Identifier: Apache-2.0 */
/* A private key as plain numbers, in the order in which import() takes them.  Wipe it after use. */
#ifndef PARTS_H
#define PARTS_H

#include "contents.h"
#include "public.h"

#include <openssl/types.h>

#define PARTS_MAX 8

struct parts {
    uint32_t type;
    size_t count;
    struct hx_buf part[PARTS_MAX]; /* into store: do not copy the struct */
    unsigned char store[4096];
    size_t used;
};

enum { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV };
enum { EC_SCALAR, EC_POINT_, ED_SEED = 0, ED_PUBLIC };

/* From the caller's numbers, or a block that is not encrypted.  HX_E_CONFIG or HX_E_UNSUPPORTED: *why says why.
 * What a file leaves out (a public point) is reckoned. */
int parts_from_numbers(uint32_t type, const struct hx_buf *part, size_t count, struct parts *ret, const char **ret_why);
int parts_from_block(const struct block *, struct parts *ret, const char **ret_why);
void parts_wipe(struct parts *);

bool parts_public(const struct parts *, struct public_key *ret);

#endif
