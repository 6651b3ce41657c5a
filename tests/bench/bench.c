/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a key in a token against the same key as a plain PEM file, in one interleaved run: medians and ratios.
 *
 *   bench sign PLAIN REFERENCE ROUNDS           signatures/s
 *   bench handshake PLAIN REFERENCE CERT ROUNDS TLS 1.3 handshakes/s, server side key
 *   bench connect PORT:PID PORT:PID ROUNDS      TLS 1.3 handshakes/s of two servers on 127.0.0.1, and per second of
 *                                               processor time of their processes; the token's is the second
 *   bench start PLAIN REFERENCE ROUNDS          ms from exec to the first signature; $BENCH_CONF is the OPENSSL_CONF
 *                                               of the second, the first runs with none of ours
 *   bench once KEY                              (what start runs) load, sign once, leave
 */
#include "handshake.h"
#include "measure.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUND_SECONDS 0.05

static const char *self;

struct side {
    EVP_PKEY *key;
    int port, pid;
    SSL_CTX *server, *client;
    double result[ROUNDS_MAX];
};

/* How often in a second, over one short round. */
static double rate(const struct side *side)
{
    double start = seconds(CLOCK_MONOTONIC), end = start;
    int count = 0;

    for (; end - start < ROUND_SECONDS; end = seconds(CLOCK_MONOTONIC), count++)
        if (side->server)
            tls_handshake(side->server, side->client);
        else
            sign(NULL, side->key);
    return count / (end - start);
}

static int connected(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address)) {
        perror("bench: connect");
        exit(1);
    }
    return fd;
}

struct callers {
    const struct side *side;
    double end;
    atomic_int count;
};

/* One caller: handshakes until the time is over. */
static void *call(void *arg)
{
    struct callers *callers = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    while (seconds(CLOCK_MONOTONIC) < callers->end) {
        SSL *ssl = SSL_new(ctx);
        int fd = connected(callers->side->port);

        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) != 1) {
            ERR_print_errors_fp(stderr);
            exit(1);
        }
        callers->count++;
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
    SSL_CTX_free(ctx);
    return NULL;
}

/* Seconds that the process has run so far. */
static double processor_time(int pid)
{
    unsigned long long ns = 0;
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%llu", &ns) != 1) {
        fprintf(stderr, "bench: no '%s'\n", path);
        exit(1);
    }
    fclose(file);
    return (double)ns / 1e9;
}

/* Handshakes/s of a server with more callers than it has processes; in *ret_cpu per second of its processor time. */
static double server_rate(const struct side *side, double *ret_cpu)
{
    double start = seconds(CLOCK_MONOTONIC), used = processor_time(side->pid);
    struct callers callers = { .side = side, .end = start + 5 * ROUND_SECONDS };
    pthread_t threads[3];
    size_t i;

    for (i = 0; i < sizeof threads / sizeof *threads; i++)
        if (pthread_create(&threads[i], NULL, call, &callers))
            exit(1);
    for (i = 0; i < sizeof threads / sizeof *threads; i++)
        pthread_join(threads[i], NULL);
    *ret_cpu = callers.count / (processor_time(side->pid) - used);
    return callers.count / (seconds(CLOCK_MONOTONIC) - start);
}

/* ms on the clock, and in *ret_cpu ms of processor time, which a busy machine does not stretch. */
static double first_signature(const char *key, const char *conf, double *ret_cpu)
{
    double start = seconds(CLOCK_MONOTONIC);
    pid_t pid = fork();
    struct rusage used;
    int status;

    if (pid == 0) {
        if (conf)
            setenv("OPENSSL_CONF", conf, 1);
        else
            unsetenv("OPENSSL_CONF");
        execl(self, self, "once", key, (char *)NULL);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &used) != pid || status) {
        fprintf(stderr, "bench: the child failed\n");
        exit(1);
    }
    *ret_cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    return (seconds(CLOCK_MONOTONIC) - start) * 1000;
}

static void report(const char *what, const struct side *plain, const struct side *token, int rounds)
{
    printf("%-24s plain %10.2f   token %10.2f   ratio %.3f   difference %+.2f   (medians of %d pairs)\n", what,
           median(plain->result, rounds), median(token->result, rounds),
           median_ratio(token->result, plain->result, rounds), median_difference(token->result, plain->result, rounds),
           rounds);
}

static struct side plain, token, plain_cpu, token_cpu;

static void measure(const char *what, char **argv, int at)
{
    if (!strcmp(what, "start")) {
        plain.result[at] = first_signature(argv[2], NULL, &plain_cpu.result[at]);
        token.result[at] = first_signature(argv[3], getenv("BENCH_CONF"), &token_cpu.result[at]);
    } else if (!strcmp(what, "connect")) {
        plain.result[at] = server_rate(&plain, &plain_cpu.result[at]);
        token.result[at] = server_rate(&token, &token_cpu.result[at]);
    } else {
        plain.result[at] = rate(&plain);
        token.result[at] = rate(&token);
    }
}

static int prepare(const char *what, char **argv)
{
    if (!strcmp(what, "start"))
        return 1;
    if (!strcmp(what, "connect"))
        return sscanf(argv[2], "%d:%d", &plain.port, &plain.pid) == 2 &&
               sscanf(argv[3], "%d:%d", &token.port, &token.pid) == 2;
    plain.key = load_pem(NULL, argv[2]);
    token.key = load_pem(NULL, argv[3]);
    if (!strcmp(what, "handshake")) {
        plain.server = tls_server(NULL, plain.key, argv[4]);
        token.server = tls_server(NULL, token.key, argv[4]);
        plain.client = token.client = SSL_CTX_new(TLS_client_method());
    }
    return 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int rounds = argc > 4 ? atoi(argv[argc - 1]) : 0;

    self = argv[0];
    if (argc == 3 && !strcmp(what, "once")) {
        sign(NULL, load_pem(NULL, argv[2]));
        return 0;
    }
    if (rounds < 1 || rounds > ROUNDS_MAX || !prepare(what, argv))
        return fprintf(stderr, "usage: bench sign|start|connect PLAIN TOKEN ROUNDS\n"), 2;
    for (int i = -1; i < rounds; i++) /* the first pair warms up */
        measure(what, argv, i < 0 ? 0 : i);
    report(what, &plain, &token, rounds);
    if (*plain_cpu.result)
        report("  in processor time", &plain_cpu, &token_cpu, rounds);
    return 0;
}
