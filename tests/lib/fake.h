/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the fake plugin: its key pairs and certificates, and what each callback does on entering. */
#ifndef FAKE_H
#define FAKE_H

#include "fake-plugin.h"

#include <hsmux/plugin.h>
#include <openssl/evp.h>
#include <sys/types.h>

#ifndef FAKE_FLAGS
#define FAKE_FLAGS 0 /* 1: HX_THREADSAFE */
#endif

struct handle { /* an open token; never freed, so that use after close is seen */
    struct handle *next;
    unsigned token, generation;
    pid_t pid;
    atomic_int inside, loaded;
    bool closed, logged_in, just_logged_in;
};

struct loaded { /* a loaded object; never freed */
    struct loaded *next;
    struct handle *handle;
    unsigned uid;
    pid_t pid;
    bool unloaded;
    /* Of a key with a PIN of its own: what was given for its next operation, by whom; and whether that was right. */
    char given[32];
    pthread_t giver;
    bool is_given, proven;
};

extern struct fake_control *control;

/* Counts and checks a call, sleeps, and returns the scripted result.  Every enter() has its leave(). */
int enter(enum fake_call, struct handle *);
void leave(struct handle *);
void entered_child(void);
void breach(enum fake_call, const char *what);

/* The object with this uid, or NULL. */
struct fake_object *find_object(unsigned token, unsigned uid);

/* The key pair of that type, bits and number, made when it is first asked for; NULL: failure. */
EVP_PKEY *pair_get(uint32_t type, uint32_t bits, unsigned number);
/* Keeps a key pair under a new number, which it returns; 0: failure. */
unsigned pair_keep(uint32_t type, uint32_t bits, EVP_PKEY *);
uint32_t pair_bits(uint32_t type, uint32_t bits);
int pair_public(const struct fake_object *, unsigned char *out, size_t size, size_t *ret);
int pair_import(const struct hx_spec *, const struct hx_buf *part, size_t parts, EVP_PKEY **ret);
void pairs_forked(void);
OSSL_LIB_CTX *pair_libctx(void);

int fake_generate(void *token, const struct hx_spec *, struct hx_out *ref);
int fake_import(void *token, const struct hx_spec *, const struct hx_buf *part, size_t parts, struct hx_out *ref);
int fake_remove(void *token, uint32_t kind, const void *ref, size_t ref_len);

int fake_initialise(const struct hx_host *, const char *serial, const struct hx_spec *, const struct hx_buf *pin,
                    size_t pins);

/* Keys with HX_OWN_AUTH. */
int own_authorise(struct loaded *, const void *pin, size_t len);
int own_may_use(struct loaded *, const struct fake_object *);

int cert_make(struct fake_object *);

int crypt_sign(const struct fake_object *, const struct hx_alg *, const void *in, size_t in_len, unsigned char *out,
               size_t *len);
int crypt_decrypt(const struct fake_object *, const struct hx_alg *, const void *in, size_t in_len, unsigned char *out,
                  size_t *len);
int crypt_derive(const struct fake_object *, const void *in, size_t in_len, unsigned char *out, size_t *len);

#endif
