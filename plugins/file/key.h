/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys as libcrypto holds them, and as PEM. */
#ifndef KEY_H
#define KEY_H

#include "parts.h"

/* The numbers as a key ready for use; with check, they must fit one another.  *ret_why: as parts_from_block(). */
int key_from_parts(const struct parts *, bool check, EVP_PKEY **ret, const char **ret_why);

/* A peer's public point on the key's curve; NULL: it is none. */
EVP_PKEY *key_from_point(uint32_t type, const void *point, size_t len);

/* A new key of the spec's type. */
int key_generate(struct token *, const struct hx_spec *, EVP_PKEY **ret);

/* PKCS#8 in PEM, with the public key below it when a PIN encrypts it.  *ret: for BIO_free(), which wipes. */
int key_to_pem(struct token *, EVP_PKEY *, BIO **ret);

/* What is in an encrypted block.  HX_E_PIN: this PIN does not open it.  *ret_der: for directory_wipe(). */
int key_decrypt(struct token *, const char *file, const struct block *, const unsigned char *pin, size_t pin_len,
                unsigned char **ret, size_t *ret_len);

/* A secret's bytes under the PIN, as PEM. */
int key_encrypt_secret(struct token *, const void *secret, size_t len, BIO **ret);

#endif
