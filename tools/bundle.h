/* SPDX-License-Identifier: Apache-2.0 */
/* A key, its certificate and its chain on their way onto a token, and what is there already. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include "tool.h"

struct cert {
    struct cert *next;
    char *address, *label;
    struct hx_bytes der;
    bool ours; /* put there by this import */
};

struct bundle {
    const struct call *call;
    hx *context;
    char *token, *label, *aside; /* the last: label and ASIDE */
    struct p12 p12;
    struct hx_spec spec; /* the key's */
    struct parts parts;
    char *old_key; /* the address of what --replace replaces */
    struct cert *certs; /* on the token; the newest first */
    struct cert *old_leaf; /* bears the label, and is another certificate; borrowed */
    bool leaf_replaced, aside_taken, same_key; /* the last: it is on the token already, with that label */
    struct hx_bytes key_address;
};

/* bundle.c: takes der over. */
int bundle_note(struct bundle *, const char *address, const char *label, struct hx_bytes *der, bool ours);
struct cert *bundle_find(const struct bundle *, const char *label);
bool cert_is(const struct cert *, const struct hx_buf *der);

/* bundleput.c: all of it, or nothing; leaf is the certificate's DER. */
int bundle_put(struct bundle *, const struct hx_buf *leaf);

#endif
