/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a process whose threads are still signing: a vendor's library is taken down only when nobody is in it. */
#include "box.h"

#include <pthread.h>
#include <unistd.h>

static hx_key *key;

static void *sign_for_ever(void *arg)
{
    const struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    const unsigned char digest[32] = "a digest";

    (void)arg;
    for (;;) {
        AUTO_BYTES struct hx_bytes sig = { 0 };

        if (hx_sign(key, &alg, digest, sizeof digest, &sig))
            return NULL;
    }
}

/* Called by exit() where the vendor's library would be taken down: it was registered before the token was opened. */
static void library_ends(void)
{
    const struct hx_alg alg = { .scheme = HX_ECDSA };
    unsigned before = fake->calls[FAKE_SIGN];
    struct hx_bytes sig = { 0 };

    usleep(50000);
    if (hx_sign(key, &alg, "x", 1, &sig) != HX_E_LOST)
        _exit(2);
    _exit(fake->calls[FAKE_SIGN] != before);
}

static int program(const char *address)
{
    hx *ctx = NULL;
    int result;

    atexit(library_ends);
    if ((result = hx_new(in_box("hsmux.conf"), &ctx)) || (result = hx_key_open(ctx, address, &key)))
        return result;
    for (int i = 0; i < 4; i++) {
        pthread_t thread;

        pthread_create(&thread, NULL, sign_for_ever, NULL);
        pthread_detach(thread);
    }
    while (fake->calls[FAKE_SIGN] < 20)
        usleep(100);
    return HX_OK;
}

static void no_thread_is_in_a_plugin_when_its_library_ends(void **state)
{
    struct fake_object object = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .key = 1, .label = "device" };

    (void)state;
    assert_true(fake->add(0, &object) >= 0);
    put("hsmux.conf", 0600, "[token t]\nplugin = fake\npin = right\n");
    for (int i = 0; i < 5; i++)
        assert_int_equal(in_process(program, "hsm:t/key/device"), HX_OK);
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, reset_fake, keeps_the_contract)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(no_thread_is_in_a_plugin_when_its_library_ends),
    };

    return cmocka_run_group_tests(tests, make_box, remove_box);
}
