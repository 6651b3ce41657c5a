/* SPDX-License-Identifier: Apache-2.0 */
/* What a key's token was seen to do since it was opened, each kind of operation as one number.  The opening is part of
 * it, so that what a slow thread saw of the last token never counts for this one. */
#include "kinds.h"

#include <time.h>

/* To look is dear where a token is fast; where it is slow, that it happens with each signature does not matter. */
enum { OPENINGS = 1 << 19, LOOK_AGAIN_MS = 100 };

/* Never 0; scheme and hashes are known ones. */
static uint64_t kind_of(const struct hx_alg *alg, enum padder padder, unsigned opening)
{
    uint32_t mgf = alg->mgf_hash ? alg->mgf_hash : alg->hash;
    uint64_t rest = alg->scheme == HX_RSA_OAEP ? alg->param.len != 0 : alg->salt_len;

    return (uint64_t)(alg->scheme & 0xf) | (uint64_t)(alg->hash & 0xf) << 4 | (uint64_t)(mgf & 0xf) << 8 |
           (uint64_t)padder << 12 | (uint64_t)(opening % OPENINGS) << 13 | rest << 32;
}

unsigned kinds_opening(struct kinds *kinds)
{
    return atomic_load(&kinds->opening);
}

bool kinds_known(struct kinds *kinds, const struct hx_alg *alg, enum padder padder, unsigned opening)
{
    uint64_t kind = kind_of(alg, padder, opening);

    for (size_t i = 0; i < sizeof kinds->seen / sizeof *kinds->seen; i++)
        if (atomic_load_explicit(&kinds->seen[i], memory_order_relaxed) == kind)
            return true;
    return false;
}

void kinds_note(struct kinds *kinds, const struct hx_alg *alg, enum padder padder, unsigned opening)
{
    uint64_t kind = kind_of(alg, padder, opening);

    for (size_t i = 0; i < sizeof kinds->seen / sizeof *kinds->seen && opening == kinds_opening(kinds); i++) {
        uint64_t none = 0;

        if (atomic_compare_exchange_strong(&kinds->seen[i], &none, kind) || none == kind)
            return;
    }
}

void kinds_forget(struct kinds *kinds)
{
    atomic_fetch_add(&kinds->opening, 1);
    for (size_t i = 0; i < sizeof kinds->seen / sizeof *kinds->seen; i++)
        atomic_store(&kinds->seen[i], 0);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool kinds_stale(const struct kinds *kinds)
{
    return now_ms() - atomic_load_explicit(&kinds->looked_at, memory_order_relaxed) >= LOOK_AGAIN_MS;
}

void kinds_looked(struct kinds *kinds)
{
    atomic_store_explicit(&kinds->looked_at, now_ms(), memory_order_relaxed);
}
