/* SPDX-License-Identifier: Apache-2.0 */
/* The table of hashes. */
#include "hash.h"

#include <hsmux/types.h>
#include <stddef.h>

static const struct p11_hash hashes[] = {
    { HX_SHA1,
      CKM_SHA_1,
      CKM_SHA_1_HMAC,
      CKK_SHA_1_HMAC,
      CKG_MGF1_SHA1,
      20,
      15,
      { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14 } },
    { HX_SHA256,
      CKM_SHA256,
      CKM_SHA256_HMAC,
      CKK_SHA256_HMAC,
      CKG_MGF1_SHA256,
      32,
      19,
      { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20 } },
    { HX_SHA384,
      CKM_SHA384,
      CKM_SHA384_HMAC,
      CKK_SHA384_HMAC,
      CKG_MGF1_SHA384,
      48,
      19,
      { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04,
        0x30 } },
    { HX_SHA512,
      CKM_SHA512,
      CKM_SHA512_HMAC,
      CKK_SHA512_HMAC,
      CKG_MGF1_SHA512,
      64,
      19,
      { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04,
        0x40 } },
};

const struct p11_hash *p11_hash(uint32_t hash)
{
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (hashes[i].hash == hash)
            return &hashes[i];
    return NULL;
}

const struct p11_hash *p11_hash_of_key(CK_KEY_TYPE type)
{
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (hashes[i].hmac_key == type)
            return &hashes[i];
    return NULL;
}
