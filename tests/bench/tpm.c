/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hsmux costs above a TPM: beside bare ESAPI and, where it is installed, tpm2-openssl, all with the same two keys
 * at persistent handles.  The sides take turns within each round; what is compared is medians of the rounds.  Most of a
 * signature's time is the TPM's own, so it is taken by the clock.
 *
 *   tpm ROUNDS    the exit status is 1 when a claim does not hold
 *
 * Environment: BENCH_DIR (the programs first-esapi and first-openssl, KIND.ref), BENCH_TCTI, BENCH_CONF (the
 * openssl.cnf with hsmux), BENCH_PEER (one with tpm2-openssl, or empty), HSMUX_CONF, BENCH_COUNTED_CONF (the same with
 * the TPM through the pcap TCTI), TCTI_PCAP_FILE.
 */
#include "claims.h"
#include "esapi.h"
#include "measure.h"
#include "prehashed.h"
#include "tpm-pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNTED 50

enum who { ESAPI, HSMUX, PEER, SIDES };

static const char *const names[SIDES] = { "bare ESAPI", "hsmux", "tpm2-openssl" };

static const struct kind {
    const char *name, *handle;
    int signatures; /* a round's */
} kinds[] = { { "p256", "81008001", 100 }, { "rsa", "81008000", 20 } };
#define KINDS (sizeof kinds / sizeof *kinds)

static OSSL_LIB_CTX *context[SIDES]; /* NULL: it is left out; bare ESAPI has none */
static int rounds;
static double results[SIDES][ROUNDS_MAX];

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        give_up("not set:", name);
    return value;
}

static bool is_here(enum who who)
{
    return who == ESAPI || context[who];
}

static void key_path(enum who who, const struct kind *kind, char *ret, size_t size)
{
    if (who == PEER)
        snprintf(ret, size, "handle:0x%s", kind->handle);
    else
        snprintf(ret, size, "%s/%s.ref", setting("BENCH_DIR"), kind->name);
}

static void print_sides(const char *what, const char *whom, int decimals)
{
    printf("\n%s: %s\n", whom, what);
    for (int i = 0; i < SIDES; i++)
        if (is_here(i))
            printf("    %-32s %10.*f\n", names[i], decimals, median(results[i], rounds));
}

struct side {
    struct esapi_key esapi;
    EVP_PKEY *key;
};

static void open_sides(const struct kind *kind, struct side side[SIDES])
{
    char path[512];

    esapi_open(setting("BENCH_TCTI"), (uint32_t)strtoul(kind->handle, NULL, 16), !strcmp(kind->name, "rsa"),
               &side[ESAPI].esapi);
    for (int i = HSMUX; i < SIDES; i++)
        if (is_here(i)) {
            key_path(i, kind, path, sizeof path);
            side[i].key = prehashed_key(context[i], path);
            prehashed_sign(context[i], side[i].key); /* the core verifies the first */
        }
}

static double rate(enum who who, const struct side *side, int count)
{
    double start = seconds(CLOCK_MONOTONIC);

    for (int i = 0; i < count; i++)
        if (who == ESAPI)
            esapi_sign(&side->esapi);
        else
            prehashed_sign(context[who], side->key);
    return count / (seconds(CLOCK_MONOTONIC) - start);
}

static void compare_rates(const struct kind *kind)
{
    struct side side[SIDES];

    open_sides(kind, side);
    for (int round = -1; round < rounds; round++) /* the first warms up; each side is the first in turn */
        for (int i = 0; i < SIDES; i++) {
            enum who who = (enum who)((i + round + 1) % SIDES);

            if (is_here(who))
                results[who][round < 0 ? 0 : round] = rate(who, &side[who], kind->signatures);
        }
    print_sides("signatures/s", kind->name, 0);
    claim("of bare ESAPI's signatures/s", kind->name, median_ratio(results[HSMUX], results[ESAPI], rounds), true, 0.98);
    for (int i = HSMUX; i < SIDES; i++)
        if (is_here(i))
            EVP_PKEY_free(side[i].key);
}

/* What one side's program prints: when its first signature was there. */
static double run_first(enum who who, const struct kind *kind, const char *tcti, const char *hsmux_conf, int count)
{
    const char *dir = setting("BENCH_DIR");
    char command[2048], path[512];
    double when = 0;
    FILE *out;

    key_path(who, kind, path, sizeof path);
    if (who == ESAPI)
        snprintf(command, sizeof command, "exec '%s/first-esapi' '%s' %s %s %d", dir, tcti, kind->handle, kind->name,
                 count);
    else
        snprintf(command, sizeof command,
                 "OPENSSL_CONF='%s' HSMUX_CONF='%s' TPM2OPENSSL_TCTI='%s' exec '%s/first-openssl' '%s' %d",
                 setting(who == HSMUX ? "BENCH_CONF" : "BENCH_PEER"), hsmux_conf, tcti, dir, path, count);
    out = popen(command, "r");
    if (!out || fscanf(out, "%lf", &when) != 1 || pclose(out) != 0)
        give_up("failed:", command);
    return when;
}

static void compare_starts(const struct kind *kind)
{
    for (int round = -1; round < rounds; round++)
        for (int i = 0; i < SIDES; i++) {
            enum who who = (enum who)((i + round + 1) % SIDES);
            double start = seconds(CLOCK_MONOTONIC), end;

            if (!is_here(who))
                continue;
            end = run_first(who, kind, setting("BENCH_TCTI"), setting("HSMUX_CONF"), 1);
            results[who][round < 0 ? 0 : round] = (end - start) * 1000;
        }
    print_sides("ms from the start of a program to its first signature", kind->name, 2);
    claim("ms above bare ESAPI to the first signature", kind->name,
          median_difference(results[HSMUX], results[ESAPI], rounds), false, 1);
}

static long count_commands(enum who who, const struct kind *kind, int signatures)
{
    const char *pcap = setting("TCTI_PCAP_FILE");
    char tcti[256];
    long count;

    snprintf(tcti, sizeof tcti, "pcap:%s", setting("BENCH_TCTI"));
    unlink(pcap);
    run_first(who, kind, tcti, setting("BENCH_COUNTED_CONF"), signatures);
    count = tpm_pcap_count(pcap, 0);
    if (count <= 0)
        give_up("cannot be read to its end, or is empty:", pcap);
    return count;
}

static void compare_commands(const struct kind *kind)
{
    printf("\n%s: TPM commands to the first signature, and for each one more\n", kind->name);
    for (int i = 0; i < SIDES; i++) {
        long first, each;

        if (!is_here(i))
            continue;
        first = count_commands(i, kind, 1);
        each = count_commands(i, kind, 1 + COUNTED) - first;
        printf("    %-32s %10ld %10.2f\n", names[i], first, (double)each / COUNTED);
        if (i != HSMUX)
            continue;
        claim("TPM commands to the first signature", kind->name, (double)first, false, 4);
        claim("TPM commands a signature", kind->name, (double)each / COUNTED, false, 1);
    }
}

static void open_context(enum who who, const char *conf)
{
    if (!*conf)
        return;
    context[who] = OSSL_LIB_CTX_new();
    if (!context[who] || OSSL_LIB_CTX_load_config(context[who], conf) != 1)
        give_up("cannot load", conf);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    rounds = argc == 2 ? atoi(argv[1]) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return fprintf(stderr, "usage: tpm ROUNDS\n"), 2;
    open_context(HSMUX, setting("BENCH_CONF"));
    open_context(PEER, setting("BENCH_PEER"));
    for (size_t i = 0; i < KINDS; i++) {
        compare_rates(&kinds[i]);
        compare_starts(&kinds[i]);
        compare_commands(&kinds[i]);
    }
    return claims_print() ? 1 : 0;
}
