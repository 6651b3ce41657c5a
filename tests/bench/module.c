/* SPDX-License-Identifier: Apache-2.0 */
/* A PKCS#11 module for measuring the layers above it: it counts its calls, can answer C_Sign at once, or late, or with
 * a real signature by libcrypto (module.h).  Two slots; the second has the token "bench", any PIN, with $BENCH_KEYS key
 * pairs: "p256" and "rsa" with certificates, from $BENCH_DIR/NAME.key and NAME.pem, and more under the names of "keyN"
 * that share p256's key.  What it has no function for, nobody was seen to call. */
#include "object.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SESSIONS 256
#define SLOTS 2
#define TOKEN_SLOT 1

/* Each in a cache line of its own: threads must not slow each other down here. */
static struct session {
    _Alignas(64) const struct object *key;
    enum mechanism mechanism;
    CK_RSA_PKCS_PSS_PARAMS pss;
    struct wanted wanted;
    size_t found;
    bool open;
} sessions[SESSIONS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialised, logged_in;

__attribute__((visibility("default"))) struct bench_control bench_control;

static void count(const char *function)
{
    static int trace = -1;

    atomic_fetch_add_explicit(&bench_control.calls, 1, memory_order_relaxed);
    if (trace < 0)
        trace = getenv("BENCH_TRACE") != NULL;
    if (trace)
        fprintf(stderr, "%s\n", function);
}

static struct session *session_of(CK_SESSION_HANDLE handle)
{
    return handle > 0 && handle <= SESSIONS && sessions[handle - 1].open ? &sessions[handle - 1] : NULL;
}

static void pad(unsigned char *field, size_t size, const char *text)
{
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

CK_RV C_Initialize(void *args)
{
    CK_RV rv;

    (void)args;
    count(__func__);
    pthread_mutex_lock(&lock);
    rv = initialised ? CKR_CRYPTOKI_ALREADY_INITIALIZED : objects_make() ? CKR_OK : CKR_GENERAL_ERROR;
    initialised = initialised || rv == CKR_OK;
    pthread_mutex_unlock(&lock);
    return rv;
}

/* All users of this process share the module, and the program ends soon. */
CK_RV C_Finalize(void *reserved)
{
    (void)reserved;
    count(__func__);
    return CKR_OK;
}

CK_RV C_GetInfo(CK_INFO *info)
{
    count(__func__);
    *info = (CK_INFO){ .cryptokiVersion = { 2, 40 } };
    pad(info->manufacturerID, sizeof info->manufacturerID, "hsmux");
    pad(info->libraryDescription, sizeof info->libraryDescription, "bench");
    return CKR_OK;
}

CK_RV C_GetSlotList(CK_BYTE present, CK_SLOT_ID *list, CK_ULONG *ret_count)
{
    CK_ULONG room = *ret_count;

    (void)present;
    count(__func__);
    *ret_count = SLOTS;
    if (!list)
        return CKR_OK;
    if (room < SLOTS)
        return CKR_BUFFER_TOO_SMALL;
    for (CK_ULONG i = 0; i < SLOTS; i++)
        list[i] = i;
    return CKR_OK;
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    count(__func__);
    if (slot >= SLOTS)
        return CKR_SLOT_ID_INVALID;
    *info = (CK_SLOT_INFO){ .flags = CKF_TOKEN_PRESENT };
    pad(info->slotDescription, sizeof info->slotDescription, "bench");
    pad(info->manufacturerID, sizeof info->manufacturerID, "hsmux");
    return CKR_OK;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    count(__func__);
    if (slot >= SLOTS)
        return CKR_SLOT_ID_INVALID;
    *info = (CK_TOKEN_INFO){ .flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED,
                             .ulMaxSessionCount = SESSIONS,
                             .ulMaxRwSessionCount = SESSIONS };
    pad(info->label, sizeof info->label, slot == TOKEN_SLOT ? "bench" : "other");
    pad(info->serialNumber, sizeof info->serialNumber, slot == TOKEN_SLOT ? "0002" : "0001");
    pad(info->manufacturerID, sizeof info->manufacturerID, "hsmux");
    pad(info->model, sizeof info->model, "bench");
    return CKR_OK;
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *ret_count)
{
    static const CK_MECHANISM_TYPE known[] = { CKM_RSA_PKCS, CKM_RSA_PKCS_PSS, CKM_ECDSA };
    CK_ULONG room = *ret_count;

    (void)slot;
    count(__func__);
    *ret_count = sizeof known / sizeof *known;
    if (list && room < *ret_count)
        return CKR_BUFFER_TOO_SMALL;
    if (list)
        memcpy(list, known, sizeof known);
    return CKR_OK;
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    count(__func__);
    *info = (CK_MECHANISM_INFO){ .ulMinKeySize = type == CKM_ECDSA ? 256 : 2048,
                                 .ulMaxKeySize = type == CKM_ECDSA ? 256 : 2048,
                                 .flags = CKF_HW | CKF_SIGN };
    return CKR_OK;
}

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *ret)
{
    CK_RV rv = CKR_SESSION_COUNT;

    (void)flags, (void)application, (void)notify;
    count(__func__);
    if (slot != TOKEN_SLOT)
        return CKR_DEVICE_ERROR;
    pthread_mutex_lock(&lock);
    for (CK_ULONG i = 0; i < SESSIONS && rv != CKR_OK; i++)
        if (!sessions[i].open) {
            sessions[i].open = true;
            *ret = i + 1;
            rv = CKR_OK;
        }
    pthread_mutex_unlock(&lock);
    return rv;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE handle)
{
    struct session *session = session_of(handle);

    count(__func__);
    if (session)
        session->open = false;
    return session ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

/* Those of the others in this process too, as every module does. */
CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
    count(__func__);
    for (size_t i = 0; slot == TOKEN_SLOT && i < SESSIONS; i++)
        sessions[i].open = false;
    return CKR_OK;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
    count(__func__);
    if (!session_of(handle))
        return CKR_SESSION_HANDLE_INVALID;
    *info = (CK_SESSION_INFO){ .slotID = TOKEN_SLOT,
                               .state = logged_in ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION,
                               .flags = CKF_SERIAL_SESSION };
    return CKR_OK;
}

CK_RV C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG len)
{
    bool before;

    (void)user, (void)pin, (void)len;
    count(__func__);
    if (!session_of(handle))
        return CKR_SESSION_HANDLE_INVALID;
    pthread_mutex_lock(&lock);
    before = logged_in;
    logged_in = true;
    pthread_mutex_unlock(&lock);
    return before ? CKR_USER_ALREADY_LOGGED_IN : CKR_OK;
}

CK_RV C_Logout(CK_SESSION_HANDLE handle)
{
    (void)handle;
    count(__func__);
    logged_in = false;
    return CKR_OK;
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *at, CK_ULONG at_count)
{
    struct session *session = session_of(handle);

    count(__func__);
    if (!session)
        return CKR_SESSION_HANDLE_INVALID;
    session->found = 0;
    return objects_want(at, at_count, &session->wanted) ? CKR_OK : CKR_TEMPLATE_INCONSISTENT;
}

CK_RV C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *ret, CK_ULONG room, CK_ULONG *ret_count)
{
    struct session *session = session_of(handle);

    count(__func__);
    if (!session)
        return CKR_SESSION_HANDLE_INVALID;
    for (*ret_count = 0; *ret_count < room && objects_next(&session->wanted, logged_in, &session->found); ++*ret_count)
        ret[*ret_count] = session->found;
    return CKR_OK;
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
    count(__func__);
    return session_of(handle) ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *at, CK_ULONG at_count)
{
    count(__func__);
    return session_of(handle) ? object_read(object, at, at_count) : CKR_SESSION_HANDLE_INVALID;
}

CK_RV C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE object)
{
    struct session *session = session_of(handle);

    count(__func__);
    if (!session)
        return CKR_SESSION_HANDLE_INVALID;
    session->key = object_key(object);
    if (!session->key)
        return CKR_KEY_HANDLE_INVALID;
    switch (mechanism->mechanism) {
    case CKM_ECDSA:
        session->mechanism = ECDSA;
        return CKR_OK;
    case CKM_RSA_PKCS:
        session->mechanism = RSA_PKCS1;
        return CKR_OK;
    case CKM_RSA_PKCS_PSS:
        session->mechanism = RSA_PSS;
        memcpy(&session->pss, mechanism->pParameter, sizeof session->pss);
        return CKR_OK;
    default:
        return CKR_MECHANISM_INVALID;
    }
}

static void wait(int ms)
{
    if (ms > 0)
        nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

CK_RV C_Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *signature, CK_ULONG *signature_len)
{
    struct session *session = session_of(handle);
    const struct made *made;

    count(__func__);
    if (!session || !session->key)
        return CKR_OPERATION_NOT_INITIALIZED;
    wait(atomic_load_explicit(&bench_control.delay_ms, memory_order_relaxed));
    made = object_made(session->key, session->mechanism);
    if (atomic_load_explicit(&bench_control.fake, memory_order_relaxed) && made->len && signature) {
        memcpy(signature, made->bytes, made->len);
        *signature_len = made->len;
        return CKR_OK;
    }
    return object_sign(session->key, session->mechanism, &session->pss, data, len, signature, signature_len);
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len)
{
    (void)handle;
    count(__func__);
    memset(data, 4, len);
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {
    .version = { 2, 40 },
    .C_Initialize = C_Initialize,
    .C_Finalize = C_Finalize,
    .C_GetInfo = C_GetInfo,
    .C_GetFunctionList = C_GetFunctionList,
    .C_GetSlotList = C_GetSlotList,
    .C_GetSlotInfo = C_GetSlotInfo,
    .C_GetTokenInfo = C_GetTokenInfo,
    .C_GetMechanismList = C_GetMechanismList,
    .C_GetMechanismInfo = C_GetMechanismInfo,
    .C_OpenSession = C_OpenSession,
    .C_CloseSession = C_CloseSession,
    .C_CloseAllSessions = C_CloseAllSessions,
    .C_GetSessionInfo = C_GetSessionInfo,
    .C_Login = C_Login,
    .C_Logout = C_Logout,
    .C_FindObjectsInit = C_FindObjectsInit,
    .C_FindObjects = C_FindObjects,
    .C_FindObjectsFinal = C_FindObjectsFinal,
    .C_GetAttributeValue = C_GetAttributeValue,
    .C_SignInit = C_SignInit,
    .C_Sign = C_Sign,
    .C_GenerateRandom = C_GenerateRandom,
};

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    *ret = &functions;
    return CKR_OK;
}
