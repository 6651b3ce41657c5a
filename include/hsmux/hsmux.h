/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application's side of hsmux.
 *
 * A context holds a configuration; open tokens are shared by the whole process.  Any thread may use a context or a
 * key, and several at once; a context or key must not be freed while another thread still uses it.  After fork() a
 * child goes on using what it inherited.  Every function returns 0 or a negative enum hx_result unless it says
 * otherwise, and leaves *ret untouched when it fails.  What comes back in a struct hx_bytes is the caller's, to be
 * given to hx_bytes_free(), which wipes it.
 *
 * Addresses are "hsm:" (the device's credential), "hsm:NAME" (a configured one), "hsm:TOKEN/KIND/LABEL" or
 * "hsm:TOKEN/KIND?id=HEX" (one object; KIND is key, pubkey, cert, secret or data; LABEL percent-encoded as in
 * RFC 3986), or a "pkcs11:" URI (RFC 7512).
 */
#ifndef HSMUX_HSMUX_H
#define HSMUX_HSMUX_H

#include <hsmux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HX_API __attribute__((visibility("default")))

typedef struct hx hx;
typedef struct hx_key hx_key;

struct hx_bytes {
    unsigned char *data; /* len bytes and a NUL that is not counted */
    size_t len;
};

/* The library's version, "1.2.3"; lives for ever. */
HX_API const char *hx_version(void);

/* Reads the configuration: path, or $HSMUX_CONF (not in a set-user-ID program), or /etc/hsmux/hsmux.conf; a missing
 * file counts as empty unless it was named by path or by $HSMUX_CONF.  Loads the plugins that it names and checks
 * every key; opens no token. */
HX_API int hx_new(const char *path, hx **ret);

/* NULL is allowed.  Keys that were opened from the context stay valid. */
HX_API void hx_free(hx *);

/* Why this thread's last call failed: one line, the outermost reason first; never NULL.  Valid until this thread's
 * next call. */
HX_API const char *hx_last_error(void);

/* What a result means, in two or three words; lives for ever. */
HX_API const char *hx_strerror(int result);

/* Where log lines of the whole process go; priority as in syslog.h.  NULL: to stderr, or to syslog where that is closed
 * or /dev/null, warnings and worse only, or what $HSMUX_LOG names (none, error, warning, notice, info, debug).  fn may
 * be called from any thread. */
typedef void hx_log_fn(void *arg, int priority, const char *line);
HX_API void hx_set_log(hx_log_fn *fn, void *arg);

/* Opens the object at address (a private or secret key; "hsm:" and "hsm:NAME": the credential's key).  Opens its
 * token, and logs in when the token demands it. */
HX_API int hx_key_open(hx *, const char *address, hx_key **ret);

/* A key from its reference (the DER inside the PEM).  Loads the plugin and its vendor library and fetches PINs, but
 * touches no device until the first private operation, unless the token says open = load or the reference holds no
 * public key (see hx_default_reference). */
HX_API int hx_key_from_reference(hx *, const void *der, size_t len, hx_key **ret);

/* The key's reference, PEM with the label HSMUX KEY REFERENCE: version, address, SubjectPublicKeyInfo. */
HX_API int hx_key_reference(hx_key *, struct hx_bytes *ret);

/* The reference whose address is "hsm:" and that holds no public key: the same for a whole fleet. */
HX_API int hx_default_reference(struct hx_bytes *ret);

/* Another holder of the same key, for hx_key_close(); never NULL. */
HX_API hx_key *hx_key_retain(hx_key *);
HX_API void hx_key_close(hx_key *); /* NULL is allowed */

/* What is known of the key without touching the device: type and bits always; usage, id and ref are zero for a key
 * from a reference that was not used yet.  Pointers in ret live as long as the key. */
HX_API int hx_key_info(hx_key *, struct hx_object *ret);

/* The key's own address, "hsm:TOKEN/KIND/..."; lives as long as the key. */
HX_API const char *hx_key_address(hx_key *);

/* SubjectPublicKeyInfo, DER (RFC 5280 §4.1). */
HX_API int hx_key_public(hx_key *, struct hx_bytes *ret);

/* Private operations, by enum hx_scheme.  A digest must have its hash's length.  An ECDSA signature comes back as
 * the DER Ecdsa-Sig-Value (RFC 3279 §2.2.3), all others as the scheme says.  The first signature of each kind is
 * verified, and then one now and then.  Where a token cannot pad (PSS, OAEP), or takes another salt for PSS, the core
 * pads, and the token does raw RSA. */
typedef int hx_crypt(hx_key *, const struct hx_alg *, const void *in, size_t in_len, struct hx_bytes *ret);
HX_API hx_crypt hx_sign, hx_decrypt, hx_derive;

/* Of the credential name (NULL: the device's), what = "address", "certificate" (PEM chain, leaf first),
 * "common-name", "registration-id" or "why" (how it was chosen). */
HX_API int hx_credential_get(hx *, const char *name, const char *what, struct hx_bytes *ret);

/* Calls fn for each object at address: NULL or "hsm:" for all tokens, "hsm:TOKEN/" for one, "hsm:TOKEN/KIND" for
 * its objects of one kind, else those that fit.  Stops when fn returns non-zero, and returns that.  A token that
 * cannot be listed is an error after the others were listed. */
typedef int hx_each_fn(void *arg, const char *address, const struct hx_object *);
HX_API int hx_each(hx *, const char *address, hx_each_fn *fn, void *arg);

/* Reads a part (enum hx_part) of the one object at address. */
HX_API int hx_read(hx *, const char *address, uint32_t part, struct hx_bytes *ret);

/* Make, bring in, take away an object.  token: its name; NULL: the only one that can.  ret_address may be NULL.
 * part as in struct hx_plugin's import.  A certificate without label or id takes those of the key it belongs to. */
HX_API int hx_generate(hx *, const char *token, const struct hx_spec *, struct hx_bytes *ret_address);
HX_API int hx_import(hx *, const char *token, const struct hx_spec *, const struct hx_buf *part, size_t parts,
                     struct hx_bytes *ret_address);
HX_API int hx_remove(hx *, const char *address);

/* len random bytes from the token's own generator. */
HX_API int hx_random(hx *, const char *token, void *buf, size_t len);

/* 1 while this thread is inside a plugin's call, which must not lead to another; else 0.  Who stands in for OpenSSL's
 * random numbers asks this first: a token's own library may want some. */
HX_API int hx_inside(void);

/* Logs in to a token with this PIN, now, even when it was refused before or the token says that this is the last
 * try: only on a person's word.  NULL pin: the token's pinpad.  Success forgets that this PIN was refused before. */
HX_API int hx_login(hx *, const char *token, const void *pin, size_t len);

/* Initialises a blank token, which its section of the configuration names before it has a label: spec's label is the
 * one that it gets (NULL: what the section says, else the section's name), pin[0] the security officer's PIN, pin[1]
 * the user's.  One that is missing or empty is taken from the systemd credential hsmux.TOKEN.so-pin, and from the
 * section; HX_E_LOGIN: there is none, of pin[0] or, if that is given, of pin[1].  A token that is not blank is
 * HX_E_EXISTS; HX_REPLACE in spec's flags destroys all that it holds.  A security officer's PIN that was refused is not
 * sent again. PKCS#11 v2.40 §5.5. */
HX_API int hx_initialise(hx *, const char *token, const struct hx_spec *, const struct hx_buf *pin, size_t pins);

/* Hands a TPM an activation blob (its parts: TPM 2.0 Part 1 §24); ret_address: the key it made. */
HX_API int hx_activate(hx *, const char *token, const void *blob, size_t len, struct hx_bytes *ret_address);

/* The name of the token that hx_activate() would ask: the one named, or with NULL the only TPM.  No token is touched.
 */
HX_API int hx_tpm_name(hx *, const char *token, struct hx_bytes *ret);

/* What `hsmux status` shows: a call for each "configuration", "token", "passed-over" (a token, key or certificate that
 * plays no part), "candidate", "named-credential" and the "credential" (subject), with its name (path, token, address)
 * and a text that says what it is or, when result is not 0, what is wrong and what to do. */
typedef int hx_status_fn(void *arg, const char *subject, const char *name, int result, const char *text);
HX_API int hx_status(hx *, hx_status_fn *fn, void *arg);

/* Each installed plugin, whatever the configuration says (the context may be NULL); result not 0: it cannot be loaded,
 * and summary says why. */
typedef int hx_plugin_fn(void *arg, const char *path, int result, const char *name, const char *version,
                         const char *summary, const struct hx_option *options);
HX_API int hx_plugins(hx *, hx_plugin_fn *fn, void *arg);

/* Wipes and frees; ret becomes empty.  NULL is allowed. */
HX_API void hx_bytes_free(struct hx_bytes *);

#ifdef __cplusplus
}
#endif
#endif
