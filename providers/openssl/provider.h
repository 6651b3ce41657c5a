/* SPDX-License-Identifier: Apache-2.0 */
/* One loaded instance of the provider: what OpenSSL's core gave us, and what is made at first need. */
#ifndef PROVIDER_H
#define PROVIDER_H

#include <hsmux/hsmux.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <stdatomic.h>
#include <stdbool.h>

struct software;
struct tables;

/* Reasons on the error queue: -1 .. -REASONS of enum hx_result. */
enum { REASONS = 15 };

struct provider {
    const OSSL_CORE_HANDLE *core;
    OSSL_DISPATCH *upcalls; /* our copy of what the core offers, for new private library contexts */
    OSSL_FUNC_core_new_error_fn *new_error;
    OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
    OSSL_FUNC_core_vset_error_fn *vset_error;
    char *config; /* path of hsmux.conf; NULL: where the core looks by itself */
    bool pkcs11_uri;
    bool rsa_pkcs1_decrypt; /* allowed to decrypt with PKCS#1 v1.5 padding */
    char *random_token; /* its random numbers are offered; NULL: none are */
    char *bad_setting; /* one that is neither yes nor no, "NAME = VALUE" */
    _Atomic(hx *) hx;
    _Atomic(struct software *) software;
    struct tables *tables;
    OSSL_ITEM reasons[REASONS + 1];
};

/* The entry, also for a program that adds us as a built-in provider. */
OSSL_provider_init_fn hsmux_provider_init;

/* The hsmux context, made at first need.  NULL, with the reason on the error queue, when the configuration is bad:
 * that is not remembered, so the next call tries again. */
hx *provider_hx(struct provider *);

/* What the provider offers for an operation; NULL: nothing. */
const OSSL_ALGORITHM *tables_query(const struct provider *, int operation);
struct tables *tables_new(const struct provider *);
void tables_free(struct tables *);

/* Puts a reason on the application's error queue; both return 0.  error_hx takes the core's own words. */
int error_raise(const struct provider *, int result, const char *where, const char *fmt, ...) HX_PRINTF(4, 5);
int error_hx(const struct provider *, int result, const char *where);
void error_reasons(OSSL_ITEM ret[REASONS + 1]);

#endif
