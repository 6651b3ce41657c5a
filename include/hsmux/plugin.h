/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend's side of hsmux: what a plugin offers, and what the core does for it.
 *
 * Seven rules hold for all callbacks.
 *
 * Result   0, or a negative HX_E_*.  hx_fail() adds the reason, in words.
 * Memory   Nobody frees what the other side allocated.  Inputs are borrowed until the callback
 *          returns; outputs are copied by hx_put() and hx_add(): when one of these returns
 *          non-zero, return that at once.
 * Format   Keys and signatures are big-endian numbers of fixed width, never ASN.1.
 * Secrets  PINs, plaintext and shared secrets are wiped, and never logged.
 * Threads  Without HX_THREADSAFE one call at a time runs in the plugin.  With it, calls on one token
 *          may overlap, but open() and close() of a token never overlap a call on that token.
 *          Every object is unloaded before its token is closed.
 * Fork     In a child, forked() runs before anything else, and nothing that the parent opened is
 *          used, unloaded or closed.  close() leaves alone what others in the process share
 *          (no C_Finalize, C_Logout, C_CloseAllSessions).
 * Growth   Structs grow at their end only; those marked frozen do not.  A NULL callback means
 *          HX_E_UNSUPPORTED; so must an unknown number.  No enum decides the size of a field.
 */
#ifndef HSMUX_PLUGIN_H
#define HSMUX_PLUGIN_H

#include <hsmux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HX_ABI 0x48580100u /* "HX", major 1, minor 0 */

struct hx_out { /* where a result goes, in as many hx_put() as you like */
    int (*put)(struct hx_out *, const void *, size_t);
};

struct hx_list { /* where objects go */
    int (*add)(struct hx_list *, const struct hx_object *, size_t);
    const struct hx_object *want; /* zero fields, or NULL: any.  A help to search by; you may ignore it */
};

struct hx_tokens { /* where tokens go */
    int (*add)(struct hx_tokens *, const struct hx_token_info *, size_t);
};

struct hx_host { /* what the core does for you; valid until close() returns */
    uint32_t abi, struct_size;
    /* NULL if unset; lives as long as the host.  "pin" is never told: "" says that there is one for login(). */
    const char *(*option)(const struct hx_host *, const char *name);
    int (*fail)(const struct hx_host *, int result, const char *fmt, ...) HX_PRINTF(3, 4); /* returns result */
    void (*log)(const struct hx_host *, int priority, const char *fmt, ...) HX_PRINTF(3, 4); /* as in syslog.h */
};

typedef int hx_op(void *object, const struct hx_alg *, const void *, size_t, struct hx_out *);
enum hx_plugin_flags { HX_THREADSAFE = 1 };

struct hx_plugin {
    uint32_t abi, struct_size; /* HX_PLUGIN() fills these in */
    const char *name, *version, *summary;
    const struct hx_option *options;
    uintptr_t flags;

    /* Required. */
    int (*open)(const struct hx_host *, const char *serial, void **token); /* NULL: the only one; no login */
    void (*close)(void *token);
    int (*list)(void *token, struct hx_list *);
    int (*load)(void *token, uint32_t kind, const void *ref, size_t ref_len, struct hx_list *info,
                void **object); /* describes the object to info, once */
    void (*unload)(void *object);
    int (*read)(void *object, uint32_t part, struct hx_out *);

    /* Optional. */
    int (*scan)(const struct hx_host *, struct hx_tokens *); /* every token in reach, no login; NULL: there is one */
    int (*describe)(void *token, struct hx_tokens *); /* its state now: PIN flags */
    int (*login)(void *token, const void *pin, size_t len); /* sent once; NULL pin: pinpad */
    void (*forked)(void);
    hx_op *sign, *decrypt, *derive;
    int (*random)(void *token, void *buf, size_t len);
    int (*generate)(void *token, const struct hx_spec *, struct hx_out *ref);
    /* RSA: n e d p q dP dQ qInv; EC: scalar, point; Ed25519: seed, public; else one part */
    int (*import)(void *token, const struct hx_spec *, const struct hx_buf *part, size_t parts, struct hx_out *ref);
    int (*remove)(void *token, uint32_t kind, const void *ref, size_t ref_len);
    int (*activate)(void *token, const void *blob, size_t len, struct hx_out *ref); /* TPM */
    int (*initialise)(const struct hx_host *, const char *serial, const struct hx_spec *, const struct hx_buf *pin,
                      size_t pins); /* SO PIN, user PIN; HX_E_EXISTS: not blank, HX_REPLACE in the flags erases it;
                                       HX_E_LOGIN: it wants one that is empty */
    /* The PIN (NULL: the pinpad) for the next call on this key, an operation, if it is HX_ALWAYS_AUTH; its HX_E_PIN
     * may come from that operation.  Nobody else's comes in between; the PIN is wiped with it.  For HX_OWN_AUTH: NULL
     * is the empty PIN; it is the calling thread's alone until an operation of that thread has shown that it is right,
     * and every operation's from then on, until one says HX_E_PIN: then another may be given. */
    int (*authorise)(void *object, const void *pin, size_t len);
};

#define hx_fail(host, result, ...) ((host)->fail((host), (result), __VA_ARGS__))
#define hx_put(out, data, len) ((out)->put((out), (data), (len)))
#define hx_add(list, thing) ((list)->add((list), (thing), sizeof *(thing)))

#ifdef __cplusplus
}
#endif

#ifndef HX_PLUGIN_ENTRY /* a static build gives each plugin its own */
#define HX_PLUGIN_ENTRY hx_plugin_v1
#endif
/* Members that are not named are NULL or 0; g++ -Wextra need not remark on each. */
#define HX_PLUGIN(...)                                                                                                 \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") HX_EXTERN        \
        __attribute__((visibility("default"))) const struct hx_plugin *                                                \
        HX_PLUGIN_ENTRY(void);                                                                                         \
    const struct hx_plugin *HX_PLUGIN_ENTRY(void)                                                                      \
    {                                                                                                                  \
        static const struct hx_plugin table = { .abi = HX_ABI, .struct_size = sizeof(struct hx_plugin), __VA_ARGS__ }; \
        return &table;                                                                                                 \
    }                                                                                                                  \
    _Pragma("GCC diagnostic pop")
#endif
