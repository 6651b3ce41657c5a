/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS#11 module for tests, in front of a real one: it passes every call on and counts it.  All by environment:
 *   P11_COUNTER_MODULE    the real module
 *   P11_COUNTER_LOG       a file that gets a line "PID FUNCTION" for each call, from any number of processes
 *   P11_COUNTER_DELAY_MS  how long C_Sign takes at least
 *   P11_COUNTER_FAIL      FUNCTION:N:RV[,...]: the Nth call from now on is not made and returns RV (0x... or decimal);
 *                         N = 0: every call; RV 0xdead: the process is killed instead
 *   P11_COUNTER_FAKE_SIGN while set, each signature after the process's first is made up at once, as long as the last,
 *                         without the real module: what is left is the cost of the layers above.  The core verifies the
 *                         first of each kind: a program makes those before it sets this
 * and the habits of other modules in p11-habits.h */
#include "p11-habits.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RULES 8
#define KILLED 0xdead

static CK_FUNCTION_LIST *real;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    char text[256]; /* the value of P11_COUNTER_FAIL that the rules were made of */
    struct {
        char function[40];
        unsigned long nth, calls;
        CK_RV rv;
    } rule[RULES];
    unsigned count;
} fail;

static void write_log(const char *function)
{
    const char *path = getenv("P11_COUNTER_LOG");
    char line[64];
    int len = snprintf(line, sizeof line, "%d %s\n", (int)getpid(), function);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)len) != len)
        fprintf(stderr, "p11-counter: cannot write %s\n", path);
    close(fd);
}

static void read_rules(const char *text)
{
    int used;

    fail.count = 0;
    snprintf(fail.text, sizeof fail.text, "%s", text);
    for (; fail.count < RULES; text += used) {
        if (sscanf(text, "%39[A-Za-z_]:%lu:%li%n", fail.rule[fail.count].function, &fail.rule[fail.count].nth,
                   (long *)&fail.rule[fail.count].rv, &used) != 3)
            break;
        fail.rule[fail.count++].calls = 0;
        used += text[used] == ',';
    }
}

/* Does a rule say that this call fails? */
static bool must_fail(const char *function, CK_RV *ret)
{
    const char *text = getenv("P11_COUNTER_FAIL");
    bool found = false;

    pthread_mutex_lock(&lock);
    if (!text) { /* the same rules set again start anew */
        fail.text[0] = '\0';
        fail.count = 0;
    } else if (strcmp(text, fail.text)) {
        read_rules(text);
    }
    for (unsigned i = 0; i < fail.count; i++) {
        if (strcmp(fail.rule[i].function, function))
            continue;
        fail.rule[i].calls++;
        if (fail.rule[i].nth && fail.rule[i].nth != fail.rule[i].calls)
            continue;
        found = true;
        *ret = fail.rule[i].rv;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Each call comes by here; false: it is not to be made, and returns *ret. */
static bool pass(const char *function, CK_RV *ret)
{
    write_log(function);
    habit_hang(function);
    if (!must_fail(function, ret))
        return true;
    if (*ret == KILLED)
        raise(SIGKILL);
    return false;
}

bool counter_pass(const char *function, CK_RV *ret)
{
    return pass(function, ret);
}

CK_FUNCTION_LIST *counter_real(void)
{
    return real;
}

CK_RV C_Login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG len)
{
    CK_RV rv;

    if (!pass("C_Login", &rv))
        return rv;
    if (user != CKU_SO && habit_wrong_pins(-1) >= TRIES)
        return CKR_PIN_LOCKED;
    if (!habit_asks_pad(&pin, &len))
        return pin ? CKR_ARGUMENTS_BAD : CKR_FUNCTION_CANCELED;
    rv = real->C_Login(session, user, pin, len);
    if (user != CKU_SO && (rv == CKR_OK || rv == CKR_PIN_INCORRECT))
        habit_wrong_pins(rv != CKR_OK);
    return rv;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    CK_RV rv;

    if (!pass("C_GetTokenInfo", &rv))
        return rv;
    rv = real->C_GetTokenInfo(slot, info);
    if (rv == CKR_OK)
        habit_describe(info);
    return rv;
}

/* The length of the signature that the real module made last; 0: none yet. */
static atomic_ulong fake_len;
static _Thread_local bool faking; /* C_SignInit was not passed on */

CK_RV C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_RV rv;

    if (!pass("C_SignInit", &rv))
        return rv;
    faking = getenv("P11_COUNTER_FAKE_SIGN") && atomic_load(&fake_len) > 0;
    return faking ? CKR_OK : real->C_SignInit(session, mechanism, key);
}

static CK_RV fake_sign(CK_BYTE *signature, CK_ULONG *signature_len)
{
    faking = false;
    *signature_len = atomic_load(&fake_len);
    memset(signature, 1, *signature_len);
    return CKR_OK;
}

CK_RV C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *signature_len)
{
    const char *delay = getenv("P11_COUNTER_DELAY_MS");
    long ms = delay ? atol(delay) : 0;
    struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    CK_RV rv;

    if (!pass("C_Sign", &rv))
        return rv;
    if (ms > 0)
        nanosleep(&pause, NULL);
    if (habit_overflows(signature_len))
        return CKR_OK;
    if (faking)
        return fake_sign(signature, signature_len);
    rv = real->C_Sign(session, data, len, signature, signature_len);
    if (rv == CKR_OK && signature)
        atomic_store(&fake_len, *signature_len);
    return rv;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *at, CK_ULONG count)
{
    CK_ULONG room;
    CK_RV rv;

    if (!pass("C_GetAttributeValue", &rv))
        return rv;
    room = at->ulValueLen;
    rv = real->C_GetAttributeValue(session, object, at, count);
    habit_widen(at, count, count == 1 && at->pValue && room >= WIDE);
    if (rv == CKR_OK && count == 1 && at->type == CKA_VALUE && at->pValue)
        habit_shorten(at->pValue, &at->ulValueLen);
    habit_rename_types(at, count);
    return rv;
}

CK_RV C_Decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
    CK_RV rv;

    if (!pass("C_Decrypt", &rv))
        return rv;
    if (habit_overflows(out_len))
        return CKR_OK;
    rv = real->C_Decrypt(session, in, in_len, out, out_len);
    if (rv == CKR_OK && out)
        habit_shorten(out, out_len);
    return rv;
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *at,
                  CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
    CK_RV rv;

    if (!pass("C_DeriveKey", &rv))
        return rv;
    if (habit_refuses_point(mechanism))
        return CKR_MECHANISM_PARAM_INVALID;
    return real->C_DeriveKey(session, mechanism, base, at, count, ret);
}

CK_RV C_GetInfo(CK_INFO *info)
{
    CK_RV rv;

    return pass("C_GetInfo", &rv) ? habit_disguise(real->C_GetInfo(info), info) : rv;
}

/* All others differ in their parameters only, which no C function can stand for. */
#define FORWARD(name, parameters, arguments)                                                                           \
    CK_RV name parameters                                                                                              \
    {                                                                                                                  \
        CK_RV rv;                                                                                                      \
        return pass(#name, &rv) ? real->name arguments : rv;                                                           \
    }

/* clang-format off */
FORWARD(C_GetSlotList, (CK_BYTE token_present, CK_SLOT_ID *slot_list, CK_ULONG *count),
        (token_present, slot_list, count))
FORWARD(C_GetSlotInfo, (CK_SLOT_ID slot_id, CK_SLOT_INFO *info), (slot_id, info))
FORWARD(C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved), (flags, slot, reserved))
FORWARD(C_GetMechanismList, (CK_SLOT_ID slot_id, CK_MECHANISM_TYPE *mechanism_list, CK_ULONG *count),
        (slot_id, mechanism_list, count))
FORWARD(C_GetMechanismInfo, (CK_SLOT_ID slot_id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info),
        (slot_id, type, info))
FORWARD(C_InitToken, (CK_SLOT_ID slot_id, CK_BYTE *pin, CK_ULONG pin_len, CK_BYTE *label),
        (slot_id, pin, pin_len, label))
FORWARD(C_InitPIN, (CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG pin_len), (session, pin, pin_len))
FORWARD(C_SetPIN, (CK_SESSION_HANDLE session, CK_BYTE *old_pin, CK_ULONG old_len, CK_BYTE *new_pin, CK_ULONG new_len),
        (session, old_pin, old_len, new_pin, new_len))
FORWARD(C_GetSessionInfo, (CK_SESSION_HANDLE session, CK_SESSION_INFO *info), (session, info))
FORWARD(C_GetOperationState, (CK_SESSION_HANDLE session, CK_BYTE *operation_state, CK_ULONG *operation_state_len),
        (session, operation_state, operation_state_len))
FORWARD(C_SetOperationState, (CK_SESSION_HANDLE session, CK_BYTE *operation_state, CK_ULONG operation_state_len, CK_OBJECT_HANDLE encryption_key, CK_OBJECT_HANDLE authentiation_key),
        (session, operation_state, operation_state_len, encryption_key, authentiation_key))
FORWARD(C_Logout, (CK_SESSION_HANDLE session), (session))
FORWARD(C_CreateObject, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *templ, CK_ULONG count, CK_OBJECT_HANDLE *object),
        (session, templ, count, object))
FORWARD(C_CopyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG count, CK_OBJECT_HANDLE *new_object),
        (session, object, templ, count, new_object))
FORWARD(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object))
FORWARD(C_GetObjectSize, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ULONG *size),
        (session, object, size))
FORWARD(C_SetAttributeValue, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG count),
        (session, object, templ, count))
FORWARD(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *templ, CK_ULONG count), (session, templ, count))
FORWARD(C_FindObjects, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *object, CK_ULONG max_object_count, CK_ULONG *object_count),
        (session, object, max_object_count, object_count))
FORWARD(C_FindObjectsFinal, (CK_SESSION_HANDLE session), (session))
FORWARD(C_EncryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
        (session, mechanism, key))
FORWARD(C_Encrypt, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *encrypted_data, CK_ULONG *encrypted_data_len),
        (session, data, data_len, encrypted_data, encrypted_data_len))
FORWARD(C_EncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len),
        (session, part, part_len, encrypted_part, encrypted_part_len))
FORWARD(C_EncryptFinal, (CK_SESSION_HANDLE session, CK_BYTE *last_encrypted_part, CK_ULONG *last_encrypted_part_len),
        (session, last_encrypted_part, last_encrypted_part_len))
FORWARD(C_DecryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
        (session, mechanism, key))
FORWARD(C_DecryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len),
        (session, encrypted_part, encrypted_part_len, part, part_len))
FORWARD(C_DecryptFinal, (CK_SESSION_HANDLE session, CK_BYTE *last_part, CK_ULONG *last_part_len),
        (session, last_part, last_part_len))
FORWARD(C_DigestInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism), (session, mechanism))
FORWARD(C_Digest, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *digest, CK_ULONG *digest_len),
        (session, data, data_len, digest, digest_len))
FORWARD(C_DigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len), (session, part, part_len))
FORWARD(C_DigestKey, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key), (session, key))
FORWARD(C_DigestFinal, (CK_SESSION_HANDLE session, CK_BYTE *digest, CK_ULONG *digest_len),
        (session, digest, digest_len))
FORWARD(C_SignUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len), (session, part, part_len))
FORWARD(C_SignFinal, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG *signature_len),
        (session, signature, signature_len))
FORWARD(C_SignRecoverInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
        (session, mechanism, key))
FORWARD(C_SignRecover, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len),
        (session, data, data_len, signature, signature_len))
FORWARD(C_VerifyInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
        (session, mechanism, key))
FORWARD(C_Verify, (CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG signature_len),
        (session, data, data_len, signature, signature_len))
FORWARD(C_VerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len), (session, part, part_len))
FORWARD(C_VerifyFinal, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len),
        (session, signature, signature_len))
FORWARD(C_VerifyRecoverInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key),
        (session, mechanism, key))
FORWARD(C_VerifyRecover, (CK_SESSION_HANDLE session, CK_BYTE *signature, CK_ULONG signature_len, CK_BYTE *data, CK_ULONG *data_len),
        (session, signature, signature_len, data, data_len))
FORWARD(C_DigestEncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len),
        (session, part, part_len, encrypted_part, encrypted_part_len))
FORWARD(C_DecryptDigestUpdate, (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len),
        (session, encrypted_part, encrypted_part_len, part, part_len))
FORWARD(C_SignEncryptUpdate, (CK_SESSION_HANDLE session, CK_BYTE *part, CK_ULONG part_len, CK_BYTE *encrypted_part, CK_ULONG *encrypted_part_len),
        (session, part, part_len, encrypted_part, encrypted_part_len))
FORWARD(C_DecryptVerifyUpdate, (CK_SESSION_HANDLE session, CK_BYTE *encrypted_part, CK_ULONG encrypted_part_len, CK_BYTE *part, CK_ULONG *part_len),
        (session, encrypted_part, encrypted_part_len, part, part_len))
FORWARD(C_GenerateKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *templ, CK_ULONG count, CK_OBJECT_HANDLE *key),
        (session, mechanism, templ, count, key))
FORWARD(C_GenerateKeyPair, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_key_template, CK_ULONG public_key_attribute_count, CK_ATTRIBUTE *private_key_template, CK_ULONG private_key_attribute_count, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key),
        (session, mechanism, public_key_template, public_key_attribute_count, private_key_template, private_key_attribute_count, public_key, private_key))
FORWARD(C_WrapKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE *wrapped_key, CK_ULONG *wrapped_key_len),
        (session, mechanism, wrapping_key, key, wrapped_key, wrapped_key_len))
FORWARD(C_UnwrapKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE unwrapping_key, CK_BYTE *wrapped_key, CK_ULONG wrapped_key_len, CK_ATTRIBUTE *templ, CK_ULONG attribute_count, CK_OBJECT_HANDLE *key),
        (session, mechanism, unwrapping_key, wrapped_key, wrapped_key_len, templ, attribute_count, key))
FORWARD(C_SeedRandom, (CK_SESSION_HANDLE session, CK_BYTE *seed, CK_ULONG seed_len), (session, seed, seed_len))
FORWARD(C_GenerateRandom, (CK_SESSION_HANDLE session, CK_BYTE *random_data, CK_ULONG random_len),
        (session, random_data, random_len))
FORWARD(C_GetFunctionStatus, (CK_SESSION_HANDLE session), (session))
FORWARD(C_CancelFunction, (CK_SESSION_HANDLE session), (session))
static CK_FUNCTION_LIST functions = {
    .version = { CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR },
    .C_Initialize = C_Initialize, .C_Finalize = C_Finalize, .C_GetInfo = C_GetInfo,
    .C_GetFunctionList = C_GetFunctionList, .C_GetSlotList = C_GetSlotList, .C_GetSlotInfo = C_GetSlotInfo,
    .C_GetTokenInfo = C_GetTokenInfo, .C_WaitForSlotEvent = C_WaitForSlotEvent,
    .C_GetMechanismList = C_GetMechanismList, .C_GetMechanismInfo = C_GetMechanismInfo, .C_InitToken = C_InitToken,
    .C_InitPIN = C_InitPIN, .C_SetPIN = C_SetPIN, .C_OpenSession = C_OpenSession, .C_CloseSession = C_CloseSession,
    .C_CloseAllSessions = C_CloseAllSessions, .C_GetSessionInfo = C_GetSessionInfo,
    .C_GetOperationState = C_GetOperationState, .C_SetOperationState = C_SetOperationState, .C_Login = C_Login,
    .C_Logout = C_Logout, .C_CreateObject = C_CreateObject, .C_CopyObject = C_CopyObject,
    .C_DestroyObject = C_DestroyObject, .C_GetObjectSize = C_GetObjectSize,
    .C_GetAttributeValue = C_GetAttributeValue, .C_SetAttributeValue = C_SetAttributeValue,
    .C_FindObjectsInit = C_FindObjectsInit, .C_FindObjects = C_FindObjects,
    .C_FindObjectsFinal = C_FindObjectsFinal, .C_EncryptInit = C_EncryptInit, .C_Encrypt = C_Encrypt,
    .C_EncryptUpdate = C_EncryptUpdate, .C_EncryptFinal = C_EncryptFinal, .C_DecryptInit = C_DecryptInit,
    .C_Decrypt = C_Decrypt, .C_DecryptUpdate = C_DecryptUpdate, .C_DecryptFinal = C_DecryptFinal,
    .C_DigestInit = C_DigestInit, .C_Digest = C_Digest, .C_DigestUpdate = C_DigestUpdate,
    .C_DigestKey = C_DigestKey, .C_DigestFinal = C_DigestFinal, .C_SignInit = C_SignInit, .C_Sign = C_Sign,
    .C_SignUpdate = C_SignUpdate, .C_SignFinal = C_SignFinal, .C_SignRecoverInit = C_SignRecoverInit,
    .C_SignRecover = C_SignRecover, .C_VerifyInit = C_VerifyInit, .C_Verify = C_Verify,
    .C_VerifyUpdate = C_VerifyUpdate, .C_VerifyFinal = C_VerifyFinal, .C_VerifyRecoverInit = C_VerifyRecoverInit,
    .C_VerifyRecover = C_VerifyRecover, .C_DigestEncryptUpdate = C_DigestEncryptUpdate,
    .C_DecryptDigestUpdate = C_DecryptDigestUpdate, .C_SignEncryptUpdate = C_SignEncryptUpdate,
    .C_DecryptVerifyUpdate = C_DecryptVerifyUpdate, .C_GenerateKey = C_GenerateKey,
    .C_GenerateKeyPair = C_GenerateKeyPair, .C_WrapKey = C_WrapKey, .C_UnwrapKey = C_UnwrapKey,
    .C_DeriveKey = C_DeriveKey, .C_SeedRandom = C_SeedRandom, .C_GenerateRandom = C_GenerateRandom,
    .C_GetFunctionStatus = C_GetFunctionStatus, .C_CancelFunction = C_CancelFunction,
};
/* clang-format on */

static CK_RV load(void)
{
    const char *path = getenv("P11_COUNTER_MODULE");
    void *handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    CK_C_GetFunctionList get = NULL;

    if (handle)
        *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (!get) {
        fprintf(stderr, "p11-counter: P11_COUNTER_MODULE names no PKCS#11 module\n");
        return CKR_GENERAL_ERROR;
    }
    return get(&real);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    CK_RV rv = CKR_OK;

    write_log("C_GetFunctionList");
    pthread_mutex_lock(&lock);
    if (!real)
        rv = load();
    pthread_mutex_unlock(&lock);
    if (rv == CKR_OK)
        *ret = &functions;
    return rv;
}
