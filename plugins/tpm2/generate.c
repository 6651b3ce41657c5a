/* SPDX-License-Identifier: Apache-2.0 */
/* New keys that never leave the TPM. */
#include "label.h"
#include "make.h"
#include "room.h"

#include <string.h>

#define ATTRIBUTES                                                                                                     \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |     \
     TPMA_OBJECT_NODA)

static int check_numbers(struct tpm_token *token, const struct hx_spec *spec)
{
    const struct hx_host *host = token->host;

    if (spec->kind != (spec->type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY))
        return hx_fail(host, HX_E_UNSUPPORTED, "only private keys and secrets can be generated");
    if (spec->type == HX_GENERIC && spec->bits && spec->bits != TPM2_SHA256_DIGEST_SIZE * 8)
        return hx_fail(host, HX_E_UNSUPPORTED, "secrets that a TPM makes have 256 bits here");
    if (spec->type != HX_GENERIC && spec->type != HX_RSA && tpm_curve_of(spec->type) == TPM2_ECC_NONE)
        return hx_fail(host, HX_E_UNSUPPORTED, "a TPM's keys are RSA, P-256, P-384 or P-521");
    if (spec->type == HX_RSA && spec->bits && spec->bits != 2048 && spec->bits != 3072 && spec->bits != 4096)
        return hx_fail(host, HX_E_UNSUPPORTED, "RSA keys have 2048, 3072 or 4096 bits here");
    if (spec->rsa_e > UINT32_MAX)
        return hx_fail(host, HX_E_UNSUPPORTED, "a TPM's RSA exponents have 32 bits at most");
    return 0;
}

/* Is it among what the TPM can do?  RSA says so itself. */
int tpm_make_check_curve(struct tpm_token *token, TPM2_ECC_CURVE curve)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    bool found = false;
    TSS2_RC rc = Esys_GetCapability(token->tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_ECC_CURVES,
                                    curve, 1, NULL, &data);

    if (rc)
        return tpm_fail(token, rc, "look at it");
    found = data->data.eccCurves.count == 1 && data->data.eccCurves.eccCurves[0] == curve;
    Esys_Free(data);
    return found ? 0 : hx_fail(token->host, HX_E_UNSUPPORTED, "this TPM does not have that curve");
}

int tpm_make_check_rsa(struct tpm_token *token, const TPMT_PUBLIC *public)
{
    TPMT_PUBLIC_PARMS parms = { .type = public->type, .parameters = public->parameters };
    TSS2_RC rc = Esys_TestParms(token->tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parms);

    if (rc && tpm_rc(rc) == TPM2_RC_VALUE)
        return hx_fail(token->host, HX_E_UNSUPPORTED, "this TPM has no RSA keys of %u bits, or of that exponent",
                       public->parameters.rsaDetail.keyBits);
    return rc ? tpm_fail(token, rc, "ask for such a key") : 0;
}

TPMA_OBJECT tpm_make_usage(uint32_t usage)
{
    return (usage & (HX_SIGN_DIGEST | HX_SIGN_MESSAGE) ? TPMA_OBJECT_SIGN_ENCRYPT : 0) |
           (usage & (HX_DECRYPT | HX_DERIVE) ? TPMA_OBJECT_DECRYPT : 0);
}

/* Where the scheme is left open a key does all that its attributes allow, RSA as it is included. */
static int fill(struct tpm_token *token, const struct hx_spec *spec, const struct tpm_plan *plan, TPMT_PUBLIC *ret)
{
    TPMU_PUBLIC_PARMS *parms = &ret->parameters;

    *ret = (TPMT_PUBLIC){ .nameAlg = TPM2_ALG_SHA256, .objectAttributes = ATTRIBUTES | tpm_make_usage(plan->usage) };
    if (spec->type == HX_RSA) {
        ret->type = TPM2_ALG_RSA;
        parms->rsaDetail = (TPMS_RSA_PARMS){ .symmetric.algorithm = TPM2_ALG_NULL,
                                             .scheme.scheme = TPM2_ALG_NULL,
                                             .keyBits = (UINT16)(spec->bits ? spec->bits : 2048),
                                             .exponent = spec->rsa_e == 65537 ? 0 : (UINT32)spec->rsa_e };
        return tpm_make_check_rsa(token, ret);
    }
    if (spec->type != HX_GENERIC) {
        ret->type = TPM2_ALG_ECC;
        parms->eccDetail = (TPMS_ECC_PARMS){ .symmetric.algorithm = TPM2_ALG_NULL,
                                             .scheme.scheme = TPM2_ALG_NULL,
                                             .curveID = tpm_curve_of(spec->type),
                                             .kdf.scheme = TPM2_ALG_NULL };
        return tpm_make_check_curve(token, parms->eccDetail.curveID);
    }
    tpm_make_any_hash(ret);
    return 0;
}

void tpm_make_any_hash(TPMT_PUBLIC *public)
{
    public->type = TPM2_ALG_KEYEDHASH;
    public->objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT;
    public->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
}

void tpm_make_one_hash(TPMT_PUBLIC *public)
{
    public->type = TPM2_ALG_KEYEDHASH;
    public->objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_DECRYPT;
    public->objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT;
    public->parameters.keyedHashDetail.scheme =
        (TPMT_KEYEDHASH_SCHEME){ .scheme = TPM2_ALG_HMAC, .details.hmac.hashAlg = TPM2_ALG_SHA256 };
}

struct generating {
    const struct hx_spec *spec;
    const struct tpm_plan *plan;
    struct hx_out *ref;
};

static int create(struct tpm_token *token, const struct tpm_plan *plan, TPM2B_PUBLIC *template, struct tpm_fresh *ret)
{
    int result = tpm_fresh_create(token, plan, template, ret);

    if (result != HX_E_UNSUPPORTED || plan->kind != HX_SECRET_KEY)
        return result;
    tpm_make_one_hash(&template->publicArea); /* not every TPM leaves the hash open */
    return tpm_fresh_create(token, plan, template, ret);
}

static int generate(struct tpm_token *token, void *arg)
{
    const struct generating *generating = arg;
    const struct tpm_plan *plan = generating->plan;
    TPM2B_PUBLIC template = { 0 };
    struct tpm_fresh fresh;
    struct tpm_spot spot;
    int result;

    if ((result = tpm_settle_sweep(token, plan)) ||
        (result = tpm_spot(token, plan, &spot)) || /* before the TPM works on it for seconds */
        (result = fill(token, generating->spec, plan, &template.publicArea)) ||
        (result = create(token, plan, &template, &fresh)))
        return result;
    result = tpm_settle(token, plan, &fresh, generating->ref);
    tpm_fresh_flush(token, &fresh);
    return result;
}

int tpm_generate(struct tpm_token *token, const struct hx_spec *given, struct hx_out *ref)
{
    struct hx_spec spec = *given;
    struct tpm_plan plan;
    struct generating generating = { .spec = &spec, .plan = &plan, .ref = ref };
    int result;

    if (!spec.kind)
        spec.kind = spec.type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY;
    if ((result = check_numbers(token, &spec)) || (result = tpm_label_refresh(token)) ||
        (result = tpm_plan(token, &spec, &plan)))
        return result;
    result = tpm_with_room(token, generate, &generating);
    explicit_bzero(&plan, sizeof plan);
    return result;
}
