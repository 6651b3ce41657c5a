/* SPDX-License-Identifier: Apache-2.0 */
/* SoftHSM tokens in a temporary directory, the pkcs11 plugin's table, the counting module in between, and functions
 * that fail the running test when something that must work does not. */
#ifndef PKCS11_FIXTURE_H
#define PKCS11_FIXTURE_H

#include "plugin-host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEST_PIN "73910246"

extern const struct hx_plugin *plugin;
extern struct plugin_host host;
extern char directory[64]; /* temporary; the counting module's log is "calls" in it */

/* Loads the plugin and the counting module, which is now the option module, with no other option set.  A new directory
 * without tokens when named is NULL; else one that fixture_start() made in another process. */
int fixture_start(const char *named);
int fixture_stop(void);

void run(const char *fmt, ...) HX_PRINTF(1, 2); /* a shell command that must succeed; its output is not shown */
void make_token(const char *label); /* before the module is initialised */

/* Calls in the log so far: of one function, or NULL: all but C_GetFunctionList. */
unsigned calls(const char *function);
void forget_calls(void);

/* What others in the process may do behind the plugin's back. */
void close_all_sessions(void); /* C_CloseAllSessions on every slot */
void restart_module(void); /* C_Finalize, C_Initialize */

void *open_token(const char *label); /* sets the option token */
void *open_and_login(const char *label);
int login(void *token, const char *pin);

/* kind 0, label NULL: any. */
struct plugin_objects list(void *token, uint32_t kind, const char *label);
void *load(void *token, const struct hx_object *);
void *load_by_label(void *token, uint32_t kind, const char *label);

/* All that is on the token and in the sessions of this process, told by the module itself. */
size_t count_objects(const char *token);

/* Made behind the plugin's back: a secret key of that CK_KEY_TYPE, 64 bytes long. */
void make_secret(const char *token, const char *label, unsigned long key_type);

/* Made for a key of the token's by libcrypto, from the public half that the plugin tells; for EVP_PKEY_free(). */
struct evp_pkey_st *public_key(void *token, const char *label);

int generate(void *token, uint32_t type, uint32_t bits, const char *label, const char *id, uint32_t flags);

/* Signs with that scheme, hash and salt, and verifies with the public key that the plugin tells, or that of spki. */
int sign(void *key, uint32_t scheme, uint32_t hash, uint32_t salt, struct plugin_bytes *ret);
void sign_and_verify(void *token, const char *label, uint32_t scheme, uint32_t hash, uint32_t salt);

/* An assertion on a result and on a part of its reason. */
void assert_refused(int r, int expected, const char *text);

/* The groups of tests/unit/pkcs11-*.c: how many tests failed. */
int pkcs11_object_tests(void);
int pkcs11_authorise_tests(void);
int pkcs11_call_tests(void);
int pkcs11_copy_tests(void);
int pkcs11_data_tests(void);
int pkcs11_decrypt_tests(void);
int pkcs11_derive_tests(void);
int pkcs11_import_tests(void);
int pkcs11_initialise_tests(void);
int pkcs11_place_tests(void);
int pkcs11_random_tests(void);
int pkcs11_recovery_tests(void);
int pkcs11_secret_tests(void);
int pkcs11_session_tests(void);

/* This program again, with a module that was never initialised; and what it does then. */
void run_self(const char *what);
int pkcs11_call_main(int argc, char **argv);
int pkcs11_recovery_main(const char *what);

#endif
