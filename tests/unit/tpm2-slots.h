/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of object slots start from: keys of each kind at handles, and two key files. */
#ifndef TPM2_SLOTS_H
#define TPM2_SLOTS_H

#include "tpm2-keyfiles.h"

#define P256 KEY(0)
#define RSA KEY(1)
#define MAC KEY(2)

static const struct tpm_fixture_key bench_keys[] = {
    { P256, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, 0, 0, NULL },
    { RSA, TPM2_ALG_RSA, 2048, 0, 0, NULL },
    { MAC, TPM2_ALG_KEYEDHASH, 0, 0, 0, NULL },
    { SRK, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_RESTRICTED | DECRYPT | NODA, 0, NULL },
};

static inline int start(void **state)
{
    int result = bench_start(state);
    struct bench *b = *state;

    if (result || !b->tpm.pid)
        return result;
    if (make_directory(b))
        return -1;
    tpm_fixture_make(&b->tpm, bench_keys, sizeof bench_keys / sizeof *bench_keys);
    make_file(b, "owned.tss", 0, NULL, true, NODA);
    make_file(b, "stored.pem", SRK, NULL, true, NODA);
    return 0;
}

static inline int open_token(void **state)
{
    struct bench *b = *state;

    if (b->tpm.pid)
        bench_open(b);
    return 0;
}

static inline int close_token(void **state)
{
    struct bench *b = *state;

    if (!b->tpm.pid)
        return 0;
    bench_close(b);
    tpm_fixture_flush(&b->tpm);
    return 0;
}

#endif
