/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates as bytes: how long they are, what key they are about, and where they stand in a PEM file. */
#ifndef TPM_CERTIFICATE_H
#define TPM_CERTIFICATE_H

#include <hsmux/plugin.h>
#include <stdbool.h>

/* How many bytes the DER SEQUENCE takes whose first bytes these are, in a memory of so many; 0: there is none. */
size_t tpm_certificate_length(const void *start, size_t memory);

/* Fills in type, bits and rsa_e, as far as it is a key that we have words for.  false: these bytes are no certificate.
 */
bool tpm_certificate_facts(const void *der, size_t len, struct hx_object *ret);

struct tpm_pem_block {
    unsigned char *der;
    size_t len;
    size_t start, end; /* in the text: with what stands above it, a comment perhaps */
};

struct tpm_pem { /* the certificates of a text */
    struct tpm_pem_block *block;
    size_t count, others; /* others: blocks that are none */
};

/* NULL, or what is wrong with it; DER is taken too.  *ret is for tpm_pem_free(). */
const char *tpm_pem_divide(const void *text, size_t len, struct tpm_pem *ret);
void tpm_pem_free(struct tpm_pem *);

/* PEM of one certificate.  *ret: for free(). */
bool tpm_pem_print(const void *der, size_t der_len, char **ret, size_t *ret_len);

#endif
