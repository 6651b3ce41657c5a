/* SPDX-License-Identifier: Apache-2.0 */
/* A file token in a directory of the test's own, and what its tests do again and again. */
#ifndef FILE_FIXTURE_H
#define FILE_FIXTURE_H

#include "plugin-host.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct plugin_host host;
    char base[64], dir[80]; /* dir: base/token, which exists and is empty */
    void *token;
};

extern const struct hx_plugin *plugin;

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_reopen(struct fixture *); /* as another process would find it */

/* Files of the token's directory. */
const char *fixture_path(const struct fixture *, const char *file);
void fixture_put(const struct fixture *, const char *file, unsigned mode, const void *data, size_t len);
size_t fixture_get(const struct fixture *, const char *file, char *buffer, size_t size); /* adds a NUL */
bool fixture_has(const struct fixture *, const char *file);

/* Keys and certificates of libcrypto's making. */
EVP_PKEY *fixture_key(uint32_t type);
void fixture_put_key(const struct fixture *, const char *file, EVP_PKEY *, const char *passphrase);
/* b.pem: the key, a leaf for it, the CA's certificate, and words before, between and after them. */
void fixture_put_bundle(const struct fixture *, EVP_PKEY *, EVP_PKEY *ca);
size_t fixture_certificate(EVP_PKEY *, const char *name, unsigned char **ret_der);
size_t fixture_certificate_pem(EVP_PKEY *, const char *name, char *buffer, size_t size);

/* Calls on the token. */
int fixture_generate(struct fixture *, uint32_t type, const char *label, uint32_t flags);
int fixture_import(struct fixture *, uint32_t kind, const char *label, uint32_t flags, const void *data, size_t len);
int fixture_import_key(struct fixture *, const char *label, uint32_t flags, EVP_PKEY *, uint32_t type);
size_t fixture_parts(EVP_PKEY *, uint32_t type, unsigned char store[8][512], struct hx_buf part[8]);
size_t fixture_list(struct fixture *, struct plugin_objects *ret); /* must succeed; how many */
int fixture_load(struct fixture *, uint32_t kind, const char *ref, void **ret);
void *fixture_find(struct fixture *, uint32_t kind, const char *label, struct hx_object *ret); /* list and load */

/* Signs with the type's usual scheme, and verifies; 0 or what sign() returned. */
int fixture_sign(void *object, const struct hx_object *info);
/* The same for one scheme, hash and salt. */
int fixture_sign_with(void *object, const struct hx_object *info, const struct hx_alg *, const void *in, size_t len);

/* Is the private key of that label there, and does it sign for this key? */
void fixture_expect_key(struct fixture *, const char *label, EVP_PKEY *);

#endif
