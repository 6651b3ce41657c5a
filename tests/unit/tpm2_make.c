/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that the tpm2 plugin has a TPM make: what they can do, where they are, and what they are called. */
#include "tpm2-keys.h"

#include <tss2/tss2_mu.h>
#include <unistd.h>

enum { LOCAL = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN };
enum { USUAL = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA };

static TPM2B_PUBLIC public_of(struct fixture *f, const char *ref, uint32_t kind)
{
    TPM2B_PUBLIC public = { 0 };
    struct plugin_bytes bytes;
    struct loaded key;
    size_t used = 0;

    plugin_bytes_init(&bytes);
    assert_int_equal(load(f, kind, ref, &key), 0);
    assert_int_equal(f->plugin->read(key.object, HX_TPM2B_PUBLIC, &bytes.out), 0);
    assert_int_equal(Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes.data, bytes.len, &used, &public), 0);
    plugin_bytes_free(&bytes);
    unload(f, &key);
    return public;
}

static void a_key_is_made_signs_and_is_called_what_was_asked(void **state)
{
    static const struct {
        uint32_t type, bits;
        const char *label;
    } rows[] = {
        { HX_P256, 0, "p256" },     { HX_P384, 0, "p384" },         { HX_RSA, 0, "rsa" },
        { HX_RSA, 3072, "larger" }, { HX_P256, 256, "mit Ümläut" },
    };
    struct fixture *f = *state;
    char ref[TPM_REF], found[TPM_REF];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hx_spec spec = spec_of(rows[i].type, rows[i].label);

        spec.bits = rows[i].bits;
        assert_int_equal(generate(f, &spec, ref), 0);
        assert_int_equal(listed(f, HX_PRIVATE_KEY, rows[i].label, found), 1);
        assert_string_equal(ref, found);
        assert_int_equal(sign(f, ref, NULL), 0);
        assert_int_equal(public_of(f, ref, HX_PRIVATE_KEY).publicArea.objectAttributes,
                         LOCAL | USUAL | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT);
    }
    assert_string_equal(ref, "h:81000204");
    open_token(f); /* and afterwards */
    assert_int_equal(listed(f, 0, NULL, NULL), 5);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "rsa", found), 1);
    assert_int_equal(sign(f, found, NULL), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void what_no_tpm_or_not_this_one_makes_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_ED25519, "x");

    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    spec = spec_of(HX_RSA, "x");
    spec.bits = 4096;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    assert_said(f, "no RSA keys of 4096 bits");
    spec.bits = 1024;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    spec = spec_of(HX_P256, "x");
    spec.flags = HX_EXTRACTABLE;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    spec.flags = 0;
    spec.usage = HX_DECRYPT;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    spec.usage = 0;
    spec.spare[1] = 1;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
    spec = spec_of(HX_P256, "");
    assert_int_equal(generate(f, &spec, NULL), HX_E_INVALID);
    assert_int_equal(persistent(f), 0);
    assert_false(labels_say(f, "x"));
}

static void a_key_may_what_it_was_made_for(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "signs");
    char ref[TPM_REF];

    spec.usage = HX_SIGN_DIGEST;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(public_of(f, ref, HX_PRIVATE_KEY).publicArea.objectAttributes,
                     LOCAL | USUAL | TPMA_OBJECT_SIGN_ENCRYPT);
    assert_int_equal(sign(f, ref, NULL), 0);
    spec.label = "agrees";
    spec.usage = HX_DERIVE;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(public_of(f, ref, HX_PRIVATE_KEY).publicArea.objectAttributes,
                     LOCAL | USUAL | TPMA_OBJECT_DECRYPT);
    spec = spec_of(HX_RSA, "decrypts");
    spec.usage = HX_DECRYPT;
    spec.rsa_e = 65537;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(public_of(f, ref, HX_PRIVATE_KEY).publicArea.objectAttributes,
                     LOCAL | USUAL | TPMA_OBJECT_DECRYPT);
}

static void a_secret_makes_macs_of_any_hash(void **state)
{
    static const struct hx_alg algs[] = { { .scheme = HX_HMAC, .hash = HX_SHA256 },
                                          { .scheme = HX_HMAC, .hash = HX_SHA384 } };
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_GENERIC, "secret");
    struct plugin_bytes mac;
    struct loaded key;
    char ref[TPM_REF];

    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(load(f, HX_SECRET_KEY, ref, &key), 0);
    for (size_t i = 0; i < 2; i++) {
        plugin_bytes_init(&mac);
        assert_int_equal(f->plugin->sign(key.object, &algs[i], "message", 7, &mac.out), 0);
        assert_int_equal(mac.len, i ? 48 : 32);
        plugin_bytes_free(&mac);
    }
    unload(f, &key);
    spec.label = "longer";
    spec.bits = 512;
    assert_int_equal(generate(f, &spec, NULL), HX_E_UNSUPPORTED);
}

static void it_goes_where_it_was_asked(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "there");
    char ref[TPM_REF];

    spec.place = "0x81000005";
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "h:81000005");
    assert_true(persists(f, 0x81000005));
    spec.label = "other";
    assert_int_equal(generate(f, &spec, NULL), HX_E_EXISTS);
    spec.place = NULL;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, FIRST);
    spec.place = "0x81000005"; /* what is there goes, and what bears the label, too */
    spec.flags = HX_REPLACE;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "h:81000005");
    assert_int_equal(sign(f, ref, NULL), 0);
    assert_int_equal(persistent(f), 1);
    assert_int_equal(listed(f, 0, NULL, NULL), 1);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "other", NULL), 1);
    spec.flags = 0;
    spec.label = "further";
    spec.place = NULL;
    spec.id = (struct hx_buf){ "\x81\0\2\7", 4 };
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "h:81000207");
}

static void reserved_and_foreign_places_are_refused(void **state)
{
    static const char *const places[] = { "0x81000001", "0x81010001", "0x8101abcd", "0x81800000", "0x80000001",
                                          "0x01800100", "81000005",   "0x8100000",  "0x8100000g", "0x810000005",
                                          "../x.tss",   ".x.tss",     ".tss",       "elsewhere",  "" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct hx_spec spec = spec_of(HX_P256, NULL);

        spec.place = places[i];
        if (generate(f, &spec, NULL) != HX_E_INVALID)
            fail_msg("place '%s': %s", places[i], f->host.reason);
    }
    assert_int_equal(persistent(f), 0);
}

static void a_key_file_is_made_in_its_directory(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_RSA, "device");
    struct hx_bytes before = { 0 }, after = { 0 };
    char ref[TPM_REF];
    struct stat st;

    spec.place = "other.tss";
    assert_int_equal(generate(f, &spec, NULL), HX_E_INVALID);
    assert_said(f, "'device.tss'");
    spec.place = "device.tss";
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "k:device.tss");
    assert_int_equal(stat(path_of(f, "files/device.tss"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "device", NULL), 1);
    assert_int_equal(sign(f, ref, &before), 0);
    assert_int_equal(generate(f, &spec, NULL), HX_E_EXISTS);
    spec.flags = HX_REPLACE;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, &after), 0);
    assert_memory_not_equal(before.data, after.data, after.len);
    assert_int_equal(persistent(f), 0);
    spec.place = NULL; /* no moment without a key, or with two, could be warranted */
    assert_int_equal(generate(f, &spec, NULL), HX_E_EXISTS);
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, ref), 0);
    assert_int_equal(stat(path_of(f, "files/device.tss"), &st), -1);
    hx_bytes_free(&before);
    hx_bytes_free(&after);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    plugin_host_set(&f->host, "key-files", NULL);
    spec.place = "device.tss";
    assert_int_equal(generate(f, &spec, NULL), HX_E_CONFIG);
    close_token(f);
    plugin_host_set(&f->host, "key-files", "files");
    assert_int_equal(f->plugin->open(&f->host.host, NULL, &f->token), HX_E_CONFIG);
    assert_said(f, "not an absolute path");
}

static void what_bears_the_label_is_replaced_when_that_is_asked(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    struct hx_bytes before = { 0 }, after = { 0 };
    char old[TPM_REF], new[TPM_REF];
    struct loaded key;

    assert_int_equal(generate(f, &spec, old), 0);
    assert_int_equal(sign(f, old, &before), 0);
    assert_int_equal(generate(f, &spec, NULL), HX_E_EXISTS);
    assert_int_equal(persistent(f), 1);
    spec.flags = HX_REPLACE;
    assert_int_equal(generate(f, &spec, new), 0);
    assert_int_equal(persistent(f), 1);
    assert_int_equal(listed(f, 0, NULL, NULL), 1);
    assert_int_equal(sign(f, new, &after), 0);
    assert_memory_not_equal(before.data, after.data, after.len);
    assert_int_equal(load(f, HX_PRIVATE_KEY, old, &key), HX_E_NOT_FOUND);
    assert_false(labels_say(f, "gone"));
    spec = spec_of(HX_GENERIC, "device"); /* is a label of another kind */
    assert_int_equal(generate(f, &spec, NULL), 0);
    hx_bytes_free(&before);
    hx_bytes_free(&after);
}

static void a_key_is_replaced_at_its_own_handle(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    struct hx_bytes before = { 0 }, after = { 0 };
    char ref[TPM_REF];

    spec.place = "0x81000300";
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, &before), 0);
    spec.flags = HX_REPLACE;
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "h:81000300");
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "device", NULL), 1);
    assert_int_equal(persistent(f), 1);
    assert_int_equal(sign(f, ref, &after), 0);
    assert_memory_not_equal(before.data, after.data, after.len);
    spec.label = NULL; /* without a label, the same id */
    tpm_fixture_run(&f->tpm, "rm place/labels");
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_string_equal(ref, "h:81000300");
    assert_int_equal(persistent(f), 1);
    assert_int_equal(listed(f, HX_PRIVATE_KEY, "device", NULL), 0);
    assert_int_equal(sign(f, ref, NULL), 0);
    hx_bytes_free(&before);
    hx_bytes_free(&after);
}

static void a_storage_root_key_is_the_parent_where_there_is_one(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "below");
    char ref[TPM_REF];

    tpm_fixture_run(&f->tpm,
                    "tpm2_createprimary -C o -G rsa2048 -c srk.ctx -a 'restricted|decrypt|fixedtpm|fixedparent|"
                    "sensitivedataorigin|userwithauth|noda'; tpm2_evictcontrol -C o -c srk.ctx 0x81000001; "
                    "tpm2_flushcontext -t");
    spec.place = "below.tss";
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, NULL), 0);
    tpm_fixture_run(&f->tpm, "openssl asn1parse -in files/below.tss | grep -q INTEGER.*:81000001");
    spec.place = NULL;
    spec.label = "handle";
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, NULL), 0);
}

static void a_full_tpm_says_so_and_nothing_is_left_of_the_attempt(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_RSA, NULL);
    int result = 0, count = 0;

    tpm_fixture_run(&f->tpm, "i=0; while tpm2_nvdefine -C o -s 2048 0x$(printf %%x $((0x1500000 + i))); do "
                             "i=$((i + 1)); done; true");
    while (!(result = generate(f, &spec, NULL)))
        assert_true(++count < 60);
    assert_int_equal(result, HX_E_FULL);
    assert_said(f, "remove a key");
    assert_int_equal(persistent(f), count);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    spec.label = "device";
    assert_int_equal(generate(f, &spec, NULL), HX_E_FULL);
    assert_false(labels_say(f, "device"));
    assert_int_equal(remove_ref(f, HX_PRIVATE_KEY, FIRST), 0);
    assert_int_equal(generate(f, &spec, NULL), 0);
}

static void all_slots_taken_by_others_are_no_hindrance(void **state)
{
    struct fixture *f = *state;
    struct hx_spec spec = spec_of(HX_P256, "device");
    size_t others;
    char ref[TPM_REF];

    tpm_fixture_fill(&f->tpm, 0);
    others = tpm_fixture_left(&f->tpm);
    assert_int_equal(generate(f, &spec, ref), 0);
    assert_int_equal(sign(f, ref, NULL), 0);
    assert_int_equal(tpm_fixture_left(&f->tpm), others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_is_made_signs_and_is_called_what_was_asked),
        T(what_no_tpm_or_not_this_one_makes_is_refused),
        T(a_key_may_what_it_was_made_for),
        T(a_secret_makes_macs_of_any_hash),
        T(it_goes_where_it_was_asked),
        T(reserved_and_foreign_places_are_refused),
        T(a_key_file_is_made_in_its_directory),
        T(what_bears_the_label_is_replaced_when_that_is_asked),
        T(a_key_is_replaced_at_its_own_handle),
        T(a_storage_root_key_is_the_parent_where_there_is_one),
        T(a_full_tpm_says_so_and_nothing_is_left_of_the_attempt),
        T(all_slots_taken_by_others_are_no_hindrance),
    };

    setenv("TSS2_LOG", "all+none", 1); /* what is refused here is meant to be */
    return tpm_fixture_can_run() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
