/* SPDX-License-Identifier: Apache-2.0 */
/* What a test puts into its software TPM and finds there, by ESAPI and not through the plugin; whatever fails here
 * fails that test. */
#ifndef TPM_OBJECTS_H
#define TPM_OBJECTS_H

#include "tpm-fixture.h"

#include <openssl/types.h>
#include <stddef.h>
#include <tss2/tss2_tpm2_types.h>

/* A key at a persistent handle.  Attributes 0: SIGN_ENCRYPT and DECRYPT (RSA, ECC) or SIGN_ENCRYPT (KEYEDHASH: HMAC),
 * and noDA.  FIXEDTPM, FIXEDPARENT, SENSITIVEDATAORIGIN and USERWITHAUTH come on top. */
struct tpm_fixture_key {
    TPM2_HANDLE handle;
    TPMI_ALG_PUBLIC type; /* TPM2_ALG_RSA, ECC, KEYEDHASH */
    uint16_t size; /* bits of RSA; the TPM2_ECC_ of ECC; else the hash, 0: SHA-256 */
    TPMA_OBJECT attributes;
    TPMI_ALG_ASYM_SCHEME scheme; /* 0: any, where the attributes leave that open */
    const char *auth; /* NULL: none */
};

/* Makes such keys, no two the same; what was at their handles goes. */
void tpm_fixture_make(const struct tpm_fixture *, const struct tpm_fixture_key *, size_t count);

/* Puts a software key at such a handle, with the row's attributes, scheme and auth; type and size are the key's. */
void tpm_fixture_import(const struct tpm_fixture *, const struct tpm_fixture_key *, EVP_PKEY *);

/* Removes what is at a persistent handle, if anything. */
void tpm_fixture_evict(const struct tpm_fixture *, TPM2_HANDLE);

/* Transient objects and sessions, loaded or saved; there should be none. */
size_t tpm_fixture_left(const struct tpm_fixture *);

/* Leaves so many slots for transient objects free. */
void tpm_fixture_fill(const struct tpm_fixture *, size_t slots);
/* Flushes all transient objects and sessions, as a resource manager does at its start. */
void tpm_fixture_flush(const struct tpm_fixture *);

/* TPM2_PT_: of the TPM, and that of today, such as TPM2_PT_LOCKOUT_COUNTER. */
uint32_t tpm_fixture_property(const struct tpm_fixture *, TPM2_PT);

#endif
