/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS#1 v1.5 padding, taken off in constant time.  Conditions are masks, all bits or none; a length that is secret
 * moves bytes by steps of which each is a choice made for every byte. */
#include "pkcs1.h"

#include <stdint.h>

/* Keeps the compiler from finding out that a mask has two values only, and making a branch of that. */
static uint32_t opaque(uint32_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

static uint32_t is_less(uint32_t a, uint32_t b)
{
    return 0 - (opaque(a - b) >> 31); /* both are far below 2^31 */
}

static uint32_t is_zero(uint32_t value)
{
    return is_less(value, 1);
}

static uint32_t is_equal(uint32_t a, uint32_t b)
{
    return is_zero(a ^ b);
}

static uint32_t choose(uint32_t mask, uint32_t yes, uint32_t no)
{
    mask = opaque(mask);
    return (mask & yes) | (~mask & no);
}

static unsigned char choose_byte(uint32_t mask, unsigned char yes, unsigned char no)
{
    return (unsigned char)choose(mask, yes, no);
}

/* The last proposal below the limit.  Proposals are cut to the limit's bits, so that each has a chance of a half or
 * more, and that none fits is as good as impossible. */
static uint32_t decoy_length(const unsigned char lengths[PKCS1_LENGTHS], uint32_t limit)
{
    uint32_t bits = limit, length = 0;

    for (int shift = 1; shift < 16; shift *= 2)
        bits |= bits >> shift;
    for (size_t i = 0; i < PKCS1_LENGTHS; i += 2) {
        uint32_t proposal = ((uint32_t)lengths[i] << 8 | lengths[i + 1]) & bits;

        length = choose(is_less(proposal, limit), proposal, length);
    }
    return length;
}

/* Is the padding good?  ret: the message's length, if it is. */
static uint32_t check(const unsigned char *block, size_t size, uint32_t *ret)
{
    uint32_t good = is_zero(block[0]) & is_equal(block[1], 2);
    uint32_t found = 0, at = 0;

    for (size_t i = 2; i < size; i++) {
        uint32_t zero = is_zero(block[i]);

        at = choose(~found & zero, (uint32_t)i, at);
        found |= zero;
    }
    *ret = (uint32_t)size - 1 - at;
    return good & found & ~is_less(at, PKCS1_OVERHEAD - 1);
}

void pkcs1_unpad(unsigned char *block, size_t size, const struct pkcs1_decoy *decoy, unsigned char *ret,
                 size_t *ret_len)
{
    uint32_t length = 0, good = check(block, size, &length), gap;

    length = choose(good, length, decoy_length(decoy->lengths, (uint32_t)size - PKCS1_OVERHEAD + 1));
    for (size_t i = 0; i < size; i++)
        block[i] = choose_byte(good, block[i], decoy->bytes[i]);
    gap = (uint32_t)size - length;
    for (size_t step = 1; step <= size; step *= 2) {
        uint32_t moves = ~is_zero(gap & (uint32_t)step);

        for (size_t i = 0; i < size; i++)
            block[i] = choose_byte(moves, i + step < size ? block[i + step] : 0, block[i]);
    }
    for (size_t i = 0; i < size - PKCS1_OVERHEAD; i++)
        ret[i] = block[i];
    *ret_len = length;
}

static uint32_t is_version(const unsigned char *secret, unsigned version)
{
    return is_equal(secret[0], version >> 8 & 0xff) & is_equal(secret[1], version & 0xff);
}

void pkcs1_unpad_tls(const unsigned char *block, size_t size, unsigned client, unsigned negotiated,
                     const unsigned char decoy[PKCS1_TLS_SECRET], unsigned char ret[PKCS1_TLS_SECRET])
{
    const unsigned char *secret = block + size - PKCS1_TLS_SECRET;
    uint32_t good = is_zero(block[0]) & is_equal(block[1], 2);
    uint32_t version = is_version(secret, client);

    for (const unsigned char *at = block + 2; at < secret - 1; at++)
        good &= ~is_zero(*at);
    good &= is_zero(secret[-1]);
    if (negotiated)
        version |= is_version(secret, negotiated);
    good &= version;
    for (size_t i = 0; i < PKCS1_TLS_SECRET; i++)
        ret[i] = choose_byte(good, secret[i], decoy[i]);
}
