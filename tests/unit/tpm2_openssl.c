/* SPDX-License-Identifier: Apache-2.0 */
/* The tpm2 plugin's key files and tpm2-openssl's: either side loads what the other has made, by the same parent. */
#include "../../plugins/tpm2/keyfile.h"
#include "../../plugins/tpm2/parent.h"
#include "plugin-host.h"
#include "tpm-fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include <cmocka.h>

#define AUTH "teapot"
#define FOR_OPENSSL "TPM2OPENSSL_TCTI='%s' openssl"
#define WITH_TPM2 "-provider tpm2 -provider default"

struct fixture {
    struct tpm_fixture tpm;
    struct plugin_host host;
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary;
};

static void connect_tpm(struct fixture *f)
{
    TPM2B_SENSITIVE_CREATE sensitive = { .size = 0 };
    TPM2B_DATA outside = { .size = 0 };
    TPML_PCR_SELECTION pcrs = { .count = 0 };
    assert_int_equal(Tss2_TctiLdr_Initialize(f->tpm.tcti, &f->tcti), 0);
    assert_int_equal(Esys_Initialize(&f->esys, f->tcti, NULL), 0);
    assert_int_equal(Esys_CreatePrimary(f->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                        &sensitive, &tpm_owner_primary_template, &outside, &pcrs, &f->primary, NULL,
                                        NULL, NULL, NULL),
                     0);
}

/* The software TPM speaks to one at a time. */
static void disconnect_tpm(struct fixture *f)
{
    assert_int_equal(Esys_FlushContext(f->esys, f->primary), 0);
    Esys_Finalize(&f->esys);
    Tss2_TctiLdr_Finalize(&f->tcti);
}

static bool can_run(void)
{
    if (!tpm_fixture_can_run())
        return false;
    if (!system("test -e \"$(openssl version -m | cut -d '\"' -f 2)/tpm2.so\""))
        return true;
    printf("skipped: tpm2-openssl is not installed\n");
    return false;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    tpm_fixture_start(&f->tpm);
    plugin_host_init(&f->host);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->tpm.pid)
        tpm_fixture_stop(&f->tpm);
    free(f);
    return 0;
}

static struct tpm_keyfile read_keyfile(struct fixture *f, const char *file)
{
    char path[128], text[8192];
    struct tpm_keyfile ret;
    snprintf(path, sizeof path, "%s/%s", f->tpm.directory, file);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    size_t len = fread(text, 1, sizeof text, stream);
    fclose(stream);
    assert_int_equal(tpm_keyfile_parse(&f->host.host, path, text, len, &ret), 0);
    return ret;
}

static void write_keyfile(struct fixture *f, const char *file, const struct tpm_keyfile *key)
{
    char path[128], *text;
    size_t len;
    assert_int_equal(tpm_keyfile_print(&f->host.host, key, &text, &len), 0);
    snprintf(path, sizeof path, "%s/%s", f->tpm.directory, file);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, len, stream), len);
    fclose(stream);
    free(text);
}

/* Loaded below the primary key, does it sign, with the auth value that it is said to want? */
static void expect_signs(struct fixture *f, const struct tpm_keyfile *key)
{
    TPM2B_DIGEST digest = { .size = 32 };
    TPM2B_AUTH auth = { .size = sizeof AUTH - 1, .buffer = AUTH };
    TPMT_TK_HASHCHECK ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
    bool rsa = key->public.publicArea.type == TPM2_ALG_RSA;
    TPMT_SIG_SCHEME scheme = { .scheme = rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA,
                               .details.any.hashAlg = TPM2_ALG_SHA256 };
    TPMT_SIGNATURE *signature;
    ESYS_TR loaded;
    assert_int_equal(key->parent, TPM2_RH_OWNER);
    assert_int_equal(Esys_Load(f->esys, f->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &key->private,
                               &key->public, &loaded),
                     0);
    if (!key->empty_auth)
        assert_int_equal(Esys_TR_SetAuth(f->esys, loaded, &auth), 0);
    assert_int_equal(
        Esys_Sign(f->esys, loaded, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket, &signature),
        0);
    Esys_Free(signature);
    assert_int_equal(Esys_FlushContext(f->esys, loaded), 0);
}

static void what_tpm2_openssl_makes_is_loaded(void **state)
{
    static const struct {
        const char *options;
        bool empty_auth;
    } rows[] = {
        { "-algorithm EC -pkeyopt group:P-256", true },
        { "-algorithm EC -pkeyopt group:P-384", true },
        { "-algorithm RSA -pkeyopt bits:2048", true },
        { "-algorithm EC -pkeyopt group:P-256 -pkeyopt user-auth:" AUTH, false },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tpm_fixture_run(&f->tpm, FOR_OPENSSL " genpkey -provider tpm2 %s -out theirs.tss", f->tpm.tcti,
                        rows[i].options);
        struct tpm_keyfile key = read_keyfile(f, "theirs.tss");
        assert_int_equal(key.type, TPM_KEYFILE_KEY);
        assert_int_equal(key.empty_auth, rows[i].empty_auth);
        connect_tpm(f);
        expect_signs(f, &key);
        disconnect_tpm(f);
    }
}

static struct tpm_keyfile make_key(struct fixture *f, const char *auth)
{
    TPM2B_PUBLIC template = tpm_owner_primary_template, *public;
    TPM2B_PRIVATE *private;
    TPM2B_DATA outside = { .size = 0 };
    TPML_PCR_SELECTION pcrs = { .count = 0 };
    TPM2B_SENSITIVE_CREATE sensitive = { .sensitive.userAuth.size = (UINT16)strlen(auth) };
    memcpy(sensitive.sensitive.userAuth.buffer, auth, strlen(auth));
    template.publicArea.objectAttributes &= ~(TPMA_OBJECT)(TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
    template.publicArea.objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT;
    template.publicArea.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
    connect_tpm(f);
    assert_int_equal(Esys_Create(f->esys, f->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                                 &template, &outside, &pcrs, &private, &public, NULL, NULL, NULL),
                     0);
    disconnect_tpm(f);
    struct tpm_keyfile key = { .empty_auth = !*auth, .parent = TPM2_RH_OWNER, .public = *public, .private = *private };
    Esys_Free(public);
    Esys_Free(private);
    return key;
}

static void tpm2_openssl_loads_what_we_print(void **state)
{
    static const char *const auths[] = { "", AUTH };
    struct fixture *f = *state;
    for (size_t i = 0; i < 2; i++) {
        struct tpm_keyfile key = make_key(f, auths[i]);
        write_keyfile(f, "ours.tss", &key);
        tpm_fixture_run(&f->tpm,
                        "head -c 32 /dev/zero >digest && " FOR_OPENSSL " pkeyutl -sign " WITH_TPM2
                        " -inkey ours.tss -passin pass:%s -in digest -out "
                        "signature -pkeyopt digest:sha256",
                        f->tpm.tcti, auths[i]);
        tpm_fixture_run(&f->tpm,
                        FOR_OPENSSL " pkey " WITH_TPM2 " -in ours.tss -passin pass:%s -pubout -out ours.pub && "
                                    "openssl pkeyutl -verify -pubin -inkey ours.pub -in digest -sigfile signature",
                        f->tpm.tcti, auths[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_tpm2_openssl_makes_is_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(tpm2_openssl_loads_what_we_print, setup, teardown),
    };
    return can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
