/* SPDX-License-Identifier: Apache-2.0 */
/* A token: a TPM with the options of one section, the auth value of its keys, and what was found on it a moment ago. */
#ifndef TPM_TOKEN_H
#define TPM_TOKEN_H

#include "tpm.h"

/* As TPM2_PERSISTENT_..., but tss2's header shifts a one into the sign of an int. */
#define TPM_PERSISTENT_FIRST 0x81000000u
#define TPM_PERSISTENT_PLATFORM 0x81800000u /* from here on they are the platform's */
#define TPM_PERSISTENT_LAST 0x81ffffffu
#define TPM_PERSISTENT_MAX 256 /* more than any TPM has room for */
#define TPM_TRANSIENT_FIRST 0x80000000u

struct tpm_key;
struct tpm_book;
struct tpm_nvcert;
struct tpm_ek;

struct tpm_token {
    const struct hx_host *host;
    struct tpm *tpm;
    bool wants_pin; /* a PIN is configured: no key is used before login() */
    bool encrypts; /* parameter encryption */

    /* Under the TPM's lock: */
    TPM2B_AUTH auth; /* of keys and data that are made, once it was given */
    bool logged_in; /* it was, maybe an empty one */
    bool unborn; /* for what is to be made it was asked for: foreign keys are not to be asked whether it is right */
    TPM2_HANDLE bad_parent; /* a storage key that wants an auth value; 0: none was met */
    struct tpm_key *recent; /* keys at handles, as read a moment ago */
    struct tpm_book *book; /* label.c */
    struct tpm_nvcert *nvcerts; /* what was read of NV indexes */
    struct tpm_ek *ek; /* what is known of the endorsement key; NULL: nothing yet */
};

int tpm_token_open(const struct hx_host *, const char *serial, struct tpm_token **ret);
void tpm_token_close(struct tpm_token *);
int tpm_token_scan(const struct hx_host *, struct hx_tokens *);
int tpm_token_describe(struct tpm_token *, struct hx_tokens *);
int tpm_token_random(struct tpm_token *, void *buf, size_t len);

/* login.c */
int tpm_token_login(struct tpm_token *, const void *pin, size_t len);

/* plugin.c calls the rooms between these.  HX_E_LOST: the connection is no good any more. */
int tpm_enter(struct tpm_token *);
void tpm_leave(struct tpm_token *);

/* rc.c: the result for what the TPM or its software said, with the reason "what: why".  It notes a lost connection. */
int tpm_fail(struct tpm_token *, TSS2_RC, const char *what);
/* The same, where not a key's but a hierarchy's auth was wrong: option is what sets it. */
int tpm_fail_hierarchy(struct tpm_token *, TSS2_RC, const char *what, const char *option);

/* hierarchy.c: gives the commands that a hierarchy (ESYS_TR_RH_OWNER...) authorises the auth value that the option
 * sets. */
int tpm_hierarchy_auth(struct tpm_token *, ESYS_TR hierarchy, const char *option);

/* A TPM that was reset, and that nobody has started, is started.  true: say it again. */
bool tpm_restarted(struct tpm_token *, TSS2_RC);
/* Does it not know a handle or session that we hold?  It was reset, or somebody flushed it. */
bool tpm_is_stale(TSS2_RC);

/* The TPM's own code, without the number of parameter, handle or session; 0 if it is not the TPM that answered. */
TPM2_RC tpm_rc(TSS2_RC);

/* capability.c */
struct tpm_lockout { /* TPM 2.0 Part 1 §19.8 */
    uint32_t failures, most; /* wrong auths that count now; so many lock it */
    uint32_t seconds; /* after which one less counts */
    bool locked;
};
int tpm_lockout(struct tpm_token *, struct tpm_lockout *ret);
int tpm_property(struct tpm_token *, TPM2_PT, uint32_t *ret); /* a fixed one; NOT_FOUND: it has no such property */
/* Handles from first on, of its kind (Part 3 §30.2), into ret; *ret_count of them, at most max. */
int tpm_handles(struct tpm_token *, TPM2_HANDLE first, TPM2_HANDLE *ret, size_t max, size_t *ret_count);
bool tpm_has_handle(struct tpm_token *, TPM2_HANDLE, int *ret_result); /* asked so that absence is no error */

/* session.c: what authorises a command: ESYS_TR_PASSWORD, or the session that encrypts parameters. */
int tpm_session(struct tpm_token *, ESYS_TR *ret);
/* Of the next command with that session: TPMA_SESSION_DECRYPT: its first parameter is encrypted, TPMA_SESSION_ENCRYPT:
 * its response's first one.  Each has to be a sized buffer (Part 1 §21). */
void tpm_encrypt(ESYS_CONTEXT *, ESYS_TR session, TPMA_SESSION which);
void tpm_session_leave(struct tpm *);

#endif
