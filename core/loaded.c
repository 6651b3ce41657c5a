/* SPDX-License-Identifier: Apache-2.0 */
/* Objects loaded on a token: one for each opening of the token, so that none outlives what it was loaded in. */
#include "error.h"
#include "token.h"

static int load_new(struct token *token, _Atomic(struct loaded *) *slot, token_load *load, void *arg)
{
    struct loaded *made = calloc(1, sizeof *made);
    int result;

    if (!made)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if ((result = load(token, arg, &made->object))) {
        free(made);
        return result;
    }
    made->generation = token->generation;
    made->before = atomic_load(slot);
    pthread_mutex_lock(&token->brief_mutex);
    made->next = token->loaded;
    token->loaded = made;
    pthread_mutex_unlock(&token->brief_mutex);
    atomic_store_explicit(slot, made, memory_order_release);
    return HX_OK;
}

static bool usable(const struct token *token, const struct loaded *loaded)
{
    return loaded && loaded->generation == token->generation;
}

int token_object(struct token *token, _Atomic(struct loaded *) *slot, token_load *load, void *arg, void **ret_object)
{
    struct loaded *loaded = atomic_load_explicit(slot, memory_order_acquire);
    int result = HX_OK;

    if (!usable(token, loaded)) {
        pthread_mutex_lock(&token->load_mutex);
        loaded = atomic_load(slot);
        if (!usable(token, loaded) && !(result = load_new(token, slot, load, arg)))
            loaded = atomic_load(slot);
        pthread_mutex_unlock(&token->load_mutex);
        if (result)
            return result;
    }
    *ret_object = loaded->object;
    return HX_OK;
}

static void unlink_loaded(struct token *token, const struct loaded *gone)
{
    pthread_mutex_lock(&token->brief_mutex);
    for (struct loaded **at = &token->loaded; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    pthread_mutex_unlock(&token->brief_mutex);
}

void token_drop(struct token *token, _Atomic(struct loaded *) *slot)
{
    struct loaded *loaded = atomic_exchange(slot, NULL), *before;

    if (table_exiting()) {
        unlink_loaded(token, loaded);
    } else {
        pthread_rwlock_rdlock(&token->lock);
        if (usable(token, loaded)) {
            unlink_loaded(token, loaded);
            plugin_enter(token->host->plugin);
            token_table(token)->unload(loaded->object);
            plugin_leave(token->host->plugin);
        }
        pthread_rwlock_unlock(&token->lock);
    }
    for (; loaded; loaded = before) {
        before = loaded->before;
        free(loaded);
    }
}
