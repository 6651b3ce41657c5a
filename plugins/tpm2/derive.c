/* SPDX-License-Identifier: Apache-2.0 */
/* ECDH (TPM2_ECDH_ZGen, TPM 2.0 Part 3 §14.5). */
#include "object.h"

#include <string.h>

struct agreement {
    TPM2B_ECC_POINT peer, *shared;
    TSS2_RC rc;
};

static TSS2_RC agree_command(const struct tpm_use *use, void *arg)
{
    struct agreement *agreement = arg;

    tpm_encrypt(use->esys, use->session, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT);
    agreement->rc = Esys_ECDH_ZGen(use->esys, use->key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &agreement->peer,
                                   &agreement->shared);
    return agreement->rc;
}

static int keep_point(const struct tpm_object *object, const unsigned char *in, size_t len, size_t width,
                      TPM2B_ECC_POINT *ret)
{
    TPMS_ECC_POINT *point = &ret->point;

    if (!width || len != 2 * width + 1 || in[0] != 4)
        return hx_fail(object->token->host, HX_E_INVALID, "the peer's point is not one of the key's curve");
    point->x.size = point->y.size = (UINT16)width;
    memcpy(point->x.buffer, in + 1, width);
    memcpy(point->y.buffer, in + 1 + width, width);
    return 0;
}

int tpm_derive(struct tpm_object *object, const struct hx_alg *alg, const void *in, size_t len, struct hx_out *out)
{
    const struct hx_host *host = object->token->host;
    struct agreement agreement = { .rc = 0 };
    TPMS_ECC_POINT *shared;
    size_t width;
    int result;

    if (alg->scheme != HX_ECDH)
        return hx_fail(host, HX_E_UNSUPPORTED, "a TPM agrees on secrets by ECDH");
    if ((result = tpm_check_key(object, TPM2_ALG_ECC, TPMA_OBJECT_DECRYPT, TPM2_ALG_ECDH)))
        return result;
    width = tpm_curve_width(object->key->public.publicArea.parameters.eccDetail.curveID);
    if ((result = keep_point(object, in, len, width, &agreement.peer)))
        return result;
    result = tpm_use(object->token, object->key, agree_command, &agreement, "TPM2_ECDH_ZGen");
    if (result && (tpm_rc(agreement.rc) == TPM2_RC_ECC_POINT || tpm_rc(agreement.rc) == TPM2_RC_NO_RESULT))
        return hx_fail(host, HX_E_INVALID, "the peer's point is not one of the key's curve");
    if (result)
        return result;
    shared = &agreement.shared->point;
    result = tpm_put_number(out, shared->x.buffer, shared->x.size, width);
    explicit_bzero(agreement.shared, sizeof *agreement.shared);
    Esys_Free(agreement.shared);
    return result;
}
