/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words that applications, the core and plugins share: results, kinds of objects, algorithms.
 * It lies under both hsmux.h and plugin.h and compiles from C99 to C++20.
 */
#ifndef HSMUX_TYPES_H
#define HSMUX_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define HX_EXTERN extern "C"
extern "C" {
#else
#define HX_EXTERN extern
#endif

#define HX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum hx_result {
    HX_OK = 0,
    HX_E_INVALID = -1, /* the caller's mistake */
    HX_E_CONFIG = -2, /* the administrator's mistake */
    HX_E_NOT_FOUND = -3, /* no such object; from open(): no such device, the plugin steps aside */
    HX_E_AMBIGUOUS = -4, /* more than one fits: the reason lists them */
    HX_E_UNSUPPORTED = -5, /* this token, or this key, cannot do that */
    HX_E_LOGIN = -6, /* log in first, then again: the core does */
    HX_E_PIN = -7, /* PIN refused: the core will not send it again */
    HX_E_LOCKED = -8, /* PIN blocked, or TPM in lockout */
    HX_E_LOST = -9, /* token gone: the core closes, opens and tries once more */
    HX_E_BUSY = -10, /* the core waits and tries again, 2 s at most */
    HX_E_EXISTS = -11, /* that label or id is taken: HX_REPLACE would replace it */
    HX_E_FULL = -12, /* no room on the token */
    HX_E_NO_MEMORY = -13,
    HX_E_DEVICE = -14, /* any other failure of device or driver */
    HX_E_ACCESS = -15, /* the operating system refuses: say which group or mode would do */
};

enum hx_kind { HX_PRIVATE_KEY = 1, HX_PUBLIC_KEY, HX_SECRET_KEY, HX_CERTIFICATE, HX_DATA };
enum hx_type { HX_RSA = 1, HX_P256, HX_P384, HX_P521, HX_ED25519, HX_GENERIC };
enum hx_hash { HX_SHA1 = 1, HX_SHA256, HX_SHA384, HX_SHA512 };

/* What a key may do; a key's usage is the sum of these. */
enum hx_usage { HX_SIGN_DIGEST = 1, HX_SIGN_MESSAGE = 2, HX_DECRYPT = 4, HX_DERIVE = 8 };

enum hx_object_flags {
    HX_EXTRACTABLE = 1, /* the private part may leave the token */
    HX_RESTRICTED = 2, /* a TPM's storage or attestation key: shown, never chosen */
    HX_ALWAYS_AUTH = 4, /* authorise() before each operation */
    HX_IN_HARDWARE = 8, /* the private part cannot be read out by software */
    HX_REPLACE = 16, /* in a spec: what bears the same label goes; without a label, the same id */
    HX_OWN_AUTH = 32, /* its PIN is its own: authorise(), not login(), where an operation or read() says HX_E_LOGIN */
};

/* What goes in, what comes out. */
enum hx_scheme {
    HX_RSA_PKCS1 = 1, /* digest -> signature; with hash 0 the input is padded as it is (DigestInfo) */
    HX_RSA_PSS, /* digest -> signature; of HX_E_UNSUPPORTED, or of another salt, the core makes HX_RSA_RAW */
    HX_RSA_RAW, /* a number below n, n's width -> the same: the core pads */
    HX_RSA_OAEP, /* ciphertext -> plaintext; the core does the same */
    HX_ECDSA, /* digest, at most the curve's width -> r || s, each of that width */
    HX_EDDSA, /* message -> R || S */
    HX_HMAC, /* message -> tag */
    HX_ECDH, /* the peer's point 04 || X || Y -> the shared X */
};

/* The parts of an object that can be read. */
enum hx_part {
    HX_VALUE = 1, /* certificate: DER; data, or a secret that may leave: the bytes */
    HX_PUBLIC, /* RSA: modulus; EC: 04 || X || Y; Ed25519: the 32 bytes */
    HX_TPM2B_PUBLIC, /* a TPM's key: the marshalled TPM2B_PUBLIC */
};

struct hx_buf {
    const void *data;
    size_t len; /* bytes */
};

/* How to sign, decrypt or derive.  Frozen; a spare word that is not zero is HX_E_UNSUPPORTED. */
struct hx_alg {
    uint32_t scheme; /* enum hx_scheme */
    uint32_t hash; /* enum hx_hash: of the digest; HMAC: of the MAC; OAEP: of the label */
    uint32_t mgf_hash; /* PSS and OAEP; 0: the same as hash */
    uint32_t salt_len; /* PSS: bytes */
    uint32_t spare[4];
    struct hx_buf param; /* OAEP label, EdDSA context; usually empty */
};

/* An object to be made.  Frozen; spare as above. */
struct hx_spec {
    uint32_t kind, type, bits, usage, flags; /* usage 0: what such a key usually may */
    uint32_t spare[3];
    uint64_t rsa_e; /* 0: 65537 */
    const char *label;
    const char *place; /* the plugin's own word for where: a TPM handle, a key file, a slot; NULL: it chooses */
    struct hx_buf id; /* empty: the token chooses */
    const void *spare_ptr[2];
};

/* An object found; start from { 0 }.  Grows at its end. */
struct hx_object {
    uint32_t kind, type, bits, usage, flags;
    uint32_t scheme, hash; /* not 0: this key can do nothing else */
    uint32_t spare;
    uint64_t rsa_e; /* RSA: the public exponent */
    const char *label;
    struct hx_buf id; /* the field's identifier (CKA_ID, TPM handle, slot): shown, need not be unique */
    struct hx_buf ref; /* the plugin's own name for it: opaque, unique, lasting over restarts */
};

enum hx_token_flags {
    HX_TOKEN_BLANK = 1, /* not initialised */
    HX_TOKEN_LOGIN = 2, /* private objects want login() */
    HX_PIN_LOW = 4, /* a wrong PIN was given since the last right one */
    HX_PIN_FINAL = 8, /* one more wrong PIN locks it */
    HX_PIN_LOCKED = 16,
    HX_PINPAD = 32, /* login() with a NULL pin: the token asks by itself */
    HX_PIN_EMPTY = 64, /* where no PIN is configured, login() with a NULL pin tries the empty one */
};

/* A token, as scan() or describe() tells of it; start from { 0 }.  Grows at its end. */
struct hx_token_info {
    uint32_t flags, spare;
    const char *label, *serial, *manufacturer, *model; /* NULL: unknown */
};

/* HX_SECRET x: the keys x, x-file and x-credential are understood.  HX_LIBRARY: a shared library, which the core
 * checks for trust and maps before a program drops its rights. */
enum hx_option_flags { HX_REQUIRED = 1, HX_SECRET = 2, HX_LIBRARY = 4 };

struct hx_option { /* a key of a plugin's [token] section; a NULL name ends the array; frozen */
    const char *name, *help, *preset;
    uintptr_t flags;
};

#ifdef __cplusplus
}
#endif
#endif
