/* SPDX-License-Identifier: Apache-2.0 */
/* The unpadding of PKCS#1 v1.5, against a plain one that may branch.  Run under valgrind it also proves that no branch
 * and no address depends on the block or the decoy: they are marked as undefined before each call. */
#include "../../providers/openssl/pkcs1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(at, len) ((void)(at), (void)(len))
#define VALGRIND_MAKE_MEM_DEFINED(at, len) ((void)(at), (void)(len))
#endif

enum { CLIENT = 0x0303, NEGOTIATED = 0x0301, LONGEST = 512 };

static struct pkcs1_decoy decoy;

/* Always the same "random" bytes, so that a failure happens again. */
static unsigned char next(void)
{
    static uint32_t state = 5183;

    state = state * 1664525 + 1013904223;
    return (unsigned char)(state >> 24);
}

static unsigned char next_but_zero(void)
{
    return (unsigned char)(next() | 1);
}

static void fill(unsigned char *to, size_t len)
{
    while (len--)
        *to++ = next();
}

static void pad(unsigned char *block, size_t size, size_t message)
{
    block[0] = 0;
    block[1] = 2;
    for (size_t i = 2; i < size - message - 1; i++)
        block[i] = next_but_zero();
    block[size - message - 1] = 0;
    fill(block + size - message, message);
}

/* The message's length, or -1. */
static int plain_length(const unsigned char *block, size_t size)
{
    const unsigned char *zero = memchr(block + 2, 0, size - 2);

    if (block[0] || block[1] != 2 || !zero || zero - block < 10)
        return -1;
    return (int)(block + size - zero - 1);
}

static size_t plain_decoy_length(size_t size)
{
    unsigned limit = (unsigned)size - 10, bits = 1, length = 0;

    while (bits < limit)
        bits = bits << 1 | 1;
    for (size_t i = 0; i < PKCS1_LENGTHS; i += 2) {
        unsigned proposal = ((unsigned)decoy.lengths[i] << 8 | decoy.lengths[i + 1]) & bits;

        if (proposal < limit)
            length = proposal;
    }
    return length;
}

static void unpad(const unsigned char *block, size_t size, unsigned char *ret, size_t *ret_len)
{
    unsigned char copy[LONGEST];

    memcpy(copy, block, size);
    VALGRIND_MAKE_MEM_UNDEFINED(copy, size);
    VALGRIND_MAKE_MEM_UNDEFINED(&decoy, sizeof(decoy));
    pkcs1_unpad(copy, size, &decoy, ret, ret_len);
    VALGRIND_MAKE_MEM_DEFINED(&decoy, sizeof(decoy));
    VALGRIND_MAKE_MEM_DEFINED(ret, size - PKCS1_OVERHEAD);
    VALGRIND_MAKE_MEM_DEFINED(ret_len, sizeof(*ret_len));
}

/* What the plain way would give comes out, and after it zeros up to the end and nothing beyond. */
static void assert_unpads(const unsigned char *block, size_t size)
{
    unsigned char ret[LONGEST];
    int plain = plain_length(block, size);
    size_t expected = plain < 0 ? plain_decoy_length(size) : (size_t)plain, len = 0;

    memset(ret, 0xa5, sizeof(ret));
    unpad(block, size, ret, &len);
    assert_int_equal(len, expected);
    assert_memory_equal(ret, (plain < 0 ? decoy.bytes : block) + size - len, len);
    for (size_t i = len; i < size - PKCS1_OVERHEAD; i++)
        assert_int_equal(ret[i], 0);
    for (size_t i = size - PKCS1_OVERHEAD; i < sizeof(ret); i++)
        assert_int_equal(ret[i], 0xa5);
}

static const size_t sizes[] = { 64, 127, 128, 129, 256, 384, 512 };

enum { SIZES = sizeof(sizes) / sizeof(*sizes) };

static void every_length_comes_out_whole(void **state)
{
    unsigned char block[LONGEST];

    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t message = 0; message <= sizes[i] - PKCS1_OVERHEAD; message += sizes[i] > 129 ? 7 : 1) {
            pad(block, sizes[i], message);
            assert_true(plain_length(block, sizes[i]) >= 0);
            assert_unpads(block, sizes[i]);
        }
        pad(block, sizes[i], sizes[i] - PKCS1_OVERHEAD);
        assert_unpads(block, sizes[i]);
    }
}

static void a_bad_block_becomes_the_decoy(void **state)
{
    unsigned char block[LONGEST];
    size_t size = 256;

    (void)state;
    for (size_t bad = 0; bad < 10; bad++) {
        pad(block, size, 32);
        block[bad] = bad ? bad == 1 ? 1 : 0 : 1; /* 01 02, 00 01, a zero among the first eight */
        assert_int_equal(plain_length(block, size), -1);
        assert_unpads(block, size);
    }
    pad(block, size, 32);
    for (size_t i = 2; i < size; i++)
        block[i] |= 1; /* no separator */
    assert_int_equal(plain_length(block, size), -1);
    assert_unpads(block, size);
    memset(block, 0, size);
    assert_unpads(block, size);
    memset(block, 0xff, size);
    assert_unpads(block, size);
}

static void any_block_gives_something(void **state)
{
    unsigned char block[LONGEST];

    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t size = sizes[round % SIZES];

        fill(decoy.bytes, sizeof(decoy.bytes));
        fill(decoy.lengths, sizeof(decoy.lengths));
        fill(block, size);
        if (round & 8)
            block[0] = 0, block[1] = 2;
        assert_unpads(block, size);
    }
}

/* So many bytes that no proposal fits: the empty message. */
static void a_decoy_may_be_empty(void **state)
{
    unsigned char block[LONGEST] = { 0 };

    (void)state;
    memset(decoy.lengths, 0xff, sizeof(decoy.lengths));
    assert_int_equal(plain_decoy_length(256), 0);
    assert_unpads(block, 256);
    fill(decoy.lengths, sizeof(decoy.lengths));
}

static void unpad_tls(const unsigned char *block, size_t size, unsigned negotiated, unsigned char *ret)
{
    unsigned char copy[LONGEST];

    memcpy(copy, block, size);
    VALGRIND_MAKE_MEM_UNDEFINED(copy, size);
    VALGRIND_MAKE_MEM_UNDEFINED(&decoy, sizeof(decoy));
    pkcs1_unpad_tls(copy, size, CLIENT, negotiated, decoy.bytes, ret);
    VALGRIND_MAKE_MEM_DEFINED(&decoy, sizeof(decoy));
    VALGRIND_MAKE_MEM_DEFINED(ret, PKCS1_TLS_SECRET);
}

static void assert_tls(const unsigned char *block, size_t size, unsigned negotiated, bool good)
{
    unsigned char ret[PKCS1_TLS_SECRET];

    unpad_tls(block, size, negotiated, ret);
    assert_memory_equal(ret, good ? block + size - PKCS1_TLS_SECRET : decoy.bytes, PKCS1_TLS_SECRET);
}

static void pad_tls(unsigned char *block, size_t size, unsigned version)
{
    pad(block, size, PKCS1_TLS_SECRET);
    block[size - PKCS1_TLS_SECRET] = (unsigned char)(version >> 8);
    block[size - PKCS1_TLS_SECRET + 1] = (unsigned char)version;
}

static void a_premaster_secret_must_name_the_version(void **state)
{
    unsigned char block[LONGEST];

    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        pad_tls(block, sizes[i], CLIENT);
        assert_tls(block, sizes[i], 0, true);
        assert_tls(block, sizes[i], NEGOTIATED, true);
        pad_tls(block, sizes[i], NEGOTIATED);
        assert_tls(block, sizes[i], 0, false);
        assert_tls(block, sizes[i], NEGOTIATED, true);
        pad_tls(block, sizes[i], 0x0302);
        assert_tls(block, sizes[i], 0, false);
        assert_tls(block, sizes[i], NEGOTIATED, false);
        pad_tls(block, sizes[i], 0);
        assert_tls(block, sizes[i], 0, false);
        pad_tls(block, sizes[i], 0x0403);
        assert_tls(block, sizes[i], NEGOTIATED, false);
    }
}

static void each_byte_of_tls_padding_counts(void **state)
{
    unsigned char block[LONGEST];
    size_t size = 256, separator = size - PKCS1_TLS_SECRET - 1;

    (void)state;
    for (size_t bad = 0; bad <= separator; bad++) {
        pad_tls(block, size, CLIENT);
        block[bad] = bad == separator || !bad ? 1 : 0;
        assert_tls(block, size, NEGOTIATED, false);
    }
    pad(block, size, PKCS1_TLS_SECRET + 1);
    block[size - PKCS1_TLS_SECRET] = CLIENT >> 8;
    block[size - PKCS1_TLS_SECRET + 1] = CLIENT & 0xff;
    assert_tls(block, size, 0, false);
}

/* What valgrind must complain of, so that its silence about the others means something. */
static int leak(void)
{
    volatile unsigned char secret = next();
    unsigned char copy = secret;

    VALGRIND_MAKE_MEM_UNDEFINED(&copy, 1);
    return copy ? puts("a secret") < 0 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_out_whole),
        cmocka_unit_test(a_bad_block_becomes_the_decoy),
        cmocka_unit_test(any_block_gives_something),
        cmocka_unit_test(a_decoy_may_be_empty),
        cmocka_unit_test(a_premaster_secret_must_name_the_version),
        cmocka_unit_test(each_byte_of_tls_padding_counts),
    };

    if (argc == 2 && !strcmp(argv[1], "leak"))
        return leak();
    fill(decoy.bytes, sizeof(decoy.bytes));
    fill(decoy.lengths, sizeof(decoy.lengths));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
