/* SPDX-License-Identifier: Apache-2.0 */
/* NV indexes: pieces of the TPM's own memory (TPM 2.0 Part 1 §37).  No auth value is ever tried on one that could count
 * as wrong: as the owner, whose does not count (§19.8), or with the empty one on an index that has noDA. */
#ifndef TPM_NV_H
#define TPM_NV_H

#include "token.h"

/* TCG Registry of Reserved TPM 2.0 Handles and Localities: what the owner may define. */
#define TPM_NV_OWNER_FIRST 0x01800000u
#define TPM_NV_OWNER_LAST 0x01bfffffu

struct tpm_nv {
    TPM2_HANDLE handle;
    ESYS_TR tr;
    TPM2B_NAME name;
    TPMS_NV_PUBLIC public;
};

/* HX_E_NOT_FOUND: there is none.  *ret is for tpm_nv_close(). */
int tpm_nv_open(struct tpm_token *, TPM2_HANDLE, struct tpm_nv *ret);
void tpm_nv_close(struct tpm_token *, struct tpm_nv *);

/* May it be read, and has it been written at all?  HX_E_UNSUPPORTED, without a reason: no.  *ret_auth: by whose auth.
 */
int tpm_nv_readable(struct tpm_token *, const struct tpm_nv *, ESYS_TR *ret_auth);
/* HX_E_UNSUPPORTED: the index refuses; HX_E_CONFIG: owner-auth is wrong. */
int tpm_nv_read(struct tpm_token *, const struct tpm_nv *, ESYS_TR auth, size_t offset, void *buf, size_t len);

/* Is there room for so many bytes?  HX_E_FULL: certainly not; 0: perhaps. */
int tpm_nv_check_room(struct tpm_token *, size_t size);

/* Ours: defined by the owner, for all to read. */
bool tpm_nv_is_ours(const struct tpm_nv *);
int tpm_nv_define(struct tpm_token *, TPM2_HANDLE, size_t size); /* HX_E_EXISTS, HX_E_FULL */
int tpm_nv_write(struct tpm_token *, struct tpm_nv *, const void *data, size_t len);
int tpm_nv_undefine(struct tpm_token *, struct tpm_nv *);

#endif
