/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#11 modules, loaded once a process and never finalised or unloaded, and the slots with a token in them. */
#ifndef P11_MODULE_H
#define P11_MODULE_H

#include <hsmux/plugin.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct p11_module {
    struct p11_module *next;
    char *path;
    CK_FUNCTION_LIST *fn;
    void *libp11; /* its context, which keeps the module loaded */
    bool ready; /* C_Initialize was called in this process */
    atomic_bool ours; /* and the first to do so were we, then: */
    unsigned generation; /* in which it was; 0 at first: who initialised it before a child's first call is not known */
    int64_t since; /* CLOCK_MONOTONIC, milliseconds */
    atomic_uint tokens; /* open ones */
    _Atomic int64_t warned; /* when a slot that was passed over was logged last, as p11_now() */
    atomic_bool shared; /* somebody else in the process was seen at work in it */

    pthread_mutex_t lock; /* held while it is initialised or finalised: of all below, and of what is above */
    int64_t healed; /* when it was last finalised because a token was gone, like since; 0: never */
    struct p11_asked *asked; /* what was asked for when a token of it was opened */
};

struct p11_slot {
    struct p11_module *module;
    CK_SLOT_ID id;
    CK_TOKEN_INFO info;
};

struct p11_slots {
    struct p11_slot *slot;
    size_t count;
    bool doubtful; /* a slot was passed over that may answer the next time */
};

/* The record of the module at path, loaded and initialised. */
int p11_module_open(const struct hx_host *, const char *path, struct p11_module **ret);

/* To follow a reason; "" for root.  A module that the operating system keeps away from its device shows no token, or
 * fails in a way of its own. */
const char *p11_rights_advice(void);

/* Calls C_Initialize again, after CKR_CRYPTOKI_NOT_INITIALIZED. */
int p11_module_again(const struct hx_host *, struct p11_module *);

/* C_Finalize and C_Initialize, if nobody else in the process can have a session: just that many tokens are open, it is
 * we who have initialised it, and that a moment ago and no other module's path may lead to it, or it holds nothing to
 * have a session with.  Was it done? */
bool p11_module_restart(const struct hx_host *, struct p11_module *, unsigned tokens, bool nothing);

/* The same, once a second, for a token that it has lost from sight: none is open, also by another path, we have
 * initialised it, and nobody else was ever seen in it. */
bool p11_module_heal(const struct hx_host *, struct p11_module *);

/* Notes that this host's options, and that serial number or NULL, have led to a token of the module. */
void p11_module_note(struct p11_module *, const struct hx_host *, const char *serial);
bool p11_module_is_noted(struct p11_module *, const struct hx_host *, const char *serial);

/* CLOCK_MONOTONIC, milliseconds. */
int64_t p11_now(void);

/* Every slot with a token, of the module that the options name, else of all that p11-kit has registered; of those,
 * one that fails is passed over with a log line.  For p11_slots_free(). */
int p11_slots_read(const struct hx_host *, struct p11_slots *ret);
void p11_slots_free(struct p11_slots *);

/* Its two halves: adds the slots of one module, or of all registered ones. */
int p11_module_slots(const struct hx_host *, const char *path, struct p11_slots *);
int p11_registered_slots(const struct hx_host *, struct p11_slots *);

/* In a child: no module counts as initialised any more. */
void p11_modules_forget(void);

#endif
