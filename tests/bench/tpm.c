/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hsmux costs above a TPM: beside bare ESAPI and, where it is installed, tpm2-openssl, all with the same two keys
 * at persistent handles.  The sides take turns within each round; what is compared is medians of the rounds.  Most of a
 * signature's time is the TPM's own, so it is taken by the clock.
 *
 *   tpm ROUNDS    the exit status is 1 when a claim does not hold
 *
 * Environment: BENCH_DIR (the programs first-..., KIND.ref, KIND.key), BENCH_TCTI, BENCH_CONF (the
 * openssl.cnf with hsmux), BENCH_PEER (one with tpm2-openssl, or empty), BENCH_PLAIN_CONF (the hsmux.conf),
 * BENCH_COUNTED_CONF (the same with the TPM through the pcap TCTI), TCTI_PCAP_FILE.
 */
#include "claims.h"
#include "esapi.h"
#include "library.h"
#include "measure.h"
#include "prehashed.h"
#include "tpm-pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNTED 50

/* The last ones are programs only, of which the start is measured. */
enum who { ESAPI, LIBRARY, HSMUX, PEER, RATED, SOFTWARE = RATED, BOTH, SIDES };

static const char *const names[SIDES] = {
    "bare ESAPI", "libhsmux", "hsmux in OpenSSL", "tpm2-openssl", "OpenSSL with a PEM file", "that, and bare ESAPI"
};

static const struct kind {
    const char *name, *handle;
    int signatures; /* a round's */
} kinds[] = { { "p256", "81008001", 150 }, { "rsa", "81008000", 25 } };
#define KINDS (sizeof kinds / sizeof *kinds)

static OSSL_LIB_CTX *context[RATED]; /* of those in OpenSSL */
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
    return who != PEER || context[PEER];
}

static void key_path(enum who who, const struct kind *kind, char *ret, size_t size)
{
    if (who == PEER)
        snprintf(ret, size, "handle:0x%s", kind->handle);
    else
        snprintf(ret, size, "%s/%s.%s", setting("BENCH_DIR"), kind->name,
                 who == SOFTWARE || who == BOTH ? "key" : "ref");
}

static void print_sides(const char *what, const char *whom, int decimals, int count)
{
    printf("\n%s: %s\n", whom, what);
    for (int i = 0; i < count; i++)
        if (is_here(i))
            printf("    %-32s %10.*f\n", names[i], decimals, median(results[i], rounds));
}

struct side { /* one of them */
    struct esapi_key esapi;
    struct library_key library;
    EVP_PKEY *key;
};

static void sign_by(enum who who, const struct side *side)
{
    if (who == ESAPI)
        esapi_sign(&side->esapi);
    else if (who == LIBRARY)
        library_sign(&side->library);
    else
        prehashed_sign(context[who], side->key);
}

static void open_sides(const struct kind *kind, struct side side[RATED])
{
    char path[512];

    esapi_open(setting("BENCH_TCTI"), (uint32_t)strtoul(kind->handle, NULL, 16), !strcmp(kind->name, "rsa"),
               &side[ESAPI].esapi);
    key_path(LIBRARY, kind, path, sizeof path);
    library_open(path, &side[LIBRARY].library);
    for (int i = 0; i < RATED; i++) {
        if (!is_here(i))
            continue;
        key_path(i, kind, path, sizeof path);
        if (i >= HSMUX)
            side[i].key = prehashed_key(context[i], path);
        sign_by(i, &side[i]); /* the core verifies the first */
    }
}

static double rate(enum who who, const struct side *side, int count)
{
    double start = seconds(CLOCK_MONOTONIC);

    for (int i = 0; i < count; i++)
        sign_by(who, side);
    return count / (seconds(CLOCK_MONOTONIC) - start);
}

static void compare_rates(const struct kind *kind)
{
    struct side side[RATED];

    open_sides(kind, side);
    for (int round = -1; round < rounds; round++) /* the first warms up; each side is the first in turn */
        for (int i = 0; i < RATED; i++) {
            enum who who = (enum who)((i + round + 1) % RATED);

            if (is_here(who))
                results[who][round < 0 ? 0 : round] = rate(who, &side[who], kind->signatures);
        }
    print_sides("signatures/s", kind->name, 0, RATED);
    claim("of bare ESAPI's signatures/s, without OpenSSL", kind->name,
          median_ratio(results[LIBRARY], results[ESAPI], rounds), true, 0.98);
    claim("of bare ESAPI's signatures/s, in OpenSSL", kind->name, median_ratio(results[HSMUX], results[ESAPI], rounds),
          true, 0.98);
    library_close(&side[LIBRARY].library);
    for (int i = HSMUX; i < RATED; i++)
        if (is_here(i))
            EVP_PKEY_free(side[i].key);
}

/* The command line of one side's program. */
static void write_command(enum who who, const struct kind *kind, const char *tcti, int count, char *ret, size_t size)
{
    static const char *const programs[SIDES] = { "first-esapi",   "first-library", "first-openssl",
                                                 "first-openssl", "first-openssl", "first-both" };
    const char *conf = who == HSMUX ? "BENCH_CONF" : who == PEER ? "BENCH_PEER" : NULL;
    char path[512];
    int len;

    key_path(who, kind, path, sizeof path);
    len = snprintf(ret, size, "OPENSSL_CONF='%s' TPM2OPENSSL_TCTI='%s' exec '%s/%s'",
                   conf ? setting(conf) : "/dev/null", tcti, setting("BENCH_DIR"), programs[who]);
    ret += len;
    size -= (size_t)len;
    if (who == ESAPI)
        snprintf(ret, size, " '%s' %s %s %d", tcti, kind->handle, kind->name, count);
    else if (who == BOTH)
        snprintf(ret, size, " '%s' %s %s '%s'", tcti, kind->handle, kind->name, path);
    else
        snprintf(ret, size, " '%s' %d", path, count);
}

/* What it prints: when its first signature was there. */
static double run_first(enum who who, const struct kind *kind, const char *tcti, int count)
{
    char command[2048];
    double when = 0;
    FILE *out;

    write_command(who, kind, tcti, count, command, sizeof command);
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
            double start = seconds(CLOCK_MONOTONIC);

            if (is_here(who))
                results[who][round < 0 ? 0 : round] = (run_first(who, kind, setting("BENCH_TCTI"), 1) - start) * 1000;
        }
    print_sides("ms from the start of a program to its first signature", kind->name, 2, SIDES);
    claim("ms above bare ESAPI to the first signature, without OpenSSL", kind->name,
          median_difference(results[LIBRARY], results[ESAPI], rounds), false, 1);
    claim("ms above bare ESAPI to the first signature, in OpenSSL", kind->name,
          median_difference(results[HSMUX], results[BOTH], rounds), false, 1);
}

static long count_commands(enum who who, const struct kind *kind, int signatures)
{
    const char *pcap = setting("TCTI_PCAP_FILE");
    char tcti[256];
    long count;

    snprintf(tcti, sizeof tcti, "pcap:%s", setting("BENCH_TCTI"));
    unlink(pcap);
    setenv("HSMUX_CONF", setting("BENCH_COUNTED_CONF"), 1);
    run_first(who, kind, tcti, signatures);
    setenv("HSMUX_CONF", setting("BENCH_PLAIN_CONF"), 1);
    count = tpm_pcap_count(pcap, 0);
    if (count <= 0)
        give_up("cannot be read to its end, or is empty:", pcap);
    return count;
}

static void compare_commands(const struct kind *kind)
{
    printf("\n%s: TPM commands to the first signature, and for each one more\n", kind->name);
    for (int i = 0; i < RATED; i++) {
        long first, each;

        if (!is_here(i))
            continue;
        first = count_commands(i, kind, 1);
        each = count_commands(i, kind, 1 + COUNTED) - first;
        printf("    %-32s %10ld %10.2f\n", names[i], first, (double)each / COUNTED);
        if (i == HSMUX) {
            claim("TPM commands to the first signature", kind->name, (double)first, false, 4);
            claim("TPM commands a signature", kind->name, (double)each / COUNTED, false, 1);
        }
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
    setenv("HSMUX_CONF", setting("BENCH_PLAIN_CONF"), 1);
    open_context(HSMUX, setting("BENCH_CONF"));
    open_context(PEER, setting("BENCH_PEER"));
    for (size_t i = 0; i < KINDS; i++) {
        compare_rates(&kinds[i]);
        compare_starts(&kinds[i]);
        compare_commands(&kinds[i]);
    }
    return claims_print() ? 1 : 0;
}
