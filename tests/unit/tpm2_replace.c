/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate takes the place of another: at each moment the label leads to one of them, whatever else is in the file
 * stays as it is, and programs that do it at once get one another's results. */
#include "crash.h"
#include "tpm2-certs.h"

#include <sys/wait.h>
#include <tss2/tss2_esys.h>

static const struct hx_spec device = { .kind = HX_CERTIFICATE, .label = "device" };
static const struct hx_spec again = { .kind = HX_CERTIFICATE, .label = "device", .flags = HX_REPLACE };

/* A step before each and one after; fsync() counts, and fails with such a number. */
TSS2_RC __real_Esys_NV_DefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_AUTH *,
                                   const TPM2B_NV_PUBLIC *, ESYS_TR *);
TSS2_RC __wrap_Esys_NV_DefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_AUTH *,
                                   const TPM2B_NV_PUBLIC *, ESYS_TR *);
TSS2_RC __wrap_Esys_NV_DefineSpace(ESYS_CONTEXT *esys, ESYS_TR by, ESYS_TR session, ESYS_TR a, ESYS_TR b,
                                   const TPM2B_AUTH *auth, const TPM2B_NV_PUBLIC *public, ESYS_TR *ret)
{
    TSS2_RC rc;

    fsync(-1);
    rc = __real_Esys_NV_DefineSpace(esys, by, session, a, b, auth, public, ret);
    fsync(-1);
    return rc;
}

TSS2_RC __real_Esys_NV_Write(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_NV_BUFFER *,
                             UINT16);
TSS2_RC __wrap_Esys_NV_Write(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_NV_BUFFER *,
                             UINT16);
TSS2_RC __wrap_Esys_NV_Write(ESYS_CONTEXT *esys, ESYS_TR by, ESYS_TR index, ESYS_TR session, ESYS_TR a, ESYS_TR b,
                             const TPM2B_MAX_NV_BUFFER *data, UINT16 offset)
{
    TSS2_RC rc = __real_Esys_NV_Write(esys, by, index, session, a, b, data, offset);

    fsync(-1);
    return rc;
}

TSS2_RC __real_Esys_NV_UndefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR);
TSS2_RC __wrap_Esys_NV_UndefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR);
TSS2_RC __wrap_Esys_NV_UndefineSpace(ESYS_CONTEXT *esys, ESYS_TR by, ESYS_TR index, ESYS_TR session, ESYS_TR a,
                                     ESYS_TR b)
{
    TSS2_RC rc;

    fsync(-1);
    rc = __real_Esys_NV_UndefineSpace(esys, by, index, session, a, b);
    fsync(-1);
    return rc;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void a_key_in_the_same_file_stays_closed(void **state)
{
    struct fixture *f = *state;
    struct blob old = make_certificate(f, "old", 1), new = make_certificate(f, "new", 2);
    char ref[64];

    tpm_fixture_run(&f->tpm, "mkdir place && openssl genpkey -algorithm ed25519 >place/device.pem && "
                             "cat old.pem >>place/device.pem && chmod 600 place/device.pem");
    is_called(f, "device", &old);
    assert_int_equal(import(f, &again, &new, ref), 0);
    is_called(f, "device", &new);
    assert_int_equal(mode_of(path_of(f, "device.pem")), 0600);
    assert_int_equal(take_away(f, HX_CERTIFICATE, "c:device.pem"), 0);
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 0);
    assert_int_equal(mode_of(path_of(f, "device.pem")), 0600);
    tpm_fixture_run(&f->tpm, "grep -q PRIVATE place/device.pem");
}

static void what_stood_after_it_in_a_file_keeps_its_label(void **state)
{
    struct fixture *f = *state;
    struct hx_spec issuer = { .kind = HX_CERTIFICATE, .label = "device#1", .flags = HX_REPLACE };
    struct blob old = make_certificate(f, "old", 1), ca = make_certificate(f, "ca", 1),
                new = make_certificate(f, "new", 2);
    char ref[64];

    tpm_fixture_run(&f->tpm, "mkdir place && cat old.pem ca.pem >place/device.pem");
    assert_int_equal(import(f, &again, &new, ref), 0);
    assert_string_equal(ref, "c:device.pem");
    is_called(f, "device", &new);
    is_called(f, "device#1", &ca);
    assert_int_equal(import(f, &issuer, &old, ref), 0);
    assert_string_equal(ref, "c:device.pem#1");
    is_called(f, "device", &new);
    is_called(f, "device#1", &old);
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 2);
}

/* Until its n-th step; true: it was stopped there. */
static bool replaced_until(struct fixture *f, int n, const struct blob *der)
{
    int status;
    pid_t pid;

    close_token(f);
    pid = fork();
    if (pid == 0) {
        char ref[64];

        reopen(f);
        crash_at(n);
        _exit(import(f, &again, der, ref) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == CRASHED));
    reopen(f);
    return WEXITSTATUS(status);
}

static void a_power_cut_leaves_the_old_one_or_the_new(void **state)
{
    struct fixture *f = *state;
    struct blob der[2] = { make_certificate(f, "one", 1), make_certificate(f, "two", 2) };
    char ref[64];

    assert_int_equal(import(f, &device, &der[0], ref), 0);
    for (int n = 1, more = true; more; n++) {
        more = replaced_until(f, n, &der[n % 2]);
        assert_int_equal(listed(f, HX_CERTIFICATE, "device"), 1);
        assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 1);
        if (!more)
            is_called(f, "device", &der[n % 2]);
        if (n % 3)
            continue; /* the next one finds what two or three of them have left */
        assert_int_equal(import(f, &again, &der[n % 2], ref), 0);
        is_called(f, "device", &der[n % 2]);
        tpm_fixture_run(&f->tpm, "test $(tpm2_getcap handles-nv-index | grep -c 0x) = 1 && ! grep gone place/labels");
    }
}

/* As the core does: what is busy is tried again. */
static int bring(struct fixture *f, const struct hx_spec *spec, const struct blob *der)
{
    int result = HX_E_BUSY;
    char ref[64];

    reopen(f);
    for (int tries = 0; result == HX_E_BUSY && tries < 400; tries++) {
        result = import(f, spec, der, ref);
        if (result == HX_E_BUSY)
            usleep(5000);
    }
    return result ? result == HX_E_EXISTS ? 1 : 2 : 0;
}

/* How many of four at once say that they have brought it. */
static int brought(struct fixture *f, const struct hx_spec *spec, const struct blob *der)
{
    pid_t pid[4];
    int status, count = 0;

    close_token(f);
    for (int i = 0; i < 4; i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            _exit(bring(f, spec, der));
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        count += !WEXITSTATUS(status);
    }
    reopen(f);
    return count;
}

static void several_at_once_leave_one(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 1);

    for (int i = 0; i < 4; i++) {
        assert_int_equal(brought(f, &device, &der), 1);
        is_called(f, "device", &der);
        assert_int_equal(brought(f, &again, &der), 4);
        is_called(f, "device", &der);
        tpm_fixture_run(&f->tpm, "for i in $(tpm2_getcap handles-nv-index | sed 's/- //'); do "
                                 "tpm2_nvundefine -C o $i; done");
        reopen(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_in_the_same_file_stays_closed),
        T(what_stood_after_it_in_a_file_keeps_its_label),
        T(a_power_cut_leaves_the_old_one_or_the_new),
        T(several_at_once_leave_one),
    };

    setenv("TSS2_LOG", "all+none", 1); /* what was there a moment ago may be gone */
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
