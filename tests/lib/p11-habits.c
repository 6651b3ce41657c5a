/* SPDX-License-Identifier: Apache-2.0 */
/* See p11-habits.h. */
#include "p11-habits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int habit_wrong_pins(int change)
{
    const char *path = getenv("P11_COUNTER_LOCK");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1;
    char text[16] = "";
    int count, len;

    if (fd < 0)
        return 0;
    flock(fd, LOCK_EX);
    if (pread(fd, text, sizeof text - 1, 0) < 0)
        text[0] = '\0';
    count = atoi(text);
    if (change >= 0) {
        count = change ? count + 1 : 0;
        len = snprintf(text, sizeof text, "%d\n", count);
        if (pwrite(fd, text, (size_t)len, 0) != len || ftruncate(fd, len) != 0)
            fprintf(stderr, "p11-counter: cannot write %s\n", path);
    }
    close(fd);
    return count;
}

bool habit_asks_pad(CK_BYTE **pin, CK_ULONG *len)
{
    char *typed = getenv("P11_COUNTER_PINPAD");

    if (!typed)
        return true;
    if (*pin || !*typed)
        return false;
    *pin = (CK_BYTE *)typed;
    *len = strlen(typed);
    return true;
}

/* The length of a bare point on P-256, P-384 or P-521 is never that of a wrapped one. */
bool habit_refuses_point(const CK_MECHANISM *mechanism)
{
    const CK_ECDH1_DERIVE_PARAMS *ecdh = mechanism->pParameter;
    CK_ULONG len = ecdh->ulPublicDataLen;

    return getenv("P11_COUNTER_WRAPPED") && (len == 65 || len == 97 || len == 133);
}

bool habit_ignores_fork(void)
{
    static atomic_bool called;

    return atomic_exchange(&called, true) && getenv("P11_COUNTER_FORKLESS");
}

CK_RV habit_disguise(CK_RV rv, CK_INFO *info)
{
    if (rv == CKR_OK && getenv("P11_COUNTER_FORKLESS"))
        memset(info->manufacturerID, 'x', sizeof info->manufacturerID);
    return rv;
}

void habit_rename_types(CK_ATTRIBUTE *at, CK_ULONG count)
{
    CK_KEY_TYPE type, vendors = CKK_VENDOR_DEFINED | 7;

    for (CK_ULONG i = 0; i < count && getenv("P11_COUNTER_VENDOR"); i++) {
        if (at[i].type != CKA_KEY_TYPE || at[i].ulValueLen != sizeof type || !at[i].pValue)
            continue;
        memcpy(&type, at[i].pValue, sizeof type);
        if (type == CKK_DSA)
            memcpy(at[i].pValue, &vendors, sizeof vendors);
    }
}

void habit_shorten(unsigned char *number, CK_ULONG *len)
{
    const char *how = getenv("P11_COUNTER_SHORT");
    CK_ULONG zeros = 0;

    if (!how)
        return;
    while (zeros < *len && (number[zeros] == 0 || !strcmp(how, "all")))
        zeros++;
    *len -= zeros;
    memmove(number, number + zeros, *len);
}

void habit_widen(CK_ATTRIBUTE *at, CK_ULONG count, bool has_room)
{
    for (CK_ULONG i = 0; getenv("P11_COUNTER_WIDE") && i < count; i++) {
        if (at[i].type != CKA_MODULUS || at[i].ulValueLen == CK_UNAVAILABLE_INFORMATION)
            continue;
        at[i].ulValueLen = has_room ? WIDE : CK_UNAVAILABLE_INFORMATION;
        if (has_room)
            memset(at[i].pValue, 0xc1, WIDE);
    }
}

bool habit_overflows(CK_ULONG *len)
{
    if (!getenv("P11_COUNTER_WIDE"))
        return false;
    *len = WIDE;
    return true;
}

static void show_tries(CK_TOKEN_INFO *info)
{
    int wrong = habit_wrong_pins(-1);

    info->flags &= ~(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
    if (getenv("P11_COUNTER_MUTE"))
        return;
    if (wrong > 0)
        info->flags |= CKF_USER_PIN_COUNT_LOW;
    if (wrong == TRIES - 1)
        info->flags |= CKF_USER_PIN_FINAL_TRY;
    if (wrong >= TRIES)
        info->flags |= CKF_USER_PIN_LOCKED;
}

void habit_describe(CK_TOKEN_INFO *info)
{
    if (getenv("P11_COUNTER_PINPAD"))
        info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
    if (getenv("P11_COUNTER_LOCK"))
        show_tries(info);
    if (getenv("P11_COUNTER_SWAP"))
        info->serialNumber[0] = 'X';
}

atomic_bool habit_hanging;

void habit_hang(const char *function)
{
    const char *how = getenv("P11_COUNTER_HANG");
    size_t len = strlen(function);

    if (!how || strncmp(how, function, len) || how[len] != ':')
        return;
    atomic_store(&habit_hanging, true);
    while (access(how + len + 1, F_OK) == 0)
        usleep(2000);
    atomic_store(&habit_hanging, false);
}

static atomic_uint sessions;

bool habit_take_session(void)
{
    const char *most = getenv("P11_COUNTER_SESSIONS");
    unsigned before = atomic_fetch_add(&sessions, 1);

    if (!most || before < (unsigned)atoi(most))
        return true;
    atomic_fetch_sub(&sessions, 1);
    return false;
}

void habit_give_sessions(unsigned count)
{
    if (count == SESSIONS_ALL)
        atomic_store(&sessions, 0);
    else
        atomic_fetch_sub(&sessions, count);
}
