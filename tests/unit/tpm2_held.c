/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at persistent handles that several hold at once: one of them lets go of it, another program puts another key
 * there, or takes it away. */
#include "tpm-objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <hsmux/hsmux.h>

#define ADDRESS "hsm:tpm/key?id=81008001"
#define LATER_US 120000 /* longer than the core believes that a key is the same */
#define RECENT_US 1100000 /* longer than the plugin thinks of what it has read */

static struct tpm_fixture tpm;
static hx *context;
static const struct tpm_fixture_key p256 = { .handle = 0x81008001, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 };
static const struct tpm_fixture_key p384 = { .handle = 0x81008001, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P384 };

static int set_up(void **state)
{
    char path[64];
    FILE *conf;

    (void)state;
    tpm_fixture_start(&tpm);
    tpm_fixture_make(&tpm, &p256, 1);
    snprintf(path, sizeof path, "%s/hsmux.conf", tpm.directory);
    conf = fopen(path, "w");
    assert_non_null(conf);
    fprintf(conf, "[token tpm]\nplugin = tpm2\ntcti = %s\ndirectory = %s\n", tpm.tcti, tpm.directory);
    fclose(conf);
    setenv("HSMUX_PLUGINS", TEST_LIB "/../../plugins/tpm2", 1);
    setenv("STATE_DIRECTORY", tpm.directory, 1);
    assert_int_equal(hx_new(path, &context), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hx_free(context);
    tpm_fixture_stop(&tpm);
    return 0;
}

static hx_key *open_key(void)
{
    hx_key *key;

    if (hx_key_open(context, ADDRESS, &key))
        fail_msg("%s", hx_last_error());
    return key;
}

static int sign(hx_key *key)
{
    static const struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    struct hx_bytes signature = { 0 };
    int result = hx_sign(key, &alg, "just thirty-two bytes, no digest", 32, &signature);

    hx_bytes_free(&signature);
    return result;
}

static void assert_signs(hx_key *key)
{
    if (sign(key))
        fail_msg("%s", hx_last_error());
}

static int count(void *arg, const char *address, const struct hx_object *object)
{
    (void)address;
    (void)object;
    ++*(int *)arg;
    return 0;
}

static int keys_listed(void)
{
    int keys = 0;

    assert_int_equal(hx_each(context, "hsm:tpm/key", count, &keys), 0);
    return keys;
}

static void a_key_signs_when_another_holder_has_let_go(void **state)
{
    hx_key *first = open_key(), *second;

    (void)state;
    assert_signs(first);
    usleep(RECENT_US);
    second = open_key();
    assert_signs(second);
    hx_key_close(second);
    usleep(RECENT_US);
    assert_int_equal(keys_listed(), 1);
    assert_signs(first);
    hx_key_close(first);
}

static void another_key_in_its_place_is_found_and_not_taken_for_it(void **state)
{
    hx_key *first = open_key(), *second;
    struct hx_object info;

    (void)state;
    assert_signs(first);
    tpm_fixture_make(&tpm, &p384, 1);
    usleep(RECENT_US);
    second = open_key();
    assert_int_equal(hx_key_info(second, &info), 0);
    assert_int_equal(info.type, HX_P384);
    assert_signs(second);
    assert_int_not_equal(sign(first), 0);
    assert_signs(second);
    hx_key_close(second);
    hx_key_close(first);
    assert_signs(first = open_key());
    hx_key_close(first);
}

/* The TPM signs with it as well as with ours, and nothing in its answer says so. */
static void another_key_of_its_kind_in_its_place_signs_nothing(void **state)
{
    hx_key *key = open_key();

    (void)state;
    assert_signs(key);
    tpm_fixture_run(&tpm, "tpm2_evictcontrol -Q -c 0x81008001 && tpm2_createprimary -Q -C o -G ecc -c primary && "
                          "tpm2_create -Q -C primary -G ecc256 -u public -r private && tpm2_flushcontext -t && "
                          "tpm2_load -Q -C primary -u public -r private -c key && "
                          "tpm2_evictcontrol -Q -c key 0x81008001 && tpm2_flushcontext -t");
    usleep(LATER_US);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(sign(key), 0);
        assert_non_null(strstr(hx_last_error(), "another key may have taken the place of ours"));
    }
    tpm_fixture_make(&tpm, &p256, 1);
    assert_signs(key);
    hx_key_close(key);
}

static void a_key_that_was_taken_away_is_missed(void **state)
{
    hx_key *key = open_key();

    (void)state;
    assert_signs(key);
    tpm_fixture_evict(&tpm, p256.handle);
    assert_int_not_equal(sign(key), 0);
    assert_non_null(strstr(hx_last_error(), "nothing at this handle"));
    usleep(RECENT_US);
    assert_int_equal(keys_listed(), 0);
    tpm_fixture_make(&tpm, &p384, 1);
    assert_int_not_equal(sign(key), 0);
    hx_key_close(key);
    assert_signs(key = open_key());
    hx_key_close(key);
}

static void a_key_is_removed_under_who_holds_it(void **state)
{
    hx_key *key = open_key();

    (void)state;
    assert_signs(key);
    assert_int_equal(hx_remove(context, ADDRESS), 0);
    assert_int_not_equal(sign(key), 0);
    assert_int_equal(keys_listed(), 0);
    tpm_fixture_make(&tpm, &p256, 1);
    hx_key_close(key);
    assert_signs(key = open_key());
    hx_key_close(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_signs_when_another_holder_has_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_key_in_its_place_is_found_and_not_taken_for_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_key_of_its_kind_in_its_place_signs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_was_taken_away_is_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_removed_under_who_holds_it, set_up, tear_down),
    };

    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
