/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing here needs a library context of libcrypto's. */
#include "digestinfo.h"

#include <hsmux/types.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <string.h>

static const struct {
    uint32_t hash;
    int nid;
    size_t size;
} hashes[] = {
    { HX_SHA1, NID_sha1, 20 },
    { HX_SHA256, NID_sha256, 32 },
    { HX_SHA384, NID_sha384, 48 },
    { HX_SHA512, NID_sha512, 64 },
};
#define HASHES (sizeof hashes / sizeof *hashes)

static bool encode(int nid, const void *digest, size_t len, struct tpm_digest_info *ret)
{
    X509_SIG *sig = X509_SIG_new();
    X509_ALGOR *algorithm;
    ASN1_OCTET_STRING *string;
    unsigned char *der = NULL;
    int der_len = 0;

    if (sig) {
        X509_SIG_getm(sig, &algorithm, &string);
        if (X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), V_ASN1_NULL, NULL) &&
            ASN1_OCTET_STRING_set(string, digest, (int)len))
            der_len = i2d_X509_SIG(sig, &der);
    }
    X509_SIG_free(sig);
    if (der_len > 0 && (size_t)der_len <= sizeof ret->der) {
        memcpy(ret->der, der, (size_t)der_len);
        ret->len = (size_t)der_len;
    }
    OPENSSL_free(der);
    return ret->len > 0;
}

bool tpm_digest_info_make(uint32_t hash, const void *digest, size_t len, struct tpm_digest_info *ret)
{
    struct tpm_digest_info info = { .hash = hash, .digest_len = len };
    bool ok = false;

    ERR_set_mark();
    for (size_t i = 0; i < HASHES && !ok; i++)
        ok = hashes[i].hash == hash && hashes[i].size == len && encode(hashes[i].nid, digest, len, &info);
    ERR_pop_to_mark();
    if (!ok)
        return false;
    memcpy(info.digest, digest, len);
    *ret = info;
    return true;
}

/* Its end is the digest, whatever hash it is of; all of it must be what we would have written. */
bool tpm_digest_info_parse(const void *der, size_t len, struct tpm_digest_info *ret)
{
    for (size_t i = 0; i < HASHES; i++) {
        struct tpm_digest_info info;
        size_t size = hashes[i].size;

        if (len > size && tpm_digest_info_make(hashes[i].hash, (const unsigned char *)der + len - size, size, &info) &&
            info.len == len && !memcmp(info.der, der, len)) {
            *ret = info;
            return true;
        }
    }
    return false;
}
