/* SPDX-License-Identifier: Apache-2.0 */
/* A signature in the making, its parameters, and its verification. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "key.h"
#include "software.h"

extern const OSSL_DISPATCH signature_functions[];

struct signature {
    struct provider *provider;
    struct key *key;
    const struct digest *digest, *mgf_digest; /* NULL: not set; mgf_digest: the same as digest */
    EVP_MD_CTX *hash; /* the message so far */
    bool hashing; /* hash has been started */
    bool digest_fixed; /* by digest_sign_init or digest_verify_init */
    int padding; /* RSA_PKCS1_PADDING or RSA_PKCS1_PSS_PADDING */
    int salt; /* bytes, or one of OpenSSL's RSA_PSS_SALTLEN_* */
};

/* Parameters (sigparams.c).  Start afresh for a new use, set, get. */
void signature_reset(struct signature *);
int signature_set_digest(struct signature *, const char *name); /* "": none */
int signature_set_params(void *signature, const OSSL_PARAM params[]);
int signature_get_params(void *signature, OSSL_PARAM params[]);
const OSSL_PARAM *signature_settable(void *signature, void *provider);
const OSSL_PARAM *signature_gettable(void *signature, void *provider);

/* The PSS salt in bytes for a signature to be made; negative: the key is too short for one. */
int signature_salt(const struct signature *, size_t digest_size);

/* Verification (verify.c), by the default provider.  1: good; 0: bad, or an error. */
int verify_digest(struct signature *, const void *sig, size_t sig_len, const void *in, size_t in_len);
int verify_message(struct signature *, const void *sig, size_t sig_len, const void *in, size_t in_len);
int verify_recover(struct signature *, unsigned char *out, size_t *out_len, size_t size, const void *sig,
                   size_t sig_len);

/* The AlgorithmIdentifier of a signature with these parameters, into an octet string parameter. */
int verify_algorithm(struct signature *, OSSL_PARAM *ret);

#endif
