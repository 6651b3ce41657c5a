/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hsmux costs above a PKCS#11 module, beside the module itself, a provider that does nothing, libp11's engine and,
 * where there is one, pkcs11-provider.  All sides take turns within each round; what is compared is medians of the
 * rounds, and processor time wherever one thread is measured, since other programs do not stretch it.
 *
 *   layers table ROUNDS     everything; the exit status is 1 when a claim does not hold
 *   layers first WHERE      (what table runs) the module's calls from the start to the first signature
 *   layers memory WHERE     (what table runs) kB more after 2,000 loads of the key, and after 20,000 signatures
 */
#include "claims.h"
#include "handshake.h"
#include "measure.h"
#include "sides.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNATURES 2000
#define HANDSHAKES 40
#define THREADS 32
#define DELAY_MS 5
#define THREAD_SECONDS 0.4
#define LOADS 2000
#define MANY_SIGNATURES 20000

static struct bench_control *control;
static int rounds;
static const char *self;

/* µs or handshakes/s or signatures/s, by side and round. */
static double results[SIDES][ROUNDS_MAX];

static void print_sides(const char *what, int decimals, int count)
{
    printf("\n%s\n", what);
    for (int i = 0; i < SIDES; i++)
        if (sides[i].name && results[i][0] > 0)
            printf("    %-32s %10.*f\n", sides[i].name, decimals, median(results[i], count));
}

static double time_signatures(const struct side *side, enum kind kind)
{
    unsigned long session = side_enter(side);
    double start = seconds(CLOCK_THREAD_CPUTIME_ID), used;

    for (int i = 0; i < SIGNATURES; i++)
        side_sign(side, kind, session);
    used = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    side_leave(side, session);
    return used * 1e6 / SIGNATURES;
}

static double calls_a_signature(const struct side *side, enum kind kind)
{
    unsigned long session = side_enter(side), before = atomic_load(&control->calls);

    for (int i = 0; i < SIGNATURES; i++)
        side_sign(side, kind, session);
    before = atomic_load(&control->calls) - before;
    side_leave(side, session);
    return (double)before / SIGNATURES;
}

static void compare_signatures(enum kind kind)
{
    char text[80];

    memset(results, 0, sizeof results);
    for (int round = -1; round < rounds; round++) /* the first warms up */
        for (int i = 0; i < SIDES; i++)
            if (sides[i].name)
                results[i][round < 0 ? 0 : round] = time_signatures(&sides[i], kind);
    snprintf(text, sizeof text, "%s, C_Sign answers at once: µs of processor time a signature", key_names[kind]);
    print_sides(text, 2, rounds);
    claim("µs above a provider that does nothing", key_names[kind],
          median_difference(results[HSMUX], results[NOTHING], rounds), false, 1.2);
    for (int i = 0; i < SIDES; i++)
        results[i][0] = sides[i].name ? calls_a_signature(&sides[i], kind) : 0;
    snprintf(text, sizeof text, "%s: module calls a signature", key_names[kind]);
    print_sides(text, 2, 1);
    claim("module calls a signature", key_names[kind], results[HSMUX][0], false, 2);
}

struct caller {
    const struct side *side;
    double end;
    atomic_int count;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    unsigned long session = side_enter(caller->side);

    while (seconds(CLOCK_MONOTONIC) < caller->end) {
        side_sign(caller->side, P256, session);
        atomic_fetch_add(&caller->count, 1);
    }
    side_leave(caller->side, session);
    return NULL;
}

static double thread_rate(const struct side *side)
{
    double start = seconds(CLOCK_MONOTONIC);
    struct caller caller = { .side = side, .end = start + THREAD_SECONDS };
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, call, &caller))
            give_up("no thread for", side->name);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return caller.count / (seconds(CLOCK_MONOTONIC) - start);
}

/* A quarter of the rounds: these are long. */
static void compare_threads(void)
{
    int count = rounds / 4 + 1;

    memset(results, 0, sizeof results);
    atomic_store(&control->delay_ms, DELAY_MS);
    for (int round = -1; round < count; round++)
        for (int i = 0; i < SIDES; i++)
            if (sides[i].name && i != NOTHING)
                results[i][round < 0 ? 0 : round] = thread_rate(&sides[i]);
    atomic_store(&control->delay_ms, 0);
    print_sides("p256, C_Sign takes 5 ms, 32 threads: signatures/s", 0, count);
    claim("of the module's own rate, 5 ms a signature, 32 threads", NULL,
          median_ratio(results[HSMUX], results[RAW], count), true, 0.98);
}

static void compare_handshakes(enum kind kind)
{
    SSL_CTX *server[SIDES] = { 0 }, *client;
    OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new(); /* clients are elsewhere, and none of the sides' matter */
    char text[80], cert[512];

    memset(results, 0, sizeof results);
    snprintf(cert, sizeof cert, "%s/%s.pem", getenv("BENCH_DIR"), key_names[kind]);
    for (int i = HSMUX; i < SIDES; i++)
        if (sides[i].name)
            server[i] = tls_server(sides[i].libctx, sides[i].key[kind], cert);
    client = SSL_CTX_new_ex(libctx, NULL, TLS_client_method());
    for (int round = -1; round < rounds; round++)
        for (int i = HSMUX; i < SIDES; i++) {
            double start = seconds(CLOCK_PROCESS_CPUTIME_ID);

            for (int j = 0; server[i] && j < HANDSHAKES; j++)
                tls_handshake(server[i], client);
            if (server[i])
                results[i][round < 0 ? 0 : round] = HANDSHAKES / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
        }
    for (int i = HSMUX; i < SIDES; i++)
        SSL_CTX_free(server[i]);
    SSL_CTX_free(client);
    OSSL_LIB_CTX_free(libctx);
    snprintf(text, sizeof text, "%s, real signatures: TLS 1.3 handshakes per second of processor time",
             key_names[kind]);
    print_sides(text, 0, rounds);
    if (sides[LIBP11].name)
        claim("of libp11's TLS 1.3 handshakes/s", key_names[kind],
              median_ratio(results[HSMUX], results[LIBP11], rounds), true, 0.98);
}

/* The numbers that this program prints when it is run again, with so many keys on the token. */
static void run_self(const char *what, const char *where, int keys, long *ret, int count)
{
    char command[1024];
    FILE *out;

    snprintf(command, sizeof command, "BENCH_KEYS=%d '%s' %s '%s'", keys, self, what, where);
    out = popen(command, "r");
    for (int i = 0; i < count; i++)
        if (!out || fscanf(out, "%ld", &ret[i]) != 1)
            give_up("failed:", command);
    if (pclose(out) != 0)
        give_up("failed:", command);
}

static void count_first(const char *how, const char *where, int keys, bool claimed)
{
    char path[512], what[80];
    long calls;

    snprintf(path, sizeof path, "%s%s%s", strchr(where, ':') ? "" : getenv("BENCH_DIR"), strchr(where, ':') ? "" : "/",
             where);
    run_self("first", path, keys, &calls, 1);
    snprintf(what, sizeof what, "module calls from the start, %d keys", keys);
    if (claimed)
        claim(what, how, (double)calls, false, 20);
    else
        printf("    %-32s %10ld   %d keys\n", how, calls, keys);
}

static void compare_first(void)
{
    static const struct {
        const char *how, *where;
        bool claimed;
    } rows[] = {
        { "by label", "hsm:bench/key/p256", true },
        { "by id", "hsm:bench/key?id=BE00", true },
        { "by a reference with the label", "p256.ref", true },
        { "by a reference with the id", "p256-id.ref", true },
        { "RSA, by label", "hsm:bench/key/rsa", true },
        { "libp11's engine, by label", "engine:pkcs11:token=bench;object=p256;type=private", false },
        { "libp11's engine, by id", "engine:pkcs11:token=bench;id=%BE%00;type=private", false },
        { "pkcs11-provider, by label", "pkcs11:token=bench;object=p256;type=private", false },
        { "pkcs11-provider, by id", "pkcs11:token=bench;id=%BE%00;type=private", false },
    };

    printf("\nmodule calls from the start to the first signature\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum who who = rows[i].claimed ? HSMUX : strncmp(rows[i].where, "pkcs11:", 7) != 0 ? LIBP11 : PEER;

        if (!sides[who].name)
            continue;
        count_first(rows[i].how, rows[i].where, 4, rows[i].claimed);
        count_first(rows[i].how, rows[i].where, 203, rows[i].claimed);
    }
}

static void compare_memory(void)
{
    static const char *const what[] = { "kB more after 2,000 loads of a reference",
                                        "kB more after 2,000 loads with a signature each",
                                        "kB more after 20,000 signatures" };
    char where[512];
    long grown[3];

    for (int i = 0; i < KINDS; i++) {
        snprintf(where, sizeof where, "%s/%s.ref", getenv("BENCH_DIR"), key_names[i]);
        run_self("memory", where, 4, grown, 3);
        for (int j = 0; j < 3; j++)
            claim(what[j], key_names[i], (double)grown[j], false, 0);
    }
}

/* Our provider's context, or the peer's; the engine has none but the default one. */
static OSSL_LIB_CTX *libctx_for(const char *where)
{
    const char *conf = getenv(strncmp(where, "pkcs11:", 7) ? "BENCH_CONF" : "BENCH_PEER");
    OSSL_LIB_CTX *libctx = strncmp(where, "engine:", 7) != 0 ? OSSL_LIB_CTX_new() : NULL;

    if (libctx && (!conf || OSSL_LIB_CTX_load_config(libctx, conf) != 1))
        give_up("cannot load", conf ? conf : "BENCH_CONF");
    return libctx;
}

static int first(const char *where)
{
    OSSL_LIB_CTX *libctx = libctx_for(where);
    char uri[256];

    if (!strncmp(where, "pkcs11:", 7)) {
        snprintf(uri, sizeof uri, "%s?pin-value=%s", where, getenv("BENCH_PIN"));
        where = uri;
    }
    sign(libctx, side_key(libctx, where));
    printf("%lu\n", atomic_load(&control->calls));
    return 0;
}

/* kB in memory; /proc/self/statm is behind by some pages. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    long kb = -1;

    while (file && kb < 0 && fgets(line, sizeof line, file))
        sscanf(line, "Rss: %ld", &kb);
    if (kb < 0)
        give_up("cannot read", "/proc/self/smaps_rollup");
    fclose(file);
    return kb;
}

static long growth(OSSL_LIB_CTX *libctx, const char *where, int loads, int signatures)
{
    long before = resident();

    for (int i = 0; i < loads; i++) {
        EVP_PKEY *key = load_pem(libctx, where);

        for (int j = 0; j < signatures; j++)
            sign(libctx, key);
        EVP_PKEY_free(key);
    }
    return resident() - before;
}

/* The least of three times: a leak shows in each of them, while OpenSSL's caches grow by a page now and then. */
static int memory(const char *where)
{
    OSSL_LIB_CTX *libctx = libctx_for(where);
    const struct {
        int loads, signatures;
    } rows[] = { { LOADS, 0 }, { LOADS, 1 }, { 1, MANY_SIGNATURES } };

    growth(libctx, where, 1, 1); /* the core verifies it: a real one */
    atomic_store(&control->fake, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long least = growth(libctx, where, rows[i].loads, rows[i].signatures);

        for (int j = 0; j < 2; j++) {
            long grown = growth(libctx, where, rows[i].loads, rows[i].signatures);

            least = grown < least ? grown : least;
        }
        printf("%ld\n", least > 0 ? least : 0);
    }
    return 0;
}

static int table(void)
{
    sides_open();
    for (int i = 0; i < SIDES; i++) /* the core verifies a key's first signature: it is a real one */
        for (int kind = 0; sides[i].key[P256] && i != NOTHING && kind < KINDS; kind++)
            side_sign(&sides[i], kind, 0);
    atomic_store(&control->fake, 1);
    compare_signatures(P256);
    compare_signatures(RSA2048);
    compare_threads();
    atomic_store(&control->fake, 0);
    compare_handshakes(P256);
    compare_handshakes(RSA2048);
    compare_first();
    compare_memory();
    return claims_print() ? 1 : 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    self = argv[0];
    if (argc != 3)
        return fprintf(stderr, "usage: layers table ROUNDS\n"), 2;
    control = module_open();
    if (!strcmp(argv[1], "first"))
        return first(argv[2]);
    if (!strcmp(argv[1], "memory"))
        return memory(argv[2]);
    rounds = atoi(argv[2]);
    if (strcmp(argv[1], "table") != 0 || rounds < 1 || rounds > ROUNDS_MAX)
        return fprintf(stderr, "usage: layers table ROUNDS\n"), 2;
    return table();
}
