/* SPDX-License-Identifier: Apache-2.0 */
/* The tpm2 plugin's places, and its file of labels. */
#include "../../plugins/tpm2/name.h"
#include "tpm2-place.h"

static void the_places_are_the_option_or_the_systems_and_ones_own(void **state)
{
    struct fixture *f = *state;
    struct tpm_places places;
    assert_string_equal(f->places.write, f->dir);
    assert_string_equal(f->places.read[0], f->dir);
    assert_null(f->places.read[1]);
    plugin_host_set(&f->host, "directory", "relative");
    assert_int_equal(tpm_places_find(&f->host.host, &places), HX_E_CONFIG);
    plugin_host_set(&f->host, "directory", NULL);
    if (geteuid())
        skip();
    assert_int_equal(tpm_places_find(&f->host.host, &places), 0);
    assert_string_equal(places.write, HSMUX_STATEDIR "-tpm2");
    assert_string_equal(places.read[0], HSMUX_STATEDIR "-tpm2");
    assert_null(places.read[1]);
    tpm_places_free(&places);
    setenv("XDG_DATA_HOME", "/some/data", 1);
    assert_int_equal(seteuid(12345), 0);
    int found = tpm_places_find(&f->host.host, &places);
    assert_int_equal(seteuid(0), 0);
    unsetenv("XDG_DATA_HOME");
    assert_int_equal(found, 0);
    assert_string_equal(places.write, "/some/data/hsmux-tpm2");
    assert_string_equal(places.read[0], "/some/data/hsmux-tpm2");
    assert_string_equal(places.read[1], HSMUX_STATEDIR "-tpm2");
    tpm_places_free(&places);
}

static void a_server_without_a_home_reads_the_systems_place(void **state)
{
    struct fixture *f = *state;
    struct tpm_places places;
    const char *old = getenv("HOME"), *place;
    char *home = old ? strdup(old) : NULL;
    if (geteuid())
        skip();
    plugin_host_set(&f->host, "directory", NULL);
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_int_equal(seteuid(12345), 0); /* which has no entry in the table of users */
    int found = tpm_places_find(&f->host.host, &places);
    assert_int_equal(seteuid(0), 0);
    if (home)
        setenv("HOME", home, 1);
    free(home);
    assert_int_equal(found, 0);
    assert_null(places.write);
    assert_string_equal(places.read[0], HSMUX_STATEDIR "-tpm2");
    assert_int_equal(tpm_places_writable(&f->host.host, &places, &place), HX_E_CONFIG);
    assert_true(plugin_host_said(&f->host, "set 'directory'"));
    tpm_places_free(&places);
}

static void roots_home_left_in_the_environment_is_passed_over(void **state)
{
    struct fixture *f = *state;
    char home[128], systems[128];
    if (geteuid())
        skip();
    snprintf(home, sizeof home, "%s/closed", f->base);
    assert_int_equal(mkdir(home, 0700), 0);
    assert_int_equal(set(f, 0x81010003, &name_a, false, "device"), 0);
    snprintf(home, sizeof home, "%s/closed/hsmux-tpm2", f->base);
    snprintf(systems, sizeof systems, "%s", f->dir);
    struct tpm_places places = { .write = home, .read = { home, systems } };
    struct tpm_labels labels;
    struct tpm_label entry = { .handle = 0x81010004, .label = "x" };
    assert_int_equal(seteuid(12345), 0);
    int loaded = tpm_labels_load(&f->host.host, &places, &labels);
    int written = tpm_labels_set(&f->host.host, &places, &entry);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(loaded, 0);
    assert_int_equal(labels.count, 1);
    tpm_labels_free(&labels);
    assert_int_equal(written, HX_E_ACCESS);
}

static void a_label_is_bound_to_its_object(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(077);
    struct tpm_labels labels = load(f);
    assert_int_equal(labels.count, 0);
    assert_int_equal(tpm_labels_remove(&f->host.host, &f->places, 0x81010003), 0);
    assert_int_equal(access(f->dir, F_OK), -1); /* which made nothing */
    assert_int_equal(set(f, 0x81010003, &name_a, true, "device"), 0);
    assert_int_equal(set(f, 0x01800100, NULL, false, "device"), 0);
    umask(mask);
    assert_int_equal(mode_of(f->dir), 0755);
    assert_int_equal(mode_of(path_of(f, "labels")), 0644);
    assert_string_equal(get(f, "labels"), "81010003 000baaaa auth device\n01800100 - - device\n");
    labels = load(f);
    const struct tpm_label *found = tpm_labels_of(&labels, 0x81010003, &name_a);
    assert_non_null(found);
    assert_true(found->wants_auth);
    assert_string_equal(found->label, "device");
    assert_null(tpm_labels_of(&labels, 0x81010003, &name_b));
    assert_null(tpm_labels_of(&labels, 0x81010003, NULL));
    assert_null(tpm_labels_of(&labels, 0x81010004, &name_a));
    assert_non_null(tpm_labels_of(&labels, 0x01800100, NULL));
    assert_non_null(tpm_labels_of(&labels, 0x01800100, &name_b));
    assert_ptr_equal(tpm_labels_next(&labels, "device", NULL), found);
    const struct tpm_label *second = tpm_labels_next(&labels, "device", found);
    assert_int_equal(second->handle, 0x01800100);
    assert_null(tpm_labels_next(&labels, "device", second));
    assert_null(tpm_labels_next(&labels, "devic", NULL));
    tpm_labels_free(&labels);
    assert_int_equal(set(f, 0x81010003, &name_b, false, "another"), 0);
    assert_string_equal(get(f, "labels"), "01800100 - - device\n81010003 000bbbbb - another\n");
    assert_int_equal(tpm_labels_remove(&f->host.host, &f->places, 0x01800100), 0);
    assert_int_equal(tpm_labels_remove(&f->host.host, &f->places, 0x01800100), 0);
    assert_string_equal(get(f, "labels"), "81010003 000bbbbb - another\n");
}

static void odd_labels_come_back(void **state)
{
    struct fixture *f = *state;
    static const char *const odd[] = { "a b", "\xc3\xbc", "100%", "%41",  "-",        "#",   "\n", " x ",
                                       "..",  "\x01",     "\xff", "auth", "a/b\tc\r", "%zz", "," };
    char longest[TPM_LABELS_LABEL + 2], file[TPM_NAME_SIZE], label[TPM_NAME_SIZE];
    memset(longest, ' ', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(set(f, 0x81000001, NULL, false, longest), HX_E_INVALID);
    assert_int_equal(set(f, 0x81000001, NULL, false, ""), HX_E_INVALID);
    TPM2B_NAME name = { .size = sizeof name.name };
    assert_int_equal(set(f, 0x81000001, &name, true, longest + 1), 0);
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(set(f, 0x81000100 + i, &name_a, false, odd[i]), 0);
    struct tpm_labels labels = load(f);
    assert_int_equal(labels.count, 1 + sizeof odd / sizeof *odd);
    assert_string_equal(labels.label[0].label, longest + 1);
    assert_int_equal(labels.label[0].name.size, name.size);
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_string_equal(tpm_labels_of(&labels, 0x81000100 + i, &name_a)->label, odd[i]);
    tpm_labels_free(&labels);
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_true(tpm_name_print(odd[i], ".pem", file));
        assert_true(tpm_name_parse(file, ".pem", label));
        assert_string_equal(label, odd[i]);
    }
    assert_false(tpm_name_print(longest, ".pem", file));
    assert_false(tpm_name_parse(".x.pem", ".pem", label));
    assert_false(tpm_name_parse(".pem", ".pem", label));
    assert_false(tpm_name_parse("x.crt", ".pem", label));
    assert_false(tpm_name_parse("x%00.pem", ".pem", label));
}

static void bad_lines_are_told_of_and_kept(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = { "zz",
                                       "8101000 - - x",
                                       "81010003",
                                       "81010003 000 - x",
                                       "81010003 0g - x",
                                       "81010003 - x",
                                       "81010003 - no x",
                                       "81010003 - -",
                                       "81010003 - - %00",
                                       "0x0x1000 - - x",
                                       "81010003 - AUTH x" };
    const size_t count = sizeof bad / sizeof *bad;
    char text[8192] = "# one's own words\n\n \t\n  0x81010003\t000BAAAA   auth  my key \r\n", line[64];
    for (size_t i = 0; i < count; i++)
        sprintf(text + strlen(text), "%s\n", bad[i]);
    sprintf(text + strlen(text), "81010003 - - %01100d\n", 7); /* too long */
    sprintf(text + strlen(text), "81010003 - - %0300d\n", 7); /* with a label too long */
    sprintf(text + strlen(text), "81010005 - - %%zz"); /* no newline at its end */
    put(f, "labels", 0644, text, strlen(text));
    struct tpm_labels labels = load(f);
    assert_int_equal(labels.count, 2);
    const struct tpm_label *found = tpm_labels_of(&labels, 0x81010003, &name_a);
    assert_string_equal(found->label, "my key");
    assert_true(found->wants_auth);
    assert_string_equal(tpm_labels_of(&labels, 0x81010005, NULL)->label, "%zz");
    tpm_labels_free(&labels);
    for (size_t i = 0; i < count + 2; i++) {
        snprintf(line, sizeof line, "/dir/labels:%zu: this line is passed over: ", i + 5);
        assert_true(plugin_host_logged(&f->host, line));
    }
    assert_false(plugin_host_logged(&f->host, "labels:4:"));
    assert_false(plugin_host_logged(&f->host, "labels:18:"));
    assert_int_equal(set(f, 0x81010006, NULL, false, "new"), 0);
    strcat(text, "\n81010006 - - new\n");
    assert_string_equal(get(f, "labels"), text);
    put(f, "labels", 0644, "81010003 - - x\0y\n81010004 - - z", 31);
    labels = load(f);
    assert_int_equal(labels.count, 1);
    tpm_labels_free(&labels);
    assert_int_equal(tpm_labels_remove(&f->host.host, &f->places, 0x81010004), 0);
    assert_memory_equal(get(f, "labels"), "81010003 - - x\0y\n", 18);
}

static void ones_own_label_comes_before_the_systems(void **state)
{
    struct fixture *f = *state;
    char own[128];
    snprintf(own, sizeof own, "%s/own", f->base);
    assert_int_equal(set(f, 0x81010003, &name_a, true, "systems"), 0);
    assert_int_equal(set(f, 0x81010004, &name_a, false, "other"), 0);
    struct tpm_places places = { .write = own, .read = { own, f->dir } };
    struct tpm_label entry = { .handle = 0x81010003, .name = name_a, .label = "mine" };
    assert_int_equal(tpm_labels_set(&f->host.host, &places, &entry), 0);
    struct tpm_labels labels;
    assert_int_equal(tpm_labels_load(&f->host.host, &places, &labels), 0);
    assert_int_equal(labels.count, 3);
    assert_string_equal(tpm_labels_of(&labels, 0x81010003, &name_a)->label, "mine");
    assert_string_equal(tpm_labels_of(&labels, 0x81010004, &name_a)->label, "other");
    assert_non_null(tpm_labels_next(&labels, "systems", NULL));
    tpm_labels_free(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_places_are_the_option_or_the_systems_and_ones_own),
        T(a_server_without_a_home_reads_the_systems_place),
        T(roots_home_left_in_the_environment_is_passed_over),
        T(a_label_is_bound_to_its_object),
        T(odd_labels_come_back),
        T(bad_lines_are_told_of_and_kept),
        T(ones_own_label_comes_before_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
