/* SPDX-License-Identifier: Apache-2.0 */
/* Making, replacing and removing keys, killed at each command to the TPM and at each step in a file: a label leads to
 * one whole key or, where none was replaced, to none; and what comes next clears up. */
#include "crash.h"
#include "tpm2-keys.h"

#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <unistd.h>

TSS2_RC __real_Esys_EvictControl(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, TPMI_DH_PERSISTENT,
                                 ESYS_TR *);
TSS2_RC __wrap_Esys_EvictControl(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, TPMI_DH_PERSISTENT,
                                 ESYS_TR *);

/* A step before it and one after; fsync() counts, and fails with such a number. */
TSS2_RC __wrap_Esys_EvictControl(ESYS_CONTEXT *esys, ESYS_TR auth, ESYS_TR object, ESYS_TR session1, ESYS_TR session2,
                                 ESYS_TR session3, TPMI_DH_PERSISTENT handle, ESYS_TR *ret)
{
    TSS2_RC rc;

    fsync(-1);
    rc = __real_Esys_EvictControl(esys, auth, object, session1, session2, session3, handle, ret);
    fsync(-1);
    return rc;
}

typedef int work(struct fixture *);

/* In a process of its own, which is killed at its n-th step.  false: it did not get so far, and was done. */
static bool killed(struct fixture *f, int n, work *fn)
{
    int status;
    pid_t pid;

    close_token(f);
    pid = fork();
    if (pid == 0) {
        if (f->plugin->open(&f->host.host, NULL, &f->token))
            _exit(1);
        crash_at(n);
        _exit(fn(f) ? 2 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status))
        assert_int_equal(WEXITSTATUS(status), CRASHED);
    tpm_fixture_flush(&f->tpm); /* which a resource manager does for a process that has gone */
    open_token(f);
    return WEXITSTATUS(status);
}

static int make(struct fixture *f, uint32_t flags, const char *place)
{
    struct hx_spec spec = spec_of(HX_P256, "device");

    spec.flags = flags;
    spec.place = place;
    return generate(f, &spec, NULL);
}

static int make_new(struct fixture *f)
{
    return make(f, 0, NULL);
}

static int make_another(struct fixture *f)
{
    return make(f, HX_REPLACE, NULL);
}

static int make_another_there(struct fixture *f)
{
    return make(f, HX_REPLACE, "0x81000300");
}

static int make_another_file(struct fixture *f)
{
    return make(f, HX_REPLACE, "device.tss");
}

static int remove_it(struct fixture *f)
{
    char ref[TPM_REF];

    return listed(f, HX_PRIVATE_KEY, "device", ref) == 1 ? remove_ref(f, HX_PRIVATE_KEY, ref) : -1;
}

/* One key, listed by its label and none besides, that signs; its public part. */
static struct hx_bytes assert_one(struct fixture *f)
{
    struct hx_bytes spki = { 0 };
    char ref[TPM_REF];

    assert_int_equal(listed(f, HX_PRIVATE_KEY, "device", ref), 1);
    assert_int_equal(listed(f, 0, NULL, NULL), 1);
    assert_int_equal(sign(f, ref, &spki), 0);
    return spki;
}

static bool same(const struct hx_bytes *a, const struct hx_bytes *b)
{
    return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static void a_new_key_is_there_with_its_label_or_the_next_attempt_makes_it(void **state)
{
    struct fixture *f = *state;
    int n = 1;

    for (bool more = true; more; n++) {
        struct hx_bytes spki;
        char ref[TPM_REF];

        more = killed(f, n, make_new);
        if (!listed(f, HX_PRIVATE_KEY, "device", ref)) {
            assert_true(more);
            assert_int_equal(listed(f, 0, NULL, NULL), 0); /* no key without a label */
            assert_int_equal(make_new(f), 0);
        }
        spki = assert_one(f);
        hx_bytes_free(&spki);
        assert_int_equal(remove_it(f), 0);
        assert_int_equal(persistent(f), 0);
    }
    assert_true(n > 10);
}

/* At each step it is the old key or the new one, and from some step on the new. */
static void replace(struct fixture *f, work *fn)
{
    int n = 1, changes = 0, kept = 0;
    bool at_handle = fn != make_another_file;

    assert_int_equal(fn(f), 0);
    for (bool more = true; more; n++) {
        struct hx_bytes before = assert_one(f), after;

        more = killed(f, n, fn);
        after = assert_one(f);
        if (same(&before, &after))
            kept++;
        else
            changes++;
        if (!more)
            assert_false(same(&before, &after));
        hx_bytes_free(&before);
        hx_bytes_free(&after);
        if (n % 3)
            continue; /* the next one finds what two or three of them have left */
        assert_int_equal(fn(f), 0);
        assert_int_equal(persistent(f), at_handle);
        assert_false(labels_say(f, "gone"));
    }
    assert_true(kept > 3);
    assert_true(changes > 1);
    assert_int_equal(remove_it(f), 0);
    assert_int_equal(persistent(f), 0);
    assert_int_equal(listed(f, 0, NULL, NULL), 0);
}

static void a_replaced_key_is_the_old_or_the_new(void **state)
{
    replace(*state, make_another);
}

static void a_key_that_is_replaced_at_its_handle_is_the_old_or_the_new(void **state)
{
    struct fixture *f = *state;

    replace(f, make_another_there);
    assert_int_equal(make_another_there(f), 0);
    assert_true(persists(f, 0x81000300));
}

static void a_key_file_is_the_old_or_the_new(void **state)
{
    replace(*state, make_another_file);
}

static void a_key_that_is_removed_is_there_or_gone_with_its_label(void **state)
{
    struct fixture *f = *state;

    for (int n = 1, more = true; more; n++) {
        char ref[TPM_REF];

        assert_int_equal(make_new(f), 0);
        more = killed(f, n, remove_it);
        if (listed(f, HX_PRIVATE_KEY, "device", ref)) {
            assert_true(more);
            assert_int_equal(sign(f, ref, NULL), 0);
            assert_int_equal(remove_it(f), 0);
        }
        assert_int_equal(persistent(f), 0);
    }
}

/* Whose disk fails where a power cut was, says so, and leaves as little. */
static void a_bad_disk_is_an_error_and_leaves_no_key_without_a_label(void **state)
{
    struct fixture *f = *state;
    int result;

    for (int n = 1;; n++) {
        int calls;

        crash_fail_at(n);
        result = make_new(f);
        calls = crash_calls();
        crash_at(0);
        if (calls < n)
            break;
        if (!listed(f, HX_PRIVATE_KEY, "device", NULL))
            assert_int_equal(listed(f, 0, NULL, NULL), 0);
        else
            assert_int_equal(remove_it(f), 0);
        assert_int_equal(persistent(f), 0);
        assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    }
    assert_int_equal(result, 0);
}

/* As the core does: what is busy is tried again for a while. */
static int make_some(struct fixture *f, int maker, int keys)
{
    if (f->plugin->open(&f->host.host, NULL, &f->token))
        return 1;
    for (int i = 0; i < keys; i++) {
        char label[16];
        struct hx_spec spec = spec_of(HX_P256, label);
        int result = HX_E_BUSY;

        snprintf(label, sizeof label, "key-%d-%d", maker, i);
        for (int tries = 0; result == HX_E_BUSY && tries < 400; tries++) {
            result = generate(f, &spec, NULL);
            if (result == HX_E_BUSY)
                usleep(5000);
        }
        if (result)
            return 2;
    }
    f->plugin->close(f->token);
    return 0;
}

/* Each waits for the others, so that none takes the handle, or the label, that another has found free. */
static void many_makers_get_in_nobodys_way(void **state)
{
    enum { MAKERS = 4, KEYS = 3 };
    struct fixture *f = *state;
    char label[16];
    pid_t pid[MAKERS];
    int status;

    close_token(f);
    for (int i = 0; i < MAKERS; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            _exit(make_some(f, i, KEYS));
    }
    for (int i = 0; i < MAKERS; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    open_token(f);
    assert_int_equal(persistent(f), MAKERS * KEYS);
    for (int i = 0; i < MAKERS * KEYS; i++) {
        snprintf(label, sizeof label, "key-%d-%d", i / KEYS, i % KEYS);
        assert_int_equal(listed(f, HX_PRIVATE_KEY, label, NULL), 1);
    }
}

/* Who still has its ref must not sign with it: what took its place has its label. */
static void what_a_replacement_has_left_is_not_loaded(void **state)
{
    static const struct tpm_fixture_key key = { .handle = 0x81000005,
                                                .type = TPM2_ALG_ECC,
                                                .size = TPM2_ECC_NIST_P256 };
    struct fixture *f = *state;
    struct plugin_objects info;
    void *object;

    tpm_fixture_make(&f->tpm, &key, 1);
    tpm_fixture_run(&f->tpm, "mkdir -p place; tpm2_readpublic -Q -c 0x81000005 -n name; "
                             "echo \"81000005 $(od -An -v -tx1 name | tr -d ' \\n') gone mine\" >place/labels");
    open_token(f);
    plugin_objects_init(&info, NULL);
    assert_int_equal(f->plugin->load(f->token, HX_PRIVATE_KEY, "h:81000005", 10, &info.list, &object), HX_E_NOT_FOUND);
    assert_said(f, "was replaced");
    assert_int_equal(listed(f, HX_PRIVATE_KEY, NULL, NULL), 0);
    plugin_objects_free(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_key_is_there_with_its_label_or_the_next_attempt_makes_it),
        T(a_replaced_key_is_the_old_or_the_new),
        T(a_key_that_is_replaced_at_its_handle_is_the_old_or_the_new),
        T(a_key_file_is_the_old_or_the_new),
        T(a_key_that_is_removed_is_there_or_gone_with_its_label),
        T(many_makers_get_in_nobodys_way),
        T(what_a_replacement_has_left_is_not_loaded),
        T(a_bad_disk_is_an_error_and_leaves_no_key_without_a_label),
    };

    setenv("TSS2_LOG", "all+none", 1); /* that all slots are taken is no wonder here */
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
