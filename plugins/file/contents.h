/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds: its text, and where in it each PEM block lies. */
#ifndef CONTENTS_H
#define CONTENTS_H

#include "directory.h"
#include "name.h"

enum block_what {
    BLOCK_OTHER,
    BLOCK_KEY, /* PKCS#8 */
    BLOCK_RSA_KEY, /* PKCS#1 (RFC 8017 A.1.2) */
    BLOCK_EC_KEY, /* SEC 1 (RFC 5915) */
    BLOCK_ENCRYPTED_KEY, /* PKCS#8, encrypted */
    BLOCK_OLD_KEY, /* PKCS#1 or SEC 1, encrypted as OpenSSL did before PKCS#8 */
    BLOCK_PUBLIC, /* SubjectPublicKeyInfo, so that an encrypted key can be listed */
    BLOCK_CERTIFICATE,
    BLOCK_ENCRYPTED_SECRET, /* our own: EncryptedPrivateKeyInfo around the bytes of a secret */
};

#define SECRET_BLOCK "HSMUX ENCRYPTED SECRET"

struct block {
    enum block_what what;
    unsigned char *der;
    size_t len;
    size_t start, end; /* in the text: with what stands above it, a comment perhaps */
};

struct contents {
    struct name name;
    struct stat stat;
    unsigned char *text; /* wiped */
    size_t len;
    struct block *block;
    size_t count;
};

/* Reads and divides it; a text that is no PEM, or a broken one, is HX_E_CONFIG with the reason. */
int contents_read(struct token *, int dir, const char *file, struct contents *ret);
void contents_free(struct contents *);

/* The private key (encrypted or not) or secret in it; the index-th certificate; the public key; or NULL. */
struct block *contents_key(const struct contents *);
struct block *contents_certificate(const struct contents *, size_t index);
struct block *contents_public(const struct contents *);

bool block_is_key(const struct block *);
bool block_is_encrypted(const struct block *);

#endif
