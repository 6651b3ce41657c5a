/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a key fits an operation, told before the TPM has to. */
#include "object.h"

static TPM2_ALG_ID scheme_of(const TPMT_PUBLIC *public)
{
    switch (public->type) {
    case TPM2_ALG_RSA:
        return public->parameters.rsaDetail.scheme.scheme;
    case TPM2_ALG_ECC:
        return public->parameters.eccDetail.scheme.scheme;
    default:
        return public->parameters.keyedHashDetail.scheme.scheme;
    }
}

int tpm_check_key(const struct tpm_object *object, TPMI_ALG_PUBLIC type, TPMA_OBJECT needed, TPM2_ALG_ID scheme)
{
    const struct hx_host *host = object->token->host;
    const TPMT_PUBLIC *public;

    if (!object->key)
        return hx_fail(host, HX_E_UNSUPPORTED, "it is no key");
    public = &object->key->public.publicArea;
    if (public->type != type)
        return hx_fail(host, HX_E_UNSUPPORTED, "the key is of another type");
    if (public->objectAttributes & TPMA_OBJECT_RESTRICTED)
        return hx_fail(host, HX_E_UNSUPPORTED, "the key is restricted: it works for its TPM only");
    if (!(public->objectAttributes & needed))
        return hx_fail(host, HX_E_UNSUPPORTED, "the key lacks the attribute '%s', which it would have been made with",
                       needed == TPMA_OBJECT_DECRYPT ? "decrypt" : "sign");
    if (scheme_of(public) != TPM2_ALG_NULL && scheme_of(public) != scheme)
        return hx_fail(host, HX_E_UNSUPPORTED, "the key is made for another scheme alone");
    return 0;
}
