/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM: one connection and one lock for all tokens of the process that lead to it. */
#ifndef TPM_H
#define TPM_H

#include "pipe.h"

#include <hsmux/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <tss2/tss2_esys.h>

/* A resource manager gives a connection three slots (Linux's no more): one is left for a parent or a sequence. */
#define TPM_RESIDENTS 2

struct tpm_key;

struct tpm_resource;

struct tpm {
    struct tpm *next; /* the list and the count, under the list's mutex */
    unsigned refs;
    char *tcti;
    bool managed; /* a resource manager gives each connection object slots of its own */
    TSS2_TCTI_CONTEXT *transport;

    pthread_mutex_t lock; /* held during each call; of all below */
    struct tpm_pipe pipe; /* of who holds the lock */
    ESYS_CONTEXT *esys;
    struct tpm_resource *resources; /* resource.c */
    bool outdated; /* somebody holds what was evicted: the next one who enters has to open it anew */
    atomic_bool lost; /* a command was not answered: whoever uses it has to open it anew */
    ESYS_TR salted; /* the session of parameter encryption; ESYS_TR_NONE: there is none yet */
    struct tpm_key *resident[TPM_RESIDENTS]; /* keys of key files that stay loaded, the last one used first */
    bool in_step, full; /* a step that may be run again is under way; it found no slot free */
    unsigned lacks; /* a bit for each enum hx_hash that it was found not to have */
    int turn_fd; /* turn.c's; -1: not held */
    unsigned turns;
    bool had_turn, turn_stuck;
    unsigned room_wanted; /* so many slots had to be freed for the last step */
};

/* The TPM that the options lead to; *ret is for tpm_release(). */
int tpm_get(const struct hx_host *, struct tpm **ret);
void tpm_release(struct tpm *);

void tpm_lock(struct tpm *);
void tpm_unlock(struct tpm *);

/* In a child: what the parent opened is left alone, and each TPM is connected to anew. */
void tpm_forked(void);

/* tcti.c: which TPM.  *ret is for free().  HX_E_NOT_FOUND: there is none at the usual place. */
int tpm_tcti_name(const struct hx_host *, char **ret);
int tpm_tcti_open(const struct hx_host *, const char *name, TSS2_TCTI_CONTEXT **ret);
void tpm_tcti_close(TSS2_TCTI_CONTEXT **);
int tpm_tcti_check(const struct hx_host *, const char *name); /* is it there, and permitted?  Without opening it */
bool tpm_tcti_is_managed(const char *name);

/* In a child whose parent used the resource manager over D-Bus. */
void tpm_tcti_forked(void);

#endif
