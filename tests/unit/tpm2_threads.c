/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of one process at a TPM's keys, through the core: at a handle, in a key file, with a PIN, with parameters
 * encrypted; while the TPM is restarted under them; and the children of such a process. */
#include "tpm-objects.h"

#include <errno.h>
#include <hsmux/hsmux.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 8
#define EACH 50
#define HELD "hsm:t/key?id=81010003"
#define SHUT "hsm:t/key?id=81010004"
#define FILED "hsm:t/key/filed"
#define AUTH "rosewood"

static const struct tpm_fixture_key keys[] = {
    { 0x81010003, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_NODA, 0, NULL },
    { 0x81010004, TPM2_ALG_ECC, TPM2_ECC_NIST_P256, TPMA_OBJECT_SIGN_ENCRYPT, 0, AUTH },
};

static struct tpm_fixture tpm;
static hx *ctx;
static atomic_uint good;
static atomic_int worst;

static void must(int result)
{
    if (result)
        fail_msg("%d: %s", result, hx_last_error());
}

static const char *path_of(const char *name)
{
    static char path[96];

    snprintf(path, sizeof path, "%s/%s", tpm.directory, name);
    return path;
}

/* more: further lines of the token's section. */
static void configure(const char *more)
{
    char self[512] = "";
    FILE *conf;

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    strcpy(strrchr(self, '/'), "/../../plugins/tpm2/tpm2.so");
    umask(077);
    conf = fopen(path_of("conf"), "w");
    assert_non_null(conf);
    fprintf(conf, "[token t]\nplugin = %s\ntcti = %s\ndirectory = %s/labels\nkey-files = %s/keys\n%s", self, tpm.tcti,
            tpm.directory, tpm.directory, more);
    fclose(conf);
    hx_free(ctx);
    ctx = NULL;
    must(hx_new(path_of("conf"), &ctx));
}

static int start(void **state)
{
    static const struct hx_spec filed = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .place = "filed.tss" };

    (void)state;
    if (!tpm_fixture_can_run())
        return 0;
    tpm_fixture_start(&tpm);
    mkdir(path_of("labels"), 0700);
    mkdir(path_of("keys"), 0700);
    setenv("STATE_DIRECTORY", tpm.directory, 1);
    setenv("TSS2_LOG", "all+none", 1);
    tpm_fixture_make(&tpm, keys, sizeof keys / sizeof *keys);
    configure("");
    must(hx_generate(ctx, "t", &filed, NULL));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hx_free(ctx);
    if (tpm.pid)
        tpm_fixture_stop(&tpm);
    return 0;
}

static hx_key *open_key(const char *address)
{
    hx_key *key = NULL;

    must(hx_key_open(ctx, address, &key));
    return key;
}

static int sign(hx_key *key)
{
    static const struct hx_alg ecdsa = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    unsigned char digest[32] = { 7 };
    struct hx_bytes signature = { 0 };
    int result = hx_sign(key, &ecdsa, digest, sizeof digest, &signature);

    hx_bytes_free(&signature);
    return result;
}

static void *sign_each(void *key)
{
    for (int i = 0; i < EACH; i++) {
        int result = sign(key);

        if (result)
            worst = result;
        else
            good++;
    }
    return NULL;
}

static void start_threads(hx_key *key, pthread_t *thread)
{
    good = 0;
    worst = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, sign_each, key), 0);
}

static void join_threads(const pthread_t *thread)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

static void crowd(const char *address)
{
    hx_key *key = open_key(address);
    pthread_t thread[THREADS];

    start_threads(key, thread);
    join_threads(thread);
    assert_int_equal(worst, 0);
    assert_int_equal(good, THREADS * EACH);
    hx_key_close(key);
}

#define NEEDS_TPM()                                                                                                    \
    if (!tpm.pid)                                                                                                      \
    skip()

static void eight_threads_sign_fifty_times(void **state)
{
    (void)state;
    NEEDS_TPM();
    configure("");
    crowd(HELD);
    crowd(FILED);
    assert_int_equal(tpm_fixture_left(&tpm), 0);
}

static void eight_threads_sign_with_parameters_encrypted(void **state)
{
    (void)state;
    NEEDS_TPM();
    configure("parameter-encryption = yes\n");
    crowd(HELD);
    crowd(FILED);
    assert_int_equal(tpm_fixture_left(&tpm), 0);
}

static void eight_threads_try_a_pin_once(void **state)
{
    hx_key *key;
    pthread_t thread[THREADS];

    (void)state;
    NEEDS_TPM();
    configure("pin = wrong\n");
    key = open_key(SHUT);
    start_threads(key, thread);
    join_threads(thread);
    assert_int_equal(good, 0);
    assert_int_equal(worst, HX_E_PIN);
    hx_key_close(key);
    assert_int_equal(tpm_fixture_property(&tpm, TPM2_PT_LOCKOUT_COUNTER), 1);
    configure("pin = " AUTH "\n");
    crowd(SHUT);
    assert_int_equal(tpm_fixture_property(&tpm, TPM2_PT_LOCKOUT_COUNTER), 1);
}

static pthread_barrier_t gate;

static void *sign_first(void *key)
{
    int result;

    pthread_barrier_wait(&gate);
    if ((result = sign(key)))
        worst = result;
    return NULL;
}

/* Who is told that a PIN is wanted takes none away from who was given it. */
static void eight_threads_are_the_first_at_once(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    NEEDS_TPM();
    worst = 0;
    pthread_barrier_init(&gate, NULL, THREADS);
    for (int i = 0; i < 40; i++) {
        hx_key *key;

        configure("pin = " AUTH "\n");
        key = open_key(SHUT);
        for (int j = 0; j < THREADS; j++)
            assert_int_equal(pthread_create(&thread[j], NULL, sign_first, key), 0);
        join_threads(thread);
        hx_key_close(key);
    }
    pthread_barrier_destroy(&gate);
    assert_int_equal(worst, 0);
}

/* While it is away signatures fail, and each thread may be in the midst of one; afterwards all work. */
static void a_restart_under_eight_threads_is_survived(void **state)
{
    static const char *const addresses[] = { HELD, FILED };
    pthread_t thread[THREADS];

    (void)state;
    NEEDS_TPM();
    configure("");
    for (int i = 0; i < 2; i++) {
        hx_key *key = open_key(addresses[i]);

        start_threads(key, thread);
        while (good < THREADS)
            usleep(100);
        tpm_fixture_kill(&tpm);
        tpm_fixture_restart(&tpm, i);
        join_threads(thread);
        must(sign(key));
        start_threads(key, thread);
        join_threads(thread);
        assert_int_equal(good, THREADS * EACH);
        hx_key_close(key);
    }
    assert_int_equal(tpm_fixture_left(&tpm), 0);
}

static void children_sign_beside_their_parents_threads(void **state)
{
    hx_key *key;
    pthread_t thread[THREADS];
    int status, bad = 0;

    (void)state;
    NEEDS_TPM();
    configure("");
    key = open_key(FILED);
    start_threads(key, thread);
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            int result = 0;

            for (int j = 0; j < EACH && !result; j++)
                result = sign(key);
            hx_key_close(key);
            _exit(-result);
        }
    for (int i = 0; i < 4; i++)
        bad += wait(&status) < 0 || status != 0;
    join_threads(thread);
    assert_int_equal(bad, 0);
    assert_int_equal(good, THREADS * EACH);
    hx_key_close(key);
    assert_int_equal(tpm_fixture_left(&tpm), 0);
}

/* A program of its own, which ends while its threads sign: what it is the first to use, it is the first to lose. */
static int sign_and_exit(const char *conf, int after_ms)
{
    pthread_t thread[THREADS];
    hx_key *key;

    if (hx_new(conf, &ctx) || hx_key_open(ctx, HELD, &key))
        return 1;
    start_threads(key, thread);
    usleep((unsigned)after_ms * 1000);
    exit(0);
}

static void a_process_ends_in_the_middle_of_encrypted_commands(void **state)
{
    char self[] = "/proc/self/exe", ms[8];
    int status;

    (void)state;
    NEEDS_TPM();
    configure("parameter-encryption = yes\n");
    for (int i = 0; i < 10; i++) {
        snprintf(ms, sizeof ms, "%d", 5 + 11 * i);
        if (!fork()) {
            execl(self, self, path_of("conf"), ms, NULL);
            _exit(1);
        }
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(tpm_fixture_left(&tpm), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_sign_fifty_times),
        cmocka_unit_test(eight_threads_sign_with_parameters_encrypted),
        cmocka_unit_test(eight_threads_try_a_pin_once),
        cmocka_unit_test(eight_threads_are_the_first_at_once),
        cmocka_unit_test(a_restart_under_eight_threads_is_survived),
        cmocka_unit_test(a_process_ends_in_the_middle_of_encrypted_commands),
        cmocka_unit_test(children_sign_beside_their_parents_threads),
    };

    if (argc == 3)
        return sign_and_exit(argv[1], atoi(argv[2]));
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, start, stop) : 77;
}
