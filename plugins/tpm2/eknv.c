/* SPDX-License-Identifier: Apache-2.0 */
/* See eknv.h.  A certificate holds its key's modulus as it is, and nobody else's: to look for these bytes is enough,
 * and does not mind what an index holds behind the certificate. */
#include "eknv.h"

#include "nv.h"

#include <stdlib.h>
#include <string.h>

enum { CERT_MOST = 4096, DER_SEQUENCE = 0x30 };

static int read_open(struct tpm_token *token, const struct tpm_nv *nv, size_t max, unsigned char **ret, size_t *ret_len)
{
    size_t len = nv->public.dataSize;
    unsigned char *data;
    ESYS_TR auth;
    int result = len <= max ? tpm_nv_readable(token, nv, &auth) : HX_E_UNSUPPORTED;

    if (result)
        return result;
    if (!(data = malloc(len + 1)))
        return hx_fail(token->host, HX_E_NO_MEMORY, "out of memory");
    if ((result = tpm_nv_read(token, nv, auth, 0, data, len))) {
        free(data);
        return result;
    }
    *ret = data;
    *ret_len = len;
    return 0;
}

int tpm_eknv_read(struct tpm_token *token, TPM2_HANDLE handle, size_t max, unsigned char **ret, size_t *ret_len)
{
    struct tpm_nv nv;
    int result = tpm_nv_open(token, handle, &nv);

    if (result)
        return result;
    result = read_open(token, &nv, max, ret, ret_len);
    tpm_nv_close(token, &nv);
    return result == HX_E_UNSUPPORTED ? HX_E_NOT_FOUND : result;
}

enum tpm_ek_fit tpm_eknv_certifies(struct tpm_token *token, const TPMT_PUBLIC *area)
{
    const TPM2B_PUBLIC_KEY_RSA *modulus = &area->unique.rsa;
    enum tpm_ek_fit fit = TPM_EK_UNCERTIFIED;
    unsigned char *data;
    size_t len;

    if (area->type != TPM2_ALG_RSA || !modulus->size || tpm_eknv_read(token, TPM_NV_EK_CERT, CERT_MOST, &data, &len))
        return TPM_EK_UNCERTIFIED;
    if (len && *data == DER_SEQUENCE) /* not a wrapping of the maker's own */
        fit = memmem(data, len, modulus->buffer, modulus->size) ? TPM_EK_FITS : TPM_EK_OTHER;
    free(data);
    return fit;
}
