/* SPDX-License-Identifier: Apache-2.0 */
/* What keys and NV indexes are called: by the file of labels, or by what their handle is known for. */
#ifndef TPM_LABEL_H
#define TPM_LABEL_H

#include "key.h"
#include "labels.h"

#define TPM_LABEL_SIZE (TPM_LABELS_LABEL + 1)

#define TPM_HANDLE_SRK 0x81000001u
#define TPM_HANDLE_EK 0x81010001u
#define TPM_HANDLE_IDENTITY 0x81000100u

struct tpm_book { /* the labels, as last read */
    struct tpm_places places;
    struct tpm_labels labels;
    struct tpm_page {
        dev_t dev;
        ino_t ino;
        off_t size;
        struct timespec changed;
    } page[TPM_PLACES]; /* by which a changed file is known */
    bool is_read;
};

/* Reads the labels if a file of them has changed; whoever looks at objects does so first. */
int tpm_label_refresh(struct tpm_token *);
void tpm_label_forget(struct tpm_token *);

/* What the file says of an object, or NULL; name as in tpm_labels_of(). */
const struct tpm_label *tpm_label_entry(const struct tpm_token *, TPM2_HANDLE, const TPM2B_NAME *name);

/* false: it has none. */
bool tpm_label_of(struct tpm_token *, const struct tpm_key *, char ret[TPM_LABEL_SIZE]);

/* Could what is at the handle be called so?  Told without looking at it. */
bool tpm_label_may_be(struct tpm_token *, TPM2_HANDLE, const char *label);

/* Has a replacement that was cut short left it?  Then it is not shown. */
bool tpm_label_is_gone(const struct tpm_token *, const struct tpm_key *);

/* Sets what the file says of the key's auth value. */
void tpm_label_mark(const struct tpm_token *, struct tpm_key *);

#endif
