/* SPDX-License-Identifier: Apache-2.0 */
/* Key files for tests of the tpm2 plugin: made by ESAPI, in the TPM's directory, below `keys`. */
#ifndef TPM2_KEYFILES_H
#define TPM2_KEYFILES_H

#include "../../plugins/tpm2/keyfile.h"
#include "../../plugins/tpm2/parent.h"
#include "tpm2-bench.h"

#include <sys/stat.h>
#include <tss2/tss2_tctildr.h>

#define SRK 0x81000001u

static inline ESYS_CONTEXT *connect_tpm(const struct bench *b)
{
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;

    assert_int_equal(Tss2_TctiLdr_Initialize(b->tpm.tcti, &tcti), 0);
    assert_int_equal(Esys_Initialize(&esys, tcti, NULL), 0);
    return esys;
}

static inline void disconnect_tpm(ESYS_CONTEXT *esys)
{
    TSS2_TCTI_CONTEXT *tcti = NULL;

    assert_int_equal(Esys_GetTcti(esys, &tcti), 0);
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
}

static inline ESYS_TR make_primary(ESYS_CONTEXT *esys)
{
    static const TPM2B_SENSITIVE_CREATE secret;
    static const TPM2B_DATA outside;
    static const TPML_PCR_SELECTION pcrs;
    ESYS_TR primary;

    assert_int_equal(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &secret,
                                        &tpm_owner_primary_template, &outside, &pcrs, &primary, NULL, NULL, NULL, NULL),
                     0);
    return primary;
}

static inline TPM2B_PUBLIC template_of(TPMA_OBJECT noda)
{
    TPM2B_PUBLIC template = tpm_owner_primary_template;

    template.publicArea.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                           TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | SIGN | noda;
    template.publicArea.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    return template;
}

/* A key file below the owner's primary key (parent 0) or a persistent one; auth: the key's. */
static inline void make_file(struct bench *b, const char *name, TPM2_HANDLE parent, const char *auth, bool says_empty,
                             TPMA_OBJECT noda)
{
    ESYS_CONTEXT *esys = connect_tpm(b);
    TPM2B_PUBLIC template = template_of(noda), *public;
    TPM2B_SENSITIVE_CREATE secret = { .size = 0 };
    TPM2B_DATA outside = { .size = 0 };
    TPML_PCR_SELECTION pcrs = { .count = 0 };
    struct tpm_keyfile file = { .type = TPM_KEYFILE_KEY, .parent = parent ? parent : TPM2_RH_OWNER };
    TPM2B_PRIVATE *private;
    ESYS_TR tr = ESYS_TR_NONE;
    char path[128], *text;
    size_t len;
    FILE *out;

    if (parent)
        assert_int_equal(Esys_TR_FromTPMPublic(esys, parent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr), 0);
    else
        tr = make_primary(esys);
    if (auth) {
        secret.sensitive.userAuth.size = (UINT16)strlen(auth);
        memcpy(secret.sensitive.userAuth.buffer, auth, strlen(auth));
    }
    assert_int_equal(Esys_Create(esys, tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &secret, &template, &outside,
                                 &pcrs, &private, &public, NULL, NULL, NULL),
                     0);
    if (!parent)
        assert_int_equal(Esys_FlushContext(esys, tr), 0);
    disconnect_tpm(esys);
    file.empty_auth = says_empty;
    file.public = *public;
    file.private = *private;
    Esys_Free(public);
    Esys_Free(private);
    assert_int_equal(tpm_keyfile_print(&b->host.host, &file, &text, &len), 0);
    snprintf(path, sizeof path, "%s/keys/%s", b->tpm.directory, name);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    fclose(out);
    free(text);
}

static inline int make_directory(struct bench *b)
{
    char path[128];

    snprintf(path, sizeof path, "%s/keys", b->tpm.directory);
    plugin_host_set(&b->host, "key-files", path);
    return mkdir(path, 0755);
}

#endif
