/* SPDX-License-Identifier: Apache-2.0 */
/* The table of hashes. */
#include "algorithm.h"

#include <string.h>

static const struct {
    const char *name;
    size_t width;
} hashes[] = {
    [HX_SHA1] = { "SHA1", 20 },
    [HX_SHA256] = { "SHA256", 32 },
    [HX_SHA384] = { "SHA384", 48 },
    [HX_SHA512] = { "SHA512", 64 },
};

size_t hash_width(uint32_t hash)
{
    return hash < sizeof hashes / sizeof *hashes ? hashes[hash].width : 0;
}

OSSL_PARAM hash_param(const char *name, uint32_t hash, char buffer[HASH_NAME_SIZE])
{
    /* OSSL_PARAM wants text that is not const, though nobody writes to it. */
    return OSSL_PARAM_construct_utf8_string(name, strcpy(buffer, hashes[hash].name), 0);
}

bool algorithm_is_plain(const struct hx_alg *alg)
{
    return !(alg->spare[0] | alg->spare[1] | alg->spare[2] | alg->spare[3]);
}
