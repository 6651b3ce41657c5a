/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates in a TPM's NV indexes, and in the token's directory: found, read, imported, replaced, removed; and what
 * a power cut leaves. */
#include "tpm2-certs.h"

#include <sys/wait.h>
#include <tss2/tss2_esys.h>

enum { NV_READ = TPM2_CC_NV_Read, NV_READ_PUBLIC = TPM2_CC_NV_ReadPublic };

static const struct hx_spec device = { .kind = HX_CERTIFICATE, .label = "device" };

/* The process ends before that many commands that change indexes; 0: never. */
static int commands_left;

static void count_down(void)
{
    if (commands_left && !--commands_left)
        _exit(9);
}

TSS2_RC __real_Esys_NV_DefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_AUTH *,
                                   const TPM2B_NV_PUBLIC *, ESYS_TR *);
TSS2_RC __wrap_Esys_NV_DefineSpace(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_AUTH *,
                                   const TPM2B_NV_PUBLIC *, ESYS_TR *);
TSS2_RC __wrap_Esys_NV_DefineSpace(ESYS_CONTEXT *esys, ESYS_TR by, ESYS_TR session, ESYS_TR a, ESYS_TR b,
                                   const TPM2B_AUTH *auth, const TPM2B_NV_PUBLIC *public, ESYS_TR *ret)
{
    count_down();
    return __real_Esys_NV_DefineSpace(esys, by, session, a, b, auth, public, ret);
}

TSS2_RC __real_Esys_NV_Write(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_NV_BUFFER *,
                             UINT16);
TSS2_RC __wrap_Esys_NV_Write(ESYS_CONTEXT *, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, ESYS_TR, const TPM2B_MAX_NV_BUFFER *,
                             UINT16);
TSS2_RC __wrap_Esys_NV_Write(ESYS_CONTEXT *esys, ESYS_TR by, ESYS_TR index, ESYS_TR session, ESYS_TR a, ESYS_TR b,
                             const TPM2B_MAX_NV_BUFFER *data, UINT16 offset)
{
    count_down();
    return __real_Esys_NV_Write(esys, by, index, session, a, b, data, offset);
}

static void a_certificate_goes_into_an_index_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct blob small = make_certificate(f, "small", 1), large = make_certificate(f, "large", 60);
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = "the large one" };
    char ref[64];

    assert_true(small.len < 1024 && large.len > 1024);
    assert_int_equal(import(f, &device, &small, ref), 0);
    assert_string_equal(ref, "n:01800000");
    assert_int_equal(import(f, &spec, &large, ref), 0);
    assert_string_equal(ref, "n:01800001");
    is_called(f, "device", &small);
    reopen(f);
    is_called(f, "the large one", &large);
    tpm_fixture_run(&f->tpm, "tpm2_nvreadpublic 0x01800000 | grep -q 'friendly: "
                             "ownerwrite|authwrite|ownerread|authread|no_da|written$'");
    assert_int_equal(take_away(f, HX_CERTIFICATE, "n:01800000"), 0);
    assert_int_equal(listed(f, HX_CERTIFICATE, "device"), 0);
    is_called(f, "the large one", &large);
    assert_int_equal(import(f, &device, &small, ref), 0);
    assert_string_equal(ref, "n:01800000");
    tpm_fixture_run(&f->tpm, "test $(grep -c device place/labels) = 1");
}

static void a_makers_padded_certificate_is_read_and_stays(void **state)
{
    struct fixture *f = *state;
    struct blob ek = make_certificate(f, "ek", 40);

    tpm_fixture_run(
        &f->tpm,
        "tpm2_nvdefine 0x01c00002 -C p -s %zu -a 'ppwrite|ppread|ownerread|authread|no_da|platformcreate' && "
        "{ cat ek.der; head -c 300 /dev/zero | tr '\\0' '\\377'; } >padded && "
        "tpm2_nvwrite 0x01c00002 -C p -i padded",
        ek.len + 300);
    is_called(f, "ek-cert", &ek);
    assert_int_equal(take_away(f, HX_CERTIFICATE, "n:01c00002"), HX_E_UNSUPPORTED);
    is_called(f, "ek-cert", &ek);
}

static void what_was_read_of_the_makers_is_read_once(void **state)
{
    struct fixture *f = *state;
    long reads;

    make_certificate(f, "ek", 1);
    tpm_fixture_run(&f->tpm, "tpm2_nvdefine 0x01c0000a -C p -s $(wc -c <ek.der) -a "
                             "'ppwrite|ppread|ownerread|authread|no_da|platformcreate' && "
                             "tpm2_nvwrite 0x01c0000a -C p -i ek.der");
    assert_int_equal(listed(f, HX_CERTIFICATE, "ek-cert-p256"), 1);
    reads = tpm_fixture_commands(&f->tpm, NV_READ);
    assert_true(reads > 0);
    usleep(1100000);
    assert_int_equal(listed(f, HX_CERTIFICATE, "ek-cert-p256"), 1);
    assert_int_equal(tpm_fixture_commands(&f->tpm, NV_READ), reads);
}

static void one_of_the_owners_that_another_program_writes_is_read_anew(void **state)
{
    struct fixture *f = *state;
    struct blob old = make_certificate(f, "old-one", 3), new = make_certificate(f, "new-one", 1);
    char ref[64];

    assert_int_equal(import(f, &device, &old, ref), 0);
    is_called(f, "device", &old);
    tpm_fixture_run(&f->tpm, "tpm2_nvwrite 0x01800000 -C o -i new-one.der");
    usleep(1100000);
    is_called(f, "device", &new);
}

static void looking_for_something_else_reads_no_index(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 1);
    char ref[64];

    assert_int_equal(import(f, &device, &der, ref), 0);
    reopen(f);
    listed(f, HX_PRIVATE_KEY, NULL);
    listed(f, HX_DATA, NULL);
    assert_int_equal(listed(f, HX_CERTIFICATE, "other"), 0);
    assert_int_equal(tpm_fixture_commands(&f->tpm, NV_READ), 0);
    assert_int_equal(tpm_fixture_commands(&f->tpm, NV_READ_PUBLIC), 0);
}

static void no_auth_is_tried_that_could_count_as_wrong(void **state)
{
    struct fixture *f = *state;

    tpm_fixture_run(&f->tpm,
                    "head -c 600 /dev/zero >zeroes; for i in 1 2 3 4; do tpm2_nvdefine 0x018000$i$i -C o -s 600 "
                    "-p secret -a 'authread|authwrite|ownerwrite' && tpm2_nvwrite 0x018000$i$i -C o -i zeroes; "
                    "done; tpm2_nvdefine 0x01800055 -C o -s 600 -a 'policyread|ownerwrite' -L place-less "
                    "2>/dev/null; tpm2_nvdefine 0x01800066 -C o -s 600 -a 'authread|ownerread|ownerwrite|no_da'");
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 0);
    assert_int_equal(tpm_fixture_commands(&f->tpm, NV_READ), 0);
    assert_int_equal(tpm_fixture_property(&f->tpm, TPM2_PT_LOCKOUT_COUNTER), 0);
}

static void what_is_no_certificate_is_not_shown(void **state)
{
    struct fixture *f = *state;

    tpm_fixture_run(
        &f->tpm,
        "head -c 600 /dev/urandom >noise; { printf '\\060\\202\\001\\000'; cat noise; } | head -c 600 >like; "
        "{ printf '\\060\\202\\377\\377'; cat noise; } | head -c 600 >longer; n=0; for i in noise like longer; "
        "do n=$((n + 1)); tpm2_nvdefine 0x0180000$n -C o -s 600 && tpm2_nvwrite 0x0180000$n -C o -i $i; done; "
        "tpm2_nvdefine 0x01800008 -C o -s 8 -a 'ownerread|ownerwrite|nt=counter'");
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 0);
    assert_int_equal(read_ref(f, HX_CERTIFICATE, "n:01800001", NULL), HX_E_NOT_FOUND);
    assert_int_equal(read_ref(f, HX_CERTIFICATE, "n:01800009", NULL), HX_E_NOT_FOUND);
}

static void the_same_label_again_wants_to_replace(void **state)
{
    struct fixture *f = *state;
    struct blob old = make_certificate(f, "old", 1), new = make_certificate(f, "new", 3);
    struct hx_spec spec = device;
    char ref[64];

    assert_int_equal(import(f, &device, &old, ref), 0);
    assert_int_equal(import(f, &device, &new, ref), HX_E_EXISTS);
    is_called(f, "device", &old);
    spec.flags = HX_REPLACE;
    assert_int_equal(import(f, &spec, &new, ref), 0);
    is_called(f, "device", &new);
    spec.place = ref + 2; /* the very same index */
    assert_int_equal(import(f, &spec, &old, ref), 0);
    is_called(f, "device", &old);
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 1);
    spec.place = "device.pem";
    assert_int_equal(import(f, &spec, &new, ref), 0);
    assert_string_equal(ref, "c:device.pem");
    is_called(f, "device", &new);
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 1);
    spec.place = "0x01800005";
    assert_int_equal(import(f, &spec, &old, ref), 0);
    assert_string_equal(ref, "n:01800005");
    assert_int_not_equal(access(path_of(f, "device.pem"), F_OK), 0);
    is_called(f, "device", &old);
}

static void a_place_that_is_taken_or_none_is_refused(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 1), junk = { "junk", 4 };
    struct hx_spec spec = device;
    char ref[64];

    spec.place = "0x01800005";
    assert_int_equal(import(f, &spec, &der, ref), 0);
    spec.label = "other";
    assert_int_equal(import(f, &spec, &der, ref), HX_E_EXISTS);
    is_called(f, "device", &der);
    spec.place = "0x01c00002";
    assert_int_equal(import(f, &spec, &der, ref), HX_E_INVALID);
    spec.place = "nowhere";
    assert_int_equal(import(f, &spec, &der, ref), HX_E_INVALID);
    spec.place = "third.pem";
    assert_int_equal(import(f, &spec, &der, ref), HX_E_INVALID);
    spec.place = NULL;
    assert_int_equal(import(f, &spec, &junk, ref), HX_E_INVALID);
}

static void where_the_tpm_has_no_room_it_goes_into_a_file(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 1);
    char ref[64];

    tpm_fixture_run(
        &f->tpm, "i=%d; for size in 2048 512 64; do while tpm2_nvdefine $i -C o -s $size; do i=$((i + 1)); done; done",
        0x01900000);
    assert_int_equal(import(f, &device, &der, ref), 0);
    assert_string_equal(ref, "c:device.pem");
    assert_true(plugin_host_logged(&f->host, "<6>the TPM has no room for certificate 'device': it goes into a file"));
    is_called(f, "device", &der);
    tpm_fixture_run(&f->tpm, "! grep device place/labels");
}

static void import_until(struct fixture *f, const struct blob *der, int commands)
{
    int status;
    pid_t pid;

    close_token(f);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        char ref[64];

        reopen(f);
        commands_left = commands;
        import(f, &device, der, ref);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 9);
    reopen(f);
}

/* One whose first 1024 bytes, which a TPM takes at once, lack nothing but a part of the signature. */
static struct blob make_awkward_certificate(struct fixture *f)
{
    struct blob der = { .len = 0 };

    for (int names = 25; der.len < 1030; names++)
        der = make_certificate(f, "device", names);
    assert_true(der.len < 1090);
    return der;
}

static void what_a_power_cut_left_the_next_import_repairs(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_awkward_certificate(f);
    char ref[64];

    for (int commands = 1; commands <= 3; commands++) { /* define, and write from the end on */
        import_until(f, &der, commands);
        assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 0);
        assert_int_equal(import(f, &device, &der, ref), 0);
        assert_string_equal(ref, "n:01800000");
        is_called(f, "device", &der);
        tpm_fixture_run(&f->tpm, "test $(tpm2_getcap handles-nv-index | grep -c 0x) = 1 && "
                                 "test $(grep -c device place/labels) = 1");
        assert_int_equal(take_away(f, HX_CERTIFICATE, ref), 0);
    }
}

static void with_an_owner_auth_certificates_are_read_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 1);
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = "other" };
    char ref[64];

    assert_int_equal(import(f, &device, &der, ref), 0);
    tpm_fixture_run(&f->tpm, "tpm2_changeauth -c owner ownersecret");
    reopen(f);
    is_called(f, "device", &der);
    assert_int_equal(import(f, &spec, &der, ref), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "owner-auth-file"));
    plugin_host_set(&f->host, "owner-auth", "ownersecret");
    reopen(f);
    is_called(f, "device", &der);
    assert_int_equal(import(f, &spec, &der, ref), 0);
    is_called(f, "other", &der);
}

static void with_parameter_encryption_it_is_the_same(void **state)
{
    struct fixture *f = *state;
    struct blob der = make_certificate(f, "device", 60);
    char ref[64];

    tpm_fixture_run(&f->tpm, "tpm2_changeauth -c owner ownersecret");
    plugin_host_set(&f->host, "owner-auth", "ownersecret");
    plugin_host_set(&f->host, "parameter-encryption", "yes");
    reopen(f);
    assert_int_equal(import(f, &device, &der, ref), 0);
    reopen(f);
    is_called(f, "device", &der);
    assert_int_equal(take_away(f, HX_CERTIFICATE, ref), 0);
    tpm_fixture_run(&f->tpm, "! grep -aq ownersecret pcap");
}

static void a_file_may_hold_a_chain_and_notes(void **state)
{
    struct fixture *f = *state;
    struct blob leaf = make_certificate(f, "leaf", 1), ca = make_certificate(f, "ca", 1),
                new = make_certificate(f, "new", 2);
    struct hx_spec spec = { .kind = HX_CERTIFICATE, .label = "web", .flags = HX_REPLACE };
    char ref[64];

    mkdir(f->directory, 0755);
    tpm_fixture_run(&f->tpm,
                    "{ cat leaf.pem; echo 'and its issuer'; cat ca.pem; } >place/web.pem; echo x >place/bad.pem; "
                    "cp ca.der place/root.crt");
    is_called(f, "web", &leaf);
    is_called(f, "web#1", &ca);
    is_called(f, "root", &ca);
    assert_int_equal(listed(f, HX_CERTIFICATE, NULL), 3);
    assert_true(plugin_host_logged(&f->host, "bad.pem' is passed over"));
    spec.place = "web.pem";
    assert_int_equal(import(f, &spec, &new, ref), 0);
    is_called(f, "web", &new);
    is_called(f, "web#1", &ca);
    tpm_fixture_run(&f->tpm, "grep -q 'and its issuer' place/web.pem");
    assert_int_equal(take_away(f, HX_CERTIFICATE, "c:web.pem"), 0);
    is_called(f, "web", &ca);
    assert_int_equal(take_away(f, HX_CERTIFICATE, "c:web.pem"), 0);
    assert_int_not_equal(access(path_of(f, "web.pem"), F_OK), 0);
    assert_int_equal(take_away(f, HX_CERTIFICATE, "c:web.pem"), HX_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_certificate_goes_into_an_index_and_comes_back),
        T(a_makers_padded_certificate_is_read_and_stays),
        T(what_was_read_of_the_makers_is_read_once),
        T(one_of_the_owners_that_another_program_writes_is_read_anew),
        T(looking_for_something_else_reads_no_index),
        T(no_auth_is_tried_that_could_count_as_wrong),
        T(what_is_no_certificate_is_not_shown),
        T(the_same_label_again_wants_to_replace),
        T(a_place_that_is_taken_or_none_is_refused),
        T(where_the_tpm_has_no_room_it_goes_into_a_file),
        T(what_a_power_cut_left_the_next_import_repairs),
        T(with_an_owner_auth_certificates_are_read_all_the_same),
        T(with_parameter_encryption_it_is_the_same),
        T(a_file_may_hold_a_chain_and_notes),
    };

    if (!tpm_fixture_can_run())
        return 77;
    return cmocka_run_group_tests_name("tpm2_certs", tests, NULL, NULL);
}
