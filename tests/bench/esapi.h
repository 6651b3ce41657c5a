/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a program can do for a TPM's signature: ESAPI, and nothing around it. */
#ifndef BENCH_ESAPI_H
#define BENCH_ESAPI_H

#include <stdbool.h>
#include <stdint.h>
#include <tss2/tss2_esys.h>

struct esapi_key {
    ESYS_CONTEXT *esys;
    ESYS_TR key;
    TPMT_SIG_SCHEME scheme;
};

/* Whatever fails ends the program with the reason. */
void esapi_open(const char *tcti, uint32_t handle, bool is_rsa, struct esapi_key *ret);
void esapi_sign(const struct esapi_key *);

#endif
