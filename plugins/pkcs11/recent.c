/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that the last list() found, for the load() that follows it. */
#include "object.h"

#include <stdlib.h>

#define RECENT_MS 1000
#define RECENT_MAX 256

void p11_recent_set(struct p11_token *token, uint32_t kind, struct p11_facts **facts, size_t count)
{
    struct p11_recent *place = &token->recent[kind == HX_PRIVATE_KEY ? 0 : 1];
    struct p11_recent fresh = { facts, count, p11_now() + RECENT_MS }, old;

    if (count > RECENT_MAX) {
        p11_free_facts(facts, count);
        fresh = (struct p11_recent){ 0 };
    }
    pthread_mutex_lock(&token->lock);
    old = *place;
    *place = fresh;
    pthread_mutex_unlock(&token->lock);
    p11_free_facts(old.facts, old.count);
}

void p11_recent_clear(struct p11_token *token)
{
    p11_recent_set(token, HX_PRIVATE_KEY, NULL, 0);
    p11_recent_set(token, 0, NULL, 0);
}

/* Where namesakes were listed, the hash decides, and each of them has one. */
static bool is_meant(const struct p11_ref *ref, const struct p11_facts *facts)
{
    return p11_ref_fits(ref, facts) && ref->has_hash == facts->has_hash && (!ref->has_hash || ref->hash == facts->hash);
}

static struct p11_facts *copy_of_meant(const struct p11_recent *recent, const struct p11_ref *ref)
{
    const struct p11_facts *found = NULL;
    size_t fit = 0;

    for (size_t i = 0; i < recent->count && p11_now() < recent->until; i++)
        if (recent->facts[i] && is_meant(ref, recent->facts[i])) {
            found = recent->facts[i];
            fit++;
        }
    return fit == 1 ? p11_facts_copy(found) : NULL;
}

struct p11_facts *p11_recent_get(struct p11_token *token, const struct p11_ref *ref)
{
    struct p11_facts *found;

    pthread_mutex_lock(&token->lock);
    found = copy_of_meant(&token->recent[0], ref);
    if (!found)
        found = copy_of_meant(&token->recent[1], ref);
    pthread_mutex_unlock(&token->lock);
    return found;
}
