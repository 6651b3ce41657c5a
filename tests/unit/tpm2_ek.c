/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsement and storage root key, beside what tpm2-tools make of the same templates. */
#include "tpm2-scene.h"

#define STORAGE "-g sha256 -G rsa2048:null:aes128cfb"
#define ZEROES "printf '\\000\\001' >unique; head -c 256 /dev/zero >>unique; "
#define HEX "perl -e 'print pack \"H*\", shift'"
#define POLICY HEX " 837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa >policy; "
#define MAKE_SRK                                                                                                       \
    "tpm2_createprimary -C o " STORAGE " -u unique -c ctx "                                                            \
    "-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt'; "
#define MAKE_EK                                                                                                        \
    POLICY "tpm2_createprimary -C e " STORAGE " -u unique -c ctx -L policy "                                           \
           "-a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt'; "
#define READ "tpm2_readpublic -c ctx -o public; tpm2_flushcontext -t"

/* Of any label, or NULL for all, as a list without a wish has it. */
static size_t listed_at_all(struct fixture *f, const char *label)
{
    struct plugin_objects found;
    size_t count = 0;

    plugin_objects_init(&found, NULL);
    assert_int_equal(plugin->list(f->token, &found.list), 0);
    for (size_t i = 0; i < found.count; i++)
        count += !label || (found.object[i].label && !strcmp(found.object[i].label, label));
    plugin_objects_free(&found);
    return count;
}

static void assert_same(const struct public *one, const struct public *other)
{
    assert_int_equal(one->len, other->len);
    assert_memory_equal(one->data, other->data, one->len);
}

/* What a shell command has put into the file `public`. */
static void assert_made_by(const struct fixture *f, const struct public *public, const char *command)
{
    struct public theirs;

    tpm_fixture_run(&f->tpm, "rm -f public; %s", command);
    theirs = from_file(f, "public");
    assert_same(public, &theirs);
}

static void write_nv(struct fixture *f, const char *index, const char *file)
{
    tpm_fixture_run(&f->tpm,
                    "tpm2_nvdefine %s -C o -a 'ownerwrite|ownerread|authread|no_da' -s $(stat -c %%s %s) && "
                    "tpm2_nvwrite %s -C o -i %s",
                    index, file, index, file);
}

static void the_ek_is_the_certified_one_and_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct public ek;
    char ref[32];

    assert_int_equal(listed_at_all(f, NULL), 0);
    assert_int_equal(listed(f, "ek", ref), 1);
    assert_string_equal(ref, "ek");
    ek = find(f, "ek");
    assert_int_equal(ek.len, 316);
    assert_made_by(f, &ek, "tpm2_createek -G rsa -c ctx -u public; tpm2_flushcontext -t");
    assert_made_by(f, &ek, ZEROES MAKE_EK READ);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    assert_int_equal(listed_at_all(f, NULL), 0);
    assert_false(persists(f, EK));
    assert_string_equal(f->host.log, "");
    assert_int_equal(load(f, "ek2", &ek), HX_E_NOT_FOUND);
}

static void a_persistent_ek_is_listed_once_and_another_key_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct public ek = find(f, "ek"), kept;
    char ref[32];

    tpm_fixture_run(&f->tpm, "tpm2_createek -G rsa -c 0x81010001");
    assert_int_equal(listed(f, "ek", ref), 1);
    assert_string_equal(ref, "h:81010001");
    assert_int_equal(listed_at_all(f, "ek"), 1);
    kept = find(f, "ek");
    assert_same(&kept, &ek);
    assert_int_equal(load(f, "ek", &kept), 0);
    assert_same(&kept, &ek);
    tpm_fixture_run(&f->tpm, "tpm2_evictcontrol -c 0x81010001; " ZEROES MAKE_SRK
                             "tpm2_evictcontrol -c ctx 0x81010001; tpm2_flushcontext -t");
    reopen(f);
    assert_int_equal(listed_at_all(f, "ek"), 0);
    kept = find(f, "ek");
    assert_same(&kept, &ek);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void the_srk_is_made_by_loading_alone_and_then_kept(void **state)
{
    struct fixture *f = *state;
    struct public srk, again;
    char ref[32];

    assert_int_equal(listed_at_all(f, NULL), 0);
    assert_int_equal(listed(f, "srk", ref), 1);
    assert_false(persists(f, SRK));
    srk = find(f, "srk");
    assert_int_equal(srk.len, 284);
    assert_true(persists(f, SRK));
    assert_int_equal(listed(f, "srk", ref), 1);
    assert_string_equal(ref, "h:81000001");
    again = find(f, "srk");
    assert_same(&again, &srk);
    assert_int_equal(load(f, "srk", &again), 0);
    assert_same(&again, &srk);
    assert_made_by(f, &srk, ZEROES MAKE_SRK READ);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void another_srk_that_is_there_stays(void **state)
{
    struct fixture *f = *state;
    struct public srk, theirs;
    char ref[32];

    tpm_fixture_run(&f->tpm, "tpm2_createprimary -C o -G ecc256 -c ctx; tpm2_readpublic -c ctx -o theirs; "
                             "tpm2_evictcontrol -c ctx 0x81000001; tpm2_flushcontext -t");
    srk = find(f, "srk");
    theirs = from_file(f, "theirs");
    assert_same(&srk, &theirs);
    tpm_fixture_make(&f->tpm,
                     &(struct tpm_fixture_key){ .handle = SRK, .type = TPM2_ALG_ECC, .size = TPM2_ECC_NIST_P256 }, 1);
    reopen(f);
    assert_int_equal(listed(f, "srk", ref), 1);
    assert_int_equal(load(f, ref, &srk), HX_E_UNSUPPORTED);
    assert_true(plugin_host_said(&f->host, "no storage key"));
}

/* A template is a TPMT_PUBLIC: what TPM2B_PUBLIC has behind its size, with nothing unique. */
static void the_makers_template_and_nonce_make_the_ek(void **state)
{
    struct fixture *f = *state;
    struct public usual = find(f, "ek"), own;

    tpm_fixture_run(&f->tpm, "printf nonce >nonce");
    write_nv(f, "0x01c00003", "nonce");
    reopen(f);
    own = find(f, "ek");
    assert_memory_not_equal(own.data, usual.data, usual.len);
    assert_made_by(f, &own, "printf '\\000\\001nonce' >unique; head -c 251 /dev/zero >>unique; " MAKE_EK READ);
    tpm_fixture_run(&f->tpm, "tpm2_nvundefine 0x01c00003 -C o; tpm2_createprimary -C e " STORAGE
                             " -L policy -c ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|noda|"
                             "restricted|decrypt'; " READ
                             "; { tail -c +3 public | head -c -258; printf '\\000\\000'; } >template");
    write_nv(f, "0x01c00004", "template");
    reopen(f);
    own = find(f, "ek");
    assert_made_by(f, &own,
                   "tpm2_createprimary -C e " STORAGE
                   " -L policy -c ctx -a 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|noda|"
                   "restricted|decrypt'; " READ);
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    assert_string_equal(f->host.log, "");
}

/* Whatever attributes it has, the EK is no identity of ours; find() looks. */
static void a_template_that_lets_the_ek_sign_makes_no_candidate_of_it(void **state)
{
    struct fixture *f = *state;
    struct public own;

    tpm_fixture_run(&f->tpm, "tpm2_createprimary -C e -g sha256 -G rsa2048 -c ctx -a 'fixedtpm|fixedparent|"
                             "sensitivedataorigin|userwithauth|sign|decrypt'; " READ
                             "; cp public first; { tail -c +3 public | head -c -258; printf '\\000\\000'; } >template");
    write_nv(f, "0x01c00004", "template");
    reopen(f);
    own = find(f, "ek");
    assert_made_by(f, &own, "cp first public");
}

static void a_nonce_or_template_that_is_too_long_is_none(void **state)
{
    struct fixture *f = *state;
    struct public usual = find(f, "ek"), ek;

    tpm_fixture_run(&f->tpm, "head -c 2000 /dev/zero | tr '\\000' n >long");
    write_nv(f, "0x01c00003", "long");
    write_nv(f, "0x01c00004", "long");
    reopen(f);
    ek = find(f, "ek");
    assert_same(&ek, &usual);
}

static void a_provisioned_tpm_has_the_ek_of_its_certificate(void **state)
{
    struct fixture *f = *state;
    struct public kept, made;
    char ref[32];

    provision(f);
    assert_int_equal(listed(f, "ek", ref), 1);
    assert_string_equal(ref, "h:81010001");
    kept = find(f, "ek");
    assert_int_equal(kept.len, 316);
    tpm_fixture_run(&f->tpm, "tpm2_nvread 0x01c00002 -C o >der && openssl x509 -in der -inform der -noout -modulus | "
                             "sed 's/.*=//' | xargs " HEX " >public");
    made = from_file(f, "public");
    assert_int_equal(made.len, 256);
    assert_memory_equal(made.data, kept.data + kept.len - made.len, made.len);
    tpm_fixture_run(&f->tpm, "tpm2_evictcontrol -c 0x81010001");
    reopen(f);
    made = find(f, "ek");
    assert_same(&made, &kept);
    assert_string_equal(f->host.log, "");
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

/* The maker's own template gives one that the certificate does not know. */
static void the_certificate_decides_between_two_templates(void **state)
{
    struct fixture *f = *state;
    struct public certified, made;

    provision(f);
    certified = find(f, "ek");
    tpm_fixture_run(&f->tpm, "tpm2_evictcontrol -c 0x81010001; printf nonce >nonce");
    write_nv(f, "0x01c00003", "nonce");
    reopen(f);
    made = find(f, "ek");
    assert_same(&made, &certified);
    assert_string_equal(f->host.log, "");
    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
}

static void a_certificate_for_another_key_is_remarked_upon_once(void **state)
{
    struct fixture *f = *state;
    struct public ek, again;

    tpm_fixture_run(&f->tpm, "openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=ek -outform der "
                             "-out der");
    write_nv(f, "0x01c00002", "der");
    ek = find(f, "ek");
    assert_true(plugin_host_logged(&f->host, "EK certificate"));
    plugin_host_clear(&f->host);
    again = find(f, "ek");
    assert_same(&again, &ek);
    assert_string_equal(f->host.log, "");
    tpm_fixture_run(&f->tpm, "tpm2_createek -G rsa -c 0x81010001");
    reopen(f);
    again = find(f, "ek");
    assert_same(&again, &ek);
    assert_true(plugin_host_logged(&f->host, "EK certificate"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_ek_is_the_certified_one_and_is_not_kept),
        TEST(a_persistent_ek_is_listed_once_and_another_key_there_is_none),
        TEST(the_srk_is_made_by_loading_alone_and_then_kept),
        TEST(another_srk_that_is_there_stays),
        TEST(the_makers_template_and_nonce_make_the_ek),
        TEST(a_template_that_lets_the_ek_sign_makes_no_candidate_of_it),
        TEST(a_nonce_or_template_that_is_too_long_is_none),
        TEST(a_provisioned_tpm_has_the_ek_of_its_certificate),
        TEST(the_certificate_decides_between_two_templates),
        TEST(a_certificate_for_another_key_is_remarked_upon_once),
    };

    if (!tpm_fixture_can_run())
        return 77;
    plugin = tpm2_plugin_entry();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
