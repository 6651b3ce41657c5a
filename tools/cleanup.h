/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound clean-up for what the tool holds: hsmux's, libcrypto's and jansson's objects, files and memory. */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <hsmux/hsmux.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void free_hx(hx **context)
{
    hx_free(*context);
}

static inline void free_key(hx_key **key)
{
    hx_key_close(*key);
}

static inline void free_json(json_t **json)
{
    json_decref(*json);
}

static inline void free_memory(void *p)
{
    free(*(void **)p);
}

static inline void free_crypto(void *p)
{
    OPENSSL_free(*(void **)p);
}

static inline void free_bio(BIO **bio)
{
    BIO_free_all(*bio);
}

static inline void free_conf(CONF **conf)
{
    NCONF_free(*conf);
}

static inline void free_pkey(EVP_PKEY **pkey)
{
    EVP_PKEY_free(*pkey);
}

static inline void free_pkey_ctx(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
}

static inline void free_md_ctx(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static inline void free_md(EVP_MD **md)
{
    EVP_MD_free(*md);
}

static inline void free_req(X509_REQ **req)
{
    X509_REQ_free(*req);
}

static inline void free_certs(STACK_OF(X509) * *certs)
{
    sk_X509_pop_free(*certs, X509_free);
}

static inline void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define AUTO_HX CLEANUP(free_hx)
#define AUTO_KEY CLEANUP(free_key)
#define AUTO_BYTES CLEANUP(hx_bytes_free)
#define AUTO_JSON CLEANUP(free_json)
#define AUTO_FREE CLEANUP(free_memory)
#define AUTO_CRYPTO CLEANUP(free_crypto)
#define AUTO_BIO CLEANUP(free_bio)
#define AUTO_CONF CLEANUP(free_conf)
#define AUTO_PKEY CLEANUP(free_pkey)
#define AUTO_PKEY_CTX CLEANUP(free_pkey_ctx)
#define AUTO_MD_CTX CLEANUP(free_md_ctx)
#define AUTO_MD CLEANUP(free_md)
#define AUTO_REQ CLEANUP(free_req)
#define AUTO_CERTS CLEANUP(free_certs)
#define AUTO_CLOSE CLEANUP(close_fd)

#endif
