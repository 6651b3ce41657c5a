/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM's objects are called, which it does not know itself: a small file 'labels', one line an object,
 *     HANDLE NAME FLAGS LABEL
 * with the handle in hex; the object's Name (TPM 2.0 Part 1 §16) in hex, or "-" where it may be any; "auth" if it wants
 * an auth value, "gone" (or "auth,gone") if a replacement that was cut short has left it, else "-"; the label
 * percent-encoded.  Lines that begin with '#' are comments. */
#ifndef TPM_LABELS_H
#define TPM_LABELS_H

#include "directory.h"
#include "places.h"

#include <stdbool.h>
#include <tss2/tss2_tpm2_types.h>

#define TPM_LABELS_LINE 1024 /* a line's bytes at most, without its end */
#define TPM_LABELS_LABEL 255 /* a label's, decoded and without a NUL */

struct tpm_label {
    TPM2_HANDLE handle; /* of a persistent object or an NV index */
    TPM2B_NAME name; /* size 0: whatever is at the handle */
    bool wants_auth;
    bool is_gone; /* not shown, and removed by whatever next makes or removes a key, or imports a certificate */
    const char *label;
};

struct tpm_labels {
    struct tpm_label *label;
    size_t count;
};

/* Those of all places, the first place's first.  A bad line is passed over with a warning; a file that others could
 * have written is refused. */
int tpm_labels_load(const struct hx_host *, const struct tpm_places *, struct tpm_labels *ret);
void tpm_labels_free(struct tpm_labels *);

/* The entry of this object, or NULL; name NULL or empty: one that is bound to a Name does not fit. */
const struct tpm_label *tpm_labels_of(const struct tpm_labels *, TPM2_HANDLE, const TPM2B_NAME *name);

/* The next entry with this label, after NULL the first; NULL: no more.  Its object may be gone, or be another. */
const struct tpm_label *tpm_labels_next(const struct tpm_labels *, const char *label, const struct tpm_label *after);

/* In the place to write to: replaces, or takes away, what the file says of a handle; no other line changes. */
int tpm_labels_set(const struct hx_host *, const struct tpm_places *, const struct tpm_label *);
int tpm_labels_remove(const struct hx_host *, const struct tpm_places *, TPM2_HANDLE);

/* The same, all at once, in a directory that the caller has locked; label NULL: takes away. */
int tpm_labels_update(const struct tpm_directory *locked, const struct tpm_label *change, size_t count);

#endif
