/* SPDX-License-Identifier: Apache-2.0 */
/* The token's random numbers; not through libp11, for its pool's sake: it would open a session of its own. */
#include "session.h"

int p11_token_random(struct p11_token *token, void *buf, size_t len)
{
    struct p11_session session;
    int r;

    if (len == 0)
        return 0;
    r = p11_session_take(token, &session);
    if (r)
        return r;
    session.function = "C_GenerateRandom";
    return p11_session_done(&session, session.fn->C_GenerateRandom(session.handle, buf, len));
}
