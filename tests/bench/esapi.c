/* SPDX-License-Identifier: Apache-2.0 */
/* See esapi.h. */
#include "esapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <tss2/tss2_tctildr.h>

static void must(TSS2_RC rc, const char *what)
{
    if (!rc)
        return;
    fprintf(stderr, "bench: %s: 0x%x\n", what, rc);
    exit(1);
}

void esapi_open(const char *tcti, uint32_t handle, bool is_rsa, struct esapi_key *ret)
{
    TSS2_TCTI_CONTEXT *transport = NULL;

    ret->esys = NULL;
    ret->scheme = (TPMT_SIG_SCHEME){ .scheme = is_rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA,
                                     .details.any.hashAlg = TPM2_ALG_SHA256 };
    must(Tss2_TctiLdr_Initialize(tcti, &transport), "Tss2_TctiLdr_Initialize");
    must(Esys_Initialize(&ret->esys, transport, NULL), "Esys_Initialize");
    must(Esys_TR_FromTPMPublic(ret->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &ret->key),
         "Esys_TR_FromTPMPublic");
}

void esapi_sign(const struct esapi_key *key)
{
    static const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
    static const TPM2B_DIGEST digest = { 32, "what is signed while it is timed" };
    TPMT_SIGNATURE *signature = NULL;

    must(Esys_Sign(key->esys, key->key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &key->scheme, &no_ticket,
                   &signature),
         "Esys_Sign");
    Esys_Free(signature);
}
