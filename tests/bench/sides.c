/* SPDX-License-Identifier: Apache-2.0 */
/* How each side gets at its keys.  Environment: BENCH_MODULE, BENCH_DIR, BENCH_PIN, BENCH_CONF (the openssl.cnf with
 * hsmux), BENCH_ENGINE (libp11's engine), BENCH_PEER (an openssl.cnf with pkcs11-provider, or empty). */
#define OPENSSL_SUPPRESS_DEPRECATED /* libp11 0.4.12 is an engine */
#include "sides.h"

#include "measure.h"
#include "nothing.h"

#include <dlfcn.h>
#include <openssl/engine.h>
#include <openssl/store.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_SLOT 1

const char *const key_names[KINDS] = { "p256", "rsa" };
struct side sides[SIDES];

static CK_FUNCTION_LIST *functions;
static CK_OBJECT_HANDLE raw_key[KINDS];

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        give_up("not set:", name);
    return value;
}

struct bench_control *module_open(void)
{
    void *handle = dlopen(setting("BENCH_MODULE"), RTLD_NOW | RTLD_LOCAL);
    struct bench_control *control = handle ? dlsym(handle, "bench_control") : NULL;
    CK_C_GetFunctionList get = NULL;

    if (handle)
        *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (!control || !get || get(&functions) != CKR_OK)
        give_up("cannot load", setting("BENCH_MODULE"));
    return control;
}

static void must(CK_RV rv, const char *function)
{
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED && rv != CKR_USER_ALREADY_LOGGED_IN)
        give_up("the module itself fails in", function);
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, const char *label)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE at[] = { { CKA_CLASS, &class, sizeof class }, { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) } };
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    must(functions->C_FindObjectsInit(session, at, 2), "C_FindObjectsInit");
    must(functions->C_FindObjects(session, &found, 1, &count), "C_FindObjects");
    must(functions->C_FindObjectsFinal(session), "C_FindObjectsFinal");
    if (!count)
        give_up("the module has no key", label);
    return found;
}

static CK_SESSION_HANDLE open_session(void)
{
    CK_SESSION_HANDLE session = 0;

    must(functions->C_OpenSession(TOKEN_SLOT, CKF_SERIAL_SESSION, NULL, NULL, &session), "C_OpenSession");
    return session;
}

/* The session stays open, and with it the login. */
static void open_raw(void)
{
    unsigned char pin[32];
    CK_SESSION_HANDLE session;

    must(functions->C_Initialize(NULL), "C_Initialize");
    session = open_session();
    snprintf((char *)pin, sizeof pin, "%s", setting("BENCH_PIN"));
    must(functions->C_Login(session, CKU_USER, pin, strlen((char *)pin)), "C_Login");
    for (int i = 0; i < KINDS; i++)
        raw_key[i] = find(session, key_names[i]);
}

unsigned long side_enter(const struct side *side)
{
    return side->key[P256] ? 0 : open_session();
}

void side_leave(const struct side *side, unsigned long session)
{
    if (!side->key[P256])
        must(functions->C_CloseSession(session), "C_CloseSession");
}

/* A DigestInfo for SHA-256 has 51 bytes. */
void side_sign(const struct side *side, enum kind kind, unsigned long session)
{
    CK_MECHANISM mechanism = { kind == P256 ? CKM_ECDSA : CKM_RSA_PKCS, NULL, 0 };
    unsigned char digest[51] = { 1 }, signature[512];
    CK_ULONG len = sizeof signature;

    if (side->key[kind]) {
        sign(side->libctx, side->key[kind]);
        return;
    }
    must(functions->C_SignInit(session, &mechanism, raw_key[kind]), "C_SignInit");
    must(functions->C_Sign(session, digest, kind == P256 ? 32 : 51, signature, &len), "C_Sign");
}

static ENGINE *engine(void)
{
    static ENGINE *made;

    if (made)
        return made;
    ENGINE_load_dynamic();
    made = ENGINE_by_id("dynamic");
    if (!made || !ENGINE_ctrl_cmd_string(made, "SO_PATH", setting("BENCH_ENGINE"), 0) ||
        !ENGINE_ctrl_cmd_string(made, "LOAD", NULL, 0) ||
        !ENGINE_ctrl_cmd_string(made, "MODULE_PATH", setting("BENCH_MODULE"), 0) ||
        !ENGINE_ctrl_cmd_string(made, "PIN", setting("BENCH_PIN"), 0) || !ENGINE_init(made))
        give_up("cannot load the engine", setting("BENCH_ENGINE"));
    return made;
}

static EVP_PKEY *stored_key(OSSL_LIB_CTX *libctx, const char *uri)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
    EVP_PKEY *key = NULL;

    if (!store || !OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY))
        give_up("cannot open", uri);
    while (!key && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    if (!key)
        give_up("no key at", uri);
    return key;
}

EVP_PKEY *side_key(OSSL_LIB_CTX *libctx, const char *where)
{
    EVP_PKEY *key;

    if (!strncmp(where, "hsm:", 4) || !strncmp(where, "pkcs11:", 7))
        return stored_key(libctx, where);
    if (strncmp(where, "engine:", 7) != 0)
        return load_pem(libctx, where);
    key = ENGINE_load_private_key(engine(), where + 7, NULL, NULL);
    if (!key)
        give_up("the engine has no key", where + 7);
    return key;
}

static void open_side(enum who who, const char *name, const char *conf, const char *format)
{
    struct side *side = &sides[who];
    char where[512];

    side->libctx = conf ? OSSL_LIB_CTX_new() : NULL;
    if (conf && (!side->libctx || OSSL_LIB_CTX_load_config(side->libctx, conf) != 1))
        give_up("cannot load", conf);
    for (int i = 0; i < KINDS; i++) {
        snprintf(where, sizeof where, format, key_names[i]);
        side->key[i] = side_key(side->libctx, where);
    }
    side->name = name;
}

void sides_open(void)
{
    char format[256];

    open_raw();
    sides[RAW].name = "raw C_SignInit + C_Sign";
    sides[NOTHING].name = "a provider that does nothing";
    sides[NOTHING].libctx = OSSL_LIB_CTX_new();
    nothing_load(sides[NOTHING].libctx);
    sides[NOTHING].key[P256] = nothing_key(sides[NOTHING].libctx, "EC");
    sides[NOTHING].key[RSA2048] = nothing_key(sides[NOTHING].libctx, "RSA");
    snprintf(format, sizeof format, "%s/%%s.ref", setting("BENCH_DIR"));
    open_side(HSMUX, "hsmux", setting("BENCH_CONF"), format);
    if (*setting("BENCH_ENGINE"))
        open_side(LIBP11, "libp11's engine", NULL, "engine:pkcs11:token=bench;object=%s;type=private");
    snprintf(format, sizeof format, "pkcs11:token=bench;object=%%s;type=private?pin-value=%s", setting("BENCH_PIN"));
    if (*setting("BENCH_PEER"))
        open_side(PEER, "pkcs11-provider", setting("BENCH_PEER"), format);
}
