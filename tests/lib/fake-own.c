/* SPDX-License-Identifier: Apache-2.0 */
/* Keys with a PIN of their own, as a TPM's have: a wrong one, or an empty one where there is one, costs the token a
 * try.
 */
#include "fake.h"

#include <stdio.h>
#include <string.h>

int own_authorise(struct loaded *loaded, const void *pin, size_t len)
{
    int result = enter(FAKE_LOGIN, loaded->handle);

    if (!result) {
        snprintf(loaded->given, sizeof loaded->given, "%.*s", (int)len, len ? (const char *)pin : "");
        loaded->giver = pthread_self();
        loaded->is_given = true;
    }
    leave(loaded->handle);
    return result;
}

static int try_own(struct loaded *loaded, const struct fake_object *object)
{
    struct fake_token *token = &control->token[loaded->handle->token];

    if (!loaded->is_given || !pthread_equal(loaded->giver, pthread_self()))
        return HX_E_LOGIN;
    loaded->is_given = false;
    if (token->tries && !token->tries_left)
        return HX_E_LOCKED;
    token->own_tries++;
    loaded->proven = !strcmp(loaded->given, object->auth);
    if (!loaded->proven && token->tries)
        token->tries_left--;
    return loaded->proven ? 0 : HX_E_PIN;
}

int own_may_use(struct loaded *loaded, const struct fake_object *object)
{
    int result = 0;

    pthread_mutex_lock(&control->lock);
    if (loaded->proven && strcmp(loaded->given, object->auth)) { /* it was right, and is sent as such */
        loaded->giver = pthread_self();
        loaded->is_given = true;
        loaded->proven = false;
    }
    if (!loaded->proven)
        result = try_own(loaded, object);
    pthread_mutex_unlock(&control->lock);
    return result;
}
