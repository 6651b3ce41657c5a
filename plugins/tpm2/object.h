/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, wherever they come from: a table of sources, each of which lists and loads those whose refs begin with its
 * word. */
#ifndef TPM_OBJECT_H
#define TPM_OBJECT_H

#include "key.h"

#define TPM_REF_SIZE 320 /* a file's name, and some */

struct tpm_object {
    struct tpm_token *token;
    uint32_t kind;
    struct tpm_key *key; /* also what holds sealed data; NULL: a certificate, which is value */
    unsigned char *value;
    size_t len;
};

struct tpm_source {
    const char *ref; /* what its refs begin with */
    /* Adds what may fit list->want. */
    int (*list)(struct tpm_token *, struct hx_list *);
    /* Fills in the object's key or value, and describes it; rest: the ref behind its first word.  HX_E_NOT_FOUND. */
    int (*load)(struct tpm_object *, const char *rest, struct hx_list *info);
    int (*remove)(struct tpm_token *, uint32_t kind, const char *rest); /* NULL: it cannot */
};

/* handle.c, keyfiles.c, nvcert.c, certfile.c, sealed.c, ek.c, srk.c */
extern const struct tpm_source tpm_source_handles, tpm_source_keyfiles, tpm_source_nvcerts, tpm_source_certfiles,
    tpm_source_sealed, tpm_source_ek, tpm_source_srk;

int tpm_list(struct tpm_token *, struct hx_list *);
int tpm_load(struct tpm_token *, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info,
             struct tpm_object **ret);
void tpm_unload(struct tpm_object *);
int tpm_read(struct tpm_object *, uint32_t part, struct hx_out *);
int tpm_remove(struct tpm_token *, uint32_t kind, const void *ref, size_t ref_len);

/* Could the list's want be of this kind? */
bool tpm_wants_kind(const struct hx_list *, uint32_t kind);
/* The value of a certificate. */
int tpm_object_keep(struct tpm_object *, const void *value, size_t len);
/* keyfiles.c: the key, or sealed data, of a key file. */
int tpm_object_take(struct tpm_object *, const struct tpm_keyfile *);

/* handle.c: adds a key at a persistent handle to a list, or describes it. */
int tpm_handle_add(struct tpm_token *, const struct tpm_key *, struct hx_list *);
void tpm_handle_ref(TPM2_HANDLE, char ret[TPM_REF_SIZE]);
void tpm_handle_id(TPM2_HANDLE, unsigned char ret[4]); /* the id of what is at a handle or NV index: its bytes */

/* May it be used so?  scheme: what a key that is made for one alone must be made for; TPM2_ALG_NULL: it must not. */
int tpm_check_key(const struct tpm_object *, TPMI_ALG_PUBLIC type, TPMA_OBJECT needed, TPM2_ALG_ID scheme);

/* sign.c, mac.c, decrypt.c, derive.c */
int tpm_sign(struct tpm_object *, const struct hx_alg *, const void *in, size_t len, struct hx_out *);
int tpm_mac(struct tpm_object *, const struct hx_alg *, const void *in, size_t len, struct hx_out *);
int tpm_decrypt(struct tpm_object *, const struct hx_alg *, const void *in, size_t len, struct hx_out *);
/* The bare RSA operation: a number as wide as n in and out. */
int tpm_raw(struct tpm_object *, const void *in, size_t len, struct hx_out *);
int tpm_derive(struct tpm_object *, const struct hx_alg *, const void *in, size_t len, struct hx_out *);

/* generate.c, import.c, certimport.c, sealed.c, activate.c */
int tpm_generate(struct tpm_token *, const struct hx_spec *, struct hx_out *ref);
int tpm_import(struct tpm_token *, const struct hx_spec *, const struct hx_buf *part, size_t parts, struct hx_out *ref);
int tpm_import_certificate(struct tpm_token *, const struct hx_spec *, const struct hx_buf *part, struct hx_out *ref);
int tpm_import_data(struct tpm_token *, const struct hx_spec *, const struct hx_buf *part, struct hx_out *ref);
int tpm_unseal(struct tpm_object *, struct hx_out *); /* sealed.c */
int tpm_activate(struct tpm_token *, const void *blob, size_t len, struct hx_out *ref);

/* remove.c */
int tpm_remove_handle(struct tpm_token *, uint32_t kind, TPM2_HANDLE);
int tpm_remove_key_file(struct tpm_token *, const char *file);

#endif
