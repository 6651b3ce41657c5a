/* SPDX-License-Identifier: Apache-2.0 */
/* Puts objects on a PKCS#11 token that hsmux itself would never make: keys of types that it does not know, and
 * very many.  Arguments: module, token label, PIN, then for each object one of dsa, dh and gost, which are no good
 * keys, but no module looks, or p256. */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CK_FUNCTION_LIST *fn;

static CK_RV open_session(const char *label, const char *pin, CK_SESSION_HANDLE *ret)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
    CK_SLOT_ID slot[16];
    CK_ULONG count = 16;
    CK_TOKEN_INFO info;
    CK_RV rv;

    rv = fn->C_Initialize(&args);
    if (rv == CKR_OK)
        rv = fn->C_GetSlotList(CK_TRUE, slot, &count);
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
        rv = fn->C_GetTokenInfo(slot[i], &info);
        if (rv != CKR_OK || strncmp((char *)info.label, label, strlen(label)) != 0)
            continue;
        rv = fn->C_OpenSession(slot[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, ret);
        return rv == CKR_OK ? fn->C_Login(*ret, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin)) : rv;
    }
    return rv == CKR_OK ? CKR_TOKEN_NOT_PRESENT : rv;
}

/* Label and id are the type's name. */
static CK_RV make(CK_SESSION_HANDLE session, const char *what)
{
    static unsigned char number[32] = { 0xc5, [31] = 0x0b }, gost_key[] = { 6, 7, 42, 133, 3, 2, 2, 35, 1 },
                         gost_hash[] = { 6, 7, 42, 133, 3, 2, 2, 30, 1 };
    CK_KEY_TYPE type = !strcmp(what, "dsa") ? CKK_DSA : !strcmp(what, "dh") ? CKK_DH : CKK_GOSTR3410;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    void *name = (void *)(uintptr_t)what;
    CK_ATTRIBUTE at[12] = {
        { CKA_CLASS, &class, sizeof class },
        { CKA_KEY_TYPE, &type, sizeof type },
        { CKA_TOKEN, &yes, 1 },
        { CKA_PRIVATE, &yes, 1 },
        { CKA_LABEL, name, strlen(what) },
        { CKA_ID, name, strlen(what) },
        { CKA_VALUE, number, 32 },
    };
    CK_ULONG count = 7;
    CK_OBJECT_HANDLE object;

    if (type == CKK_GOSTR3410) {
        at[count++] = (CK_ATTRIBUTE){ CKA_GOSTR3410_PARAMS, gost_key, sizeof gost_key };
        at[count++] = (CK_ATTRIBUTE){ CKA_GOSTR3411_PARAMS, gost_hash, sizeof gost_hash };
    } else {
        at[count++] = (CK_ATTRIBUTE){ CKA_PRIME, number, sizeof number };
        at[count++] = (CK_ATTRIBUTE){ CKA_BASE, number, sizeof number };
    }
    if (type == CKK_DSA)
        at[count++] = (CK_ATTRIBUTE){ CKA_SUBPRIME, number, 20 };
    return fn->C_CreateObject(session, at, count, &object);
}

static CK_RV generate(CK_SESSION_HANDLE session, const char *what)
{
    static unsigned char p256[] = { 6, 8, 42, 134, 72, 206, 61, 3, 1, 7 };
    static unsigned count;
    CK_BBOOL yes = CK_TRUE;
    CK_MECHANISM mechanism = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
    char label[32];
    int len = snprintf(label, sizeof label, "%s-%u", what, count++);
    CK_ATTRIBUTE public[] = { { CKA_EC_PARAMS, p256, sizeof p256 },
                              { CKA_TOKEN, &yes, 1 },
                              { CKA_LABEL, label, (CK_ULONG)len },
                              { CKA_ID, label, (CK_ULONG)len } };
    CK_ATTRIBUTE private[] = { { CKA_TOKEN, &yes, 1 },
                               { CKA_PRIVATE, &yes, 1 },
                               { CKA_SIGN, &yes, 1 },
                               { CKA_LABEL, label, (CK_ULONG)len },
                               { CKA_ID, label, (CK_ULONG)len } };
    CK_OBJECT_HANDLE object, other;

    return fn->C_GenerateKeyPair(session, &mechanism, public, 4, private, 5, &object, &other);
}

int main(int argc, char **argv)
{
    CK_C_GetFunctionList get;
    CK_SESSION_HANDLE session;
    CK_RV rv;
    void *module = argc > 4 ? dlopen(argv[1], RTLD_NOW) : NULL;

    if (!module)
        return 2;
    *(void **)&get = dlsym(module, "C_GetFunctionList");
    rv = get(&fn);
    if (rv == CKR_OK)
        rv = open_session(argv[2], argv[3], &session);
    for (int i = 4; rv == CKR_OK && i < argc; i++) {
        rv = strcmp(argv[i], "p256") ? make(session, argv[i]) : generate(session, argv[i]);
        printf("%s: 0x%lx\n", argv[i], rv);
    }
    if (rv != CKR_OK)
        fprintf(stderr, "%s: 0x%lx\n", argv[1], rv);
    fn->C_Finalize(NULL);
    return rv == CKR_OK ? 0 : 1;
}
