/* SPDX-License-Identifier: Apache-2.0 */
/* A credential: a private key, the certificate with the same public key, its chain, and why it was chosen. */
#ifndef CREDENTIAL_H
#define CREDENTIAL_H

#include "key.h"

struct credential {
    char *address; /* of the key */
    struct hx_bytes chain; /* PEM, leaf first; empty: the key has no certificate */
    char *common_name; /* of the certificate, or as configured */
    char *registration_id; /* as configured, else the common name */
    char *why;
};

void credential_free(struct credential *);

/* The credential of that name; "": the device's, chosen by the rules, anew each time. */
int credential_find(struct hx *, const char *name, struct credential **ret);

/* Its key. */
int credential_key(struct hx *, const char *name, struct hx_key **ret);

/* For a key whose token does not tell its public key: looks for the certificate of the same id that fits.  That there
 * is none is no error. */
int credential_prove_key(struct hx *, struct token *, struct hx_key *);

#endif
