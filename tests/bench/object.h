/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of the module that is measured with, and its real signatures. */
#ifndef BENCH_OBJECT_H
#define BENCH_OBJECT_H

#include "module.h"

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdlib.h>

struct object;

enum mechanism { ECDSA, RSA_PKCS1, RSA_PSS, MECHANISMS };

/* A signature that was really made; len 0: none yet. */
struct made {
    unsigned char bytes[512];
    size_t len;
};

/* What C_FindObjectsInit asks for. */
struct wanted {
    CK_ATTRIBUTE at[4];
    unsigned char value[4][64];
    CK_ULONG count;
};

bool objects_make(void);

/* False: more, or longer, than there is room for. */
bool objects_want(const CK_ATTRIBUTE *, CK_ULONG count, struct wanted *ret);

/* The next object behind *at that fits. */
bool objects_next(const struct wanted *, bool logged_in, size_t *at);

CK_RV object_read(CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG count);
const struct object *object_key(CK_OBJECT_HANDLE); /* NULL: no private key */
const struct made *object_made(const struct object *, enum mechanism);
CK_RV object_sign(const struct object *, enum mechanism, const CK_RSA_PKCS_PSS_PARAMS *, const unsigned char *in,
                  size_t len, unsigned char *ret, CK_ULONG *ret_len);

#endif
