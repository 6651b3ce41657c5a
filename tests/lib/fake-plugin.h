/* SPDX-License-Identifier: Apache-2.0 */
/* How a test drives the fake plugin: dlopen() the module, dlsym() "fake_control", then fill in tokens and results.
 * All of it lies in memory that forked children share, so that their calls are counted here too. */
#ifndef FAKE_PLUGIN_H
#define FAKE_PLUGIN_H

#include <hsmux/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum fake_call {
    FAKE_SCAN,
    FAKE_OPEN,
    FAKE_CLOSE,
    FAKE_DESCRIBE,
    FAKE_LIST,
    FAKE_LOAD,
    FAKE_UNLOAD,
    FAKE_READ,
    FAKE_LOGIN,
    FAKE_FORKED,
    FAKE_SIGN,
    FAKE_DECRYPT,
    FAKE_DERIVE,
    FAKE_RANDOM,
    FAKE_GENERATE,
    FAKE_IMPORT,
    FAKE_REMOVE,
    FAKE_INITIALISE,
    FAKE_CALLS
};

enum fake_cert { FAKE_VALID, FAKE_NOT_YET, FAKE_EXPIRED, FAKE_CA };
enum fake_salt { FAKE_SALT_HONEST, FAKE_SALT_DIGEST, FAKE_SALT_MAX };
#define FAKE_ALWAYS (~0u)

struct fake_script { /* after skip calls, times calls return result; every call first sleeps delay_ms */
    int result;
    unsigned skip, times, delay_ms;
};

struct fake_object { /* start from { 0 } */
    uint32_t kind, type, bits, usage, flags; /* bits 0, usage 0: what is usual */
    uint32_t scheme, hash; /* not 0: told to be the only ones */
    char label[80];
    unsigned char id[32];
    size_t id_len;
    unsigned key; /* objects of one type, bits and key number share one key pair */
    uint32_t cert; /* enum fake_cert */
    unsigned issuer; /* 0: self-signed; else the number of the P-256 key of the CA "fake CA <number>" */
    char common_name[64]; /* of a certificate; empty: its label */
    bool hidden; /* listed only after login */
    bool locked; /* load, sign: HX_E_LOGIN before login */
    char auth[32]; /* its own PIN, with HX_OWN_AUTH */
    bool public_unreadable; /* read of HX_PUBLIC: HX_E_UNSUPPORTED */
    unsigned char value[4096]; /* data and secrets; a certificate is put here by add() unless it is there already */
    size_t value_len;
    unsigned uid; /* set by add(); 0: a free place */
};

#define FAKE_OBJECTS 32
#define FAKE_TOKENS 6

struct fake_token {
    char label[64], serial[64];
    uint32_t flags; /* reported besides the PIN flags: HX_TOKEN_LOGIN, HX_PINPAD, HX_TOKEN_BLANK */
    char pin[64]; /* the right one; empty: any PIN is right */
    unsigned tries, tries_left; /* tries 0: never locks */
    char last_pin[64]; /* what the last login() sent */
    unsigned own_tries; /* PINs of their own that keys were tried with */
    char so_pin[64], last_so_pin[64]; /* the same of initialise(), which works on the first token */
    bool no_flags; /* it does not tell of LOW, FINAL, LOCKED */
    bool absent; /* open() fails with absent_result (0: HX_E_NOT_FOUND), scan() does not show it */
    int absent_result;
    atomic_uint generation; /* see lose() */
    struct fake_object object[FAKE_OBJECTS];
};

struct fake_control {
    atomic_uint calls[FAKE_CALLS];
    struct fake_script script[FAKE_CALLS];
    unsigned tokens;
    struct fake_token token[FAKE_TOKENS];
    uint32_t salt; /* enum fake_salt */
    unsigned wrong_signatures; /* so many signatures get a bit flipped */
    uint32_t refused_schemes; /* bits 1 << enum hx_scheme: HX_E_UNSUPPORTED */
    bool plain_oaep; /* OAEP with SHA-1 and no label only */
    bool cut_zeroes; /* an RSA result comes without its leading zeroes */
    bool long_results; /* a result comes with a byte too many */
    atomic_uint done[16]; /* by enum hx_scheme: operations that gave a result */
    int (*inside)(void); /* hx_inside(), which must say yes to each call; NULL: it is not asked */
    bool ignore_want; /* list() shows everything */
    atomic_uint listed; /* objects that list() handed out */
    atomic_int open_handles, loaded_objects; /* over all processes */
    char breaches[4096]; /* one line for each breach of the plugin contract; empty: none */

    /* Everything as at the start: one token "fake", serial "F0001", no PIN, no objects.  Open handles are lost. */
    void (*reset)(void);
    /* Puts an object on a token, making its key pair or certificate; returns its place, -1 on failure. */
    int (*add)(unsigned token, const struct fake_object *);
    /* All calls on what is open now fail with HX_E_LOST; open() works again unless the token is absent. */
    void (*lose)(unsigned token);

    pthread_mutex_t lock; /* process-shared */
    unsigned next_uid;
};

struct fake_control *fake_control(void);
typedef struct fake_control *fake_control_fn(void);

#endif
