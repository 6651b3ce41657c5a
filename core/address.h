/* SPDX-License-Identifier: Apache-2.0 */
/* "hsm:" and "pkcs11:" addresses (RFC 3986, RFC 7512 §2.3): parse, print, match. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "bytes.h"

#include <hsmux/types.h>
#include <stdbool.h>

struct address {
    bool pkcs11; /* the token is described by attributes, not named */
    char *credential; /* "hsm:" -> "", "hsm:NAME" -> "NAME"; else NULL */
    char *token; /* hsm: the token's name.  pkcs11: its label.  NULL: any */
    uint32_t kind; /* 0: any */
    char *label; /* NULL: any */
    struct hx_bytes id; /* with has_id */
    bool has_id;
    /* pkcs11: only, NULL: any */
    char *serial, *manufacturer, *model;
    char *pin; /* pin-value, or what pin-source named; wiped when freed */
};

/* 0 or HX_E_INVALID with a reason that quotes the text but never a PIN.  Unknown, misspelt or repeated attributes,
 * %00, bad escapes, empty names and what only a backend knows (slot-id, module-path, library-...) are refused. */
int address_parse(const char *text, struct address *ret);
void address_free(struct address *); /* empties it */
#define AUTO_ADDRESS CLEANUP(address_free)

/* "hsm:TOKEN/KIND/LABEL", or with "?id=HEX" where there is no label or by_id is set. */
int address_print(const char *token, const struct hx_object *, bool by_id, struct hx_bytes *ret);

/* Does the object fit the address's kind, label and id?  And the token its token attributes (pkcs11: only)? */
bool address_fits(const struct address *, const struct hx_object *);
bool address_fits_token(const struct address *, const struct hx_token_info *);

/* The text with every pin-value and pin-source hidden, for messages. */
int address_redact(const char *text, struct hx_bytes *ret);

/* "key", "pubkey", "secret", "cert", "data"; NULL for an unknown kind. */
const char *kind_name(uint32_t kind);

#endif
