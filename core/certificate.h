/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in reach: on tokens, in files, in the certificate directory; paired with keys, joined to chains. */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include "encode.h"
#include "object.h"

struct certificate {
    struct hx_bytes der;
    struct cert_facts facts;
    const struct token *token; /* NULL: from a file */
    struct hx_bytes id;
    char *where; /* address or path, for messages */
};

struct pool {
    struct certificate *certificate;
    size_t count;
};

void pool_free(struct pool *);
#define AUTO_POOL CLEANUP(pool_free)

/* Adds what is on the token; certificates that cannot be parsed are passed over. */
int pool_add_token(struct pool *, struct hx *, struct token *);
/* Adds the certificates of a PEM or DER file; *ret_first: the index of its first. */
int pool_add_file(struct pool *, const char *path, size_t *ret_first);
/* Adds the one at an address ("hsm:...") or in a file, which may hold its chain too. */
int pool_add_named(struct pool *, struct hx *, const char *where, size_t *ret_first);
/* Adds the certificate directory, "certs" beside the configuration. */
int pool_add_directory(struct pool *, const struct hx *);

/* The certificate for a public key: a CA's last, valid now before not valid, then the younger.  NULL: none. */
const struct certificate *pool_leaf(const struct pool *, const struct hx_bytes *spki);

/* "not yet valid", "expired", or NULL. */
const char *certificate_problem(const struct certificate *);

/* PEM: leaf, then each issuer that is here, without the self-signed one at the end. */
int pool_chain(const struct pool *, const struct certificate *leaf, struct hx_bytes *ret);

#endif
