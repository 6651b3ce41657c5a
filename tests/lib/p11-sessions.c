/* SPDX-License-Identifier: Apache-2.0 */
/* The counting module's functions that start it and open and close sessions: there may be fewer than the real one has.
 */
#include "p11-habits.h"

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *ret)
{
    CK_RV rv;

    if (!counter_pass("C_OpenSession", &rv))
        return rv;
    if (!habit_take_session())
        return CKR_SESSION_COUNT;
    rv = counter_real()->C_OpenSession(slot, flags, application, notify, ret);
    if (rv != CKR_OK)
        habit_give_sessions(1);
    return rv;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE session)
{
    CK_RV rv;

    if (!counter_pass("C_CloseSession", &rv))
        return rv;
    rv = counter_real()->C_CloseSession(session);
    if (rv == CKR_OK)
        habit_give_sessions(1);
    return rv;
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot)
{
    CK_RV rv;

    if (!counter_pass("C_CloseAllSessions", &rv))
        return rv;
    habit_give_sessions(SESSIONS_ALL);
    return counter_real()->C_CloseAllSessions(slot);
}

CK_RV C_Initialize(void *args)
{
    CK_RV rv = CKR_CRYPTOKI_ALREADY_INITIALIZED;

    return counter_pass("C_Initialize", &rv) && !habit_ignores_fork() ? counter_real()->C_Initialize(args) : rv;
}

CK_RV C_Finalize(void *reserved)
{
    CK_RV rv;

    if (!counter_pass("C_Finalize", &rv))
        return rv;
    habit_give_sessions(SESSIONS_ALL);
    return counter_real()->C_Finalize(reserved);
}
