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
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 1000
#define ROUND_SECONDS 0.05

static const char *self;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static EVP_PKEY *load(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (!key) {
        fprintf(stderr, "bench: cannot load '%s'\n", path);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    return key;
}

static void sign(EVP_PKEY *key)
{
    unsigned char sig[1024];
    size_t len = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, sig, &len, (const unsigned char *)"bench", 5) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    EVP_MD_CTX_free(ctx);
}

static SSL_CTX *server(EVP_PKEY *key, const char *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(ctx, 0);
    return ctx;
}

static void handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
    SSL *s = SSL_new(server_ctx), *c = SSL_new(client_ctx);
    BIO *a, *b;
    int s_done = 0, c_done = 0;

    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(s, a, a);
    SSL_set_bio(c, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    for (int i = 0; i < 20 && !(s_done && c_done); i++) {
        c_done = SSL_do_handshake(c) == 1;
        s_done = SSL_do_handshake(s) == 1;
    }
    if (!s_done || !c_done) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_free(s);
    SSL_free(c);
}

struct side {
    EVP_PKEY *key;
    int port, pid;
    SSL_CTX *server, *client;
    double result[ROUNDS_MAX];
};

/* How often in a second, over one short round. */
static double rate(const struct side *side)
{
    double start = now(), end = start;
    int count = 0;

    for (; end - start < ROUND_SECONDS; end = now(), count++)
        if (side->server)
            handshake(side->server, side->client);
        else
            sign(side->key);
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
    while (now() < callers->end) {
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
    double start = now(), used = processor_time(side->pid);
    struct callers callers = { .side = side, .end = start + 5 * ROUND_SECONDS };
    pthread_t threads[3];
    size_t i;

    for (i = 0; i < sizeof threads / sizeof *threads; i++)
        if (pthread_create(&threads[i], NULL, call, &callers))
            exit(1);
    for (i = 0; i < sizeof threads / sizeof *threads; i++)
        pthread_join(threads[i], NULL);
    *ret_cpu = callers.count / (processor_time(side->pid) - used);
    return callers.count / (now() - start);
}

/* ms on the clock, and in *ret_cpu ms of processor time, which a busy machine does not stretch. */
static double first_signature(const char *key, const char *conf, double *ret_cpu)
{
    double start = now();
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
    return (now() - start) * 1000;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *values, int count)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return sorted[count / 2];
}

static void report(const char *what, const struct side *plain, const struct side *token, int rounds)
{
    double ratio[ROUNDS_MAX], difference[ROUNDS_MAX];

    for (int i = 0; i < rounds; i++) {
        ratio[i] = token->result[i] / plain->result[i];
        difference[i] = token->result[i] - plain->result[i];
    }
    printf("%-24s plain %10.2f   token %10.2f   ratio %.3f   difference %+.2f   (medians of %d pairs)\n", what,
           median(plain->result, rounds), median(token->result, rounds), median(ratio, rounds),
           median(difference, rounds), rounds);
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
    plain.key = load(argv[2]);
    token.key = load(argv[3]);
    if (!strcmp(what, "handshake")) {
        plain.server = server(plain.key, argv[4]);
        token.server = server(token.key, argv[4]);
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
        sign(load(argv[2]));
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
