/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: listed, found by every form of address, read, made, brought in, taken away. */
#include "scene.h"

static char seen[2048]; /* addresses, each on a line */

static int see(void *arg, const char *address, const struct hx_object *object)
{
    (void)arg;
    assert_non_null(object->ref.data);
    strcat(strcat(seen, address), "\n");
    return 0;
}

static void expect_objects(const char *address, const char *wanted)
{
    seen[0] = '\0';
    expect_result(hx_each(ctx, address, see, NULL), HX_OK);
    assert_string_equal(seen, wanted);
}

static void expect_content(const char *address, const char *wanted)
{
    struct hx_bytes value;

    expect_text(hx_read(ctx, address, HX_VALUE, &value), &value, wanted);
}

static void expect_refused(const char *address, int result, const char *reason)
{
    struct hx_bytes value;

    expect_result(hx_read(ctx, address, HX_VALUE, &value), result);
    expect_said(reason);
}

static struct fake_object *put_data(unsigned token, const char *label, const char *value, unsigned char id)
{
    struct fake_object data = { .kind = HX_DATA, .id = { id }, .id_len = 1, .value_len = strlen(value) };

    strcpy(data.label, label);
    strcpy((char *)data.value, value);
    return put(token, &data);
}

static void furnish(void)
{
    two_tokens();
    put_key(0, "key", 1);
    put_cert(0, "key", 1, FAKE_VALID, 0);
    put_data(0, "note", "first", 2);
    put_data(1, "note", "second", 2);
}

static void each_lists_all_tokens_or_one_or_one_kind(void **state)
{
    static const char all[] = "hsm:edge/key/key\nhsm:edge/cert/key\nhsm:edge/data/note\nhsm:other/data/note\n";

    (void)state;
    furnish();
    configure(EDGE OTHER);
    expect_objects(NULL, all);
    expect_objects("hsm:", all);
    expect_objects("pkcs11:", all);
    expect_objects("hsm:edge/", "hsm:edge/key/key\nhsm:edge/cert/key\nhsm:edge/data/note\n");
    expect_objects("hsm:edge/cert", "hsm:edge/cert/key\n");
    expect_objects("hsm:other/cert", "");
    expect_objects("hsm:edge/data/note", "hsm:edge/data/note\n");
    expect_objects("hsm:edge/key?id=01", "hsm:edge/key/key\n");
    expect_objects("pkcs11:type=data", "hsm:edge/data/note\nhsm:other/data/note\n");
    fake->ignore_want = true;
    expect_objects("hsm:edge/cert", "hsm:edge/cert/key\n");
    assert_int_equal(hx_each(ctx, "hsm:edge", see, NULL), HX_E_INVALID);
    expect_said("write hsm:TOKEN/");
}

static int stop(void *arg, const char *address, const struct hx_object *object)
{
    (void)address, (void)object;
    return ++*(int *)arg == 2 ? 42 : 0;
}

static void each_stops_when_told_to(void **state)
{
    int calls = 0;

    (void)state;
    furnish();
    configure(EDGE OTHER);
    assert_int_equal(hx_each(ctx, NULL, stop, &calls), 42);
    assert_int_equal(calls, 2);
}

static void a_token_that_cannot_be_listed_is_an_error_after_the_others(void **state)
{
    (void)state;
    furnish();
    configure(EDGE OTHER);
    fake->script[FAKE_LIST] = (struct fake_script){ .result = HX_E_DEVICE, .times = 1 };
    seen[0] = '\0';
    assert_int_equal(hx_each(ctx, NULL, see, NULL), HX_E_DEVICE);
    expect_said("token 'edge': list");
    assert_string_equal(seen, "hsm:other/data/note\n");
}

static void without_a_configuration_an_absent_token_is_no_error(void **state)
{
    (void)state;
    furnish();
    configure("");
    fake->script[FAKE_OPEN] = (struct fake_script){ .result = HX_E_NOT_FOUND, .times = 1 };
    expect_objects(NULL, "hsm:second/data/note\n");
    assert_int_equal(hx_each(ctx, "hsm:nowhere/", see, NULL), HX_E_NOT_FOUND);
    expect_said("'first'");
}

static void two_objects_with_one_label_are_told_apart_by_id(void **state)
{
    (void)state;
    configure(EDGE);
    put_data(0, "note", "one", 1);
    put_data(0, "note", "two", 2);
    put_key(0, "note", 3);
    expect_objects("hsm:edge/", "hsm:edge/data/note?id=01\nhsm:edge/data/note?id=02\nhsm:edge/key/note\n");
    expect_content("hsm:edge/data/note?id=02", "two");
    expect_content("hsm:edge/data?id=01", "one");
    expect_refused("hsm:edge/data/note", HX_E_AMBIGUOUS,
                   "fits more than one object: hsm:edge/data/note?id=01, hsm:edge/data/note?id=02");
    expect_refused("hsm:edge/data/nothing", HX_E_NOT_FOUND, "no object 'hsm:edge/data/nothing' on token 'edge'");
}

static void an_object_on_two_tokens_is_ambiguous(void **state)
{
    (void)state;
    furnish();
    configure(EDGE OTHER);
    expect_refused("pkcs11:object=note", HX_E_AMBIGUOUS, "hsm:edge/data/note, hsm:other/data/note");
}

static void pkcs11_addresses_find_their_token_and_object(void **state)
{
    (void)state;
    furnish();
    configure(EDGE OTHER);
    expect_content("pkcs11:token=second;object=note", "second");
    expect_content("pkcs11:serial=F0001;object=note", "first");
    expect_content("pkcs11:serial=F0002;manufacturer=hsmux;model=fake;type=data;id=%02", "second");
    expect_refused("pkcs11:model=real;object=note", HX_E_NOT_FOUND, "no token fits");
    expect_refused("pkcs11:manufacturer=x;object=note", HX_E_NOT_FOUND, "no token fits");
    expect_refused("pkcs11:serial=F0001;object=other", HX_E_NOT_FOUND, "on token 'edge'");
    expect_refused("pkcs11:serial=F0001;type=cert;object=note", HX_E_NOT_FOUND, "on token 'edge'");
}

static void a_misspelt_address_is_refused(void **state)
{
    (void)state;
    furnish();
    configure(EDGE);
    expect_refused("pkcs11:tokn=first;object=note", HX_E_INVALID, "unknown attribute 'tokn'");
    expect_refused("pkcs11:object=note;object=note", HX_E_INVALID, "'object' appears twice");
    expect_refused("hsm:edge/keys/note", HX_E_INVALID, "unknown kind");
    expect_refused("hsm:edge", HX_E_INVALID, "is a credential, not one object");
    expect_refused("file:/note", HX_E_INVALID, "neither 'hsm:' nor 'pkcs11:'");
}

static void the_pin_in_an_address_is_used_and_never_shown(void **state)
{
    struct hx_bytes value;

    (void)state;
    configure(EDGE);
    strcpy(fake->token[0].pin, "s3cr3t");
    put_data(0, "safe", "inside", 1)->locked = true;
    expect_refused("hsm:edge/data/safe", HX_E_LOGIN, "set pin-file = in [token edge]");
    expect_content("pkcs11:object=safe?pin-value=s3cr3t", "inside");
    assert_string_equal(fake->token[0].last_pin, "s3cr3t");
    assert_int_equal(hx_read(ctx, "pkcs11:object=none;pin-value=s3cr3t", HX_VALUE, &value), HX_E_NOT_FOUND);
    expect_said("'pkcs11:object=none;pin-value=...'");
    assert_int_equal(hx_read(ctx, "pkcs11:objct=none?pin-value=s3cr3t", HX_VALUE, &value), HX_E_INVALID);
    assert_null(strstr(hx_last_error(), "s3cr3t"));
    assert_null(strstr(said, "s3cr3t"));
}

static void a_pin_that_could_be_for_two_tokens_is_sent_to_none(void **state)
{
    struct hx_bytes value;

    (void)state;
    two_tokens();
    configure(EDGE OTHER);
    put_data(0, "safe", "inside", 1)->locked = true;
    assert_int_equal(hx_read(ctx, "pkcs11:object=safe?pin-value=s3cr3t", HX_VALUE, &value), HX_E_LOGIN);
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
}

/* Contexts share their tokens, but not what they call them. */
static void each_configuration_has_its_own_names(void **state)
{
    static const char twice[] = EDGE "[token again]\nplugin = fake\nserial = F0001\n";
    struct hx *first, *second = NULL;

    (void)state;
    put_data(0, "note", "shared", 1);
    configure("[token mine]\nplugin = fake\nserial = F0001\n");
    first = ctx;
    ctx = NULL;
    configure("[token yours]\nplugin = fake\nserial = F0001\n");
    expect_objects(NULL, "hsm:yours/data/note\n");
    expect_content("hsm:yours/data/note", "shared");
    expect_refused("hsm:mine/data/note", HX_E_CONFIG, "there are: 'yours'");
    assert_int_equal(fake->calls[FAKE_OPEN], 1);
    hx_free(first);
    write_file("hsmux.conf", twice, strlen(twice));
    assert_int_equal(hx_new(conf_path, &second), HX_E_CONFIG);
    expect_said("hsmux.conf:4: [token again] is the same as [token edge]");
    assert_null(second);
}

static void an_unknown_token_is_answered_with_those_that_are_there(void **state)
{
    char buf[4];

    (void)state;
    two_tokens();
    configure(EDGE OTHER);
    expect_refused("hsm:egde/data/note", HX_E_CONFIG, "no [token egde] in");
    expect_said("there are: 'edge', 'other'");
    configure("");
    expect_refused("hsm:egde/data/note", HX_E_NOT_FOUND, "no token 'egde'; there are: 'first', 'second'");
    assert_int_equal(hx_random(ctx, NULL, buf, sizeof buf), HX_E_AMBIGUOUS);
    expect_said("name one; there are: 'first', 'second'");
}

static void random_bytes_come_from_the_token(void **state)
{
    unsigned char buf[64] = { 0 }, none[64] = { 0 };

    (void)state;
    configure(EDGE);
    expect_result(hx_random(ctx, NULL, buf, sizeof buf), HX_OK);
    assert_memory_not_equal(buf, none, sizeof buf);
    expect_result(hx_random(ctx, "edge", buf, 0), HX_OK);
    assert_int_equal(fake->calls[FAKE_RANDOM], 1);
    fake->script[FAKE_RANDOM] = (struct fake_script){ .result = HX_E_DEVICE, .times = 1 };
    assert_int_equal(hx_random(ctx, "edge", buf, sizeof buf), HX_E_DEVICE);
    expect_said("token 'edge': random: device failure");
}

static void a_generated_key_is_there_until_it_is_removed(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "new key", .id = { "\x09", 1 } };
    struct hx_bytes address;
    struct hx_key *key;

    (void)state;
    configure(EDGE);
    expect_text(hx_generate(ctx, NULL, &spec, &address), &address, "hsm:edge/key/new%20key");
    expect_result(hx_key_open(ctx, "hsm:edge/key/new%20key", &key), HX_OK);
    expect_result(sign_with(key, NULL), HX_OK);
    hx_key_close(key);
    assert_int_equal(hx_generate(ctx, "edge", &spec, &address), HX_E_EXISTS);
    expect_said("token 'edge': generate: exists already");
    spec.flags = HX_REPLACE;
    expect_result(hx_generate(ctx, "edge", &spec, NULL), HX_OK);
    expect_objects(NULL, "hsm:edge/key/new%20key\n");
    expect_result(hx_remove(ctx, "hsm:edge/key/new%20key"), HX_OK);
    expect_objects(NULL, "");
    assert_int_equal(hx_remove(ctx, "hsm:edge/key/new%20key"), HX_E_NOT_FOUND);
    spec.spare[1] = 1;
    assert_int_equal(hx_generate(ctx, "edge", &spec, NULL), HX_E_UNSUPPORTED);
}

static void what_was_lost_in_the_middle_is_not_made_twice(void **state)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = HX_P256, .label = "new" };

    (void)state;
    configure(EDGE);
    expect_objects(NULL, "");
    fake->lose(0);
    assert_int_equal(hx_generate(ctx, "edge", &spec, NULL), HX_E_LOST);
    expect_said("look whether it was done");
    assert_int_equal(fake->calls[FAKE_GENERATE], 1);
    expect_result(hx_generate(ctx, "edge", &spec, NULL), HX_OK);
}

static void data_is_brought_in_and_read(void **state)
{
    struct hx_spec spec = { .kind = HX_DATA, .label = "a/b" };
    struct hx_buf part = { "content", 7 };
    struct hx_bytes address;

    (void)state;
    configure(EDGE);
    expect_text(hx_import(ctx, "edge", &spec, &part, 1, &address), &address, "hsm:edge/data/a%2Fb");
    expect_content("hsm:edge/data/a%2Fb", "content");
    assert_int_equal(hx_import(ctx, "edge", &spec, NULL, 0, NULL), HX_E_INVALID);
    put_key(0, "key", 1);
    expect_refused("hsm:edge/key/key", HX_E_UNSUPPORTED, "token 'edge': read");
}

static void a_certificate_takes_label_and_id_of_its_key(void **state)
{
    struct hx_spec spec = { .kind = HX_CERTIFICATE };
    const struct fake_object *mine, *silents, *strange;
    struct hx_buf part;
    struct hx_bytes address;

    (void)state;
    two_tokens();
    configure(EDGE);
    put_key(0, "other", 3);
    put_key(0, "mine", 1);
    put_key(0, "silent", 4)->public_unreadable = true;
    mine = put_cert(1, "leaf", 1, FAKE_VALID, 0);
    silents = put_cert(1, "voice", 4, FAKE_VALID, 0);
    strange = put_cert(1, "stranger", 5, FAKE_VALID, 0);
    part = (struct hx_buf){ mine->value, mine->value_len };
    expect_text(hx_import(ctx, NULL, &spec, &part, 1, &address), &address, "hsm:edge/cert/mine");
    expect_objects("hsm:edge/cert?id=01", "hsm:edge/cert/mine\n");
    part = (struct hx_buf){ silents->value, silents->value_len };
    expect_text(hx_import(ctx, NULL, &spec, &part, 1, &address), &address, "hsm:edge/cert/silent");
    expect_objects("hsm:edge/cert?id=04", "hsm:edge/cert/silent\n");
    part = (struct hx_buf){ strange->value, strange->value_len };
    expect_text(hx_import(ctx, NULL, &spec, &part, 1, &address), &address, "hsm:edge/cert/stranger");
    spec.label = "own";
    spec.id = (struct hx_buf){ "\x77", 1 };
    expect_text(hx_import(ctx, NULL, &spec, &part, 1, &address), &address, "hsm:edge/cert/own");
    part.len--;
    assert_int_equal(hx_import(ctx, NULL, &spec, &part, 1, &address), HX_E_INVALID);
    expect_said("not a certificate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(each_lists_all_tokens_or_one_or_one_kind),
        SCENE_TEST(each_stops_when_told_to),
        SCENE_TEST(a_token_that_cannot_be_listed_is_an_error_after_the_others),
        SCENE_TEST(without_a_configuration_an_absent_token_is_no_error),
        SCENE_TEST(two_objects_with_one_label_are_told_apart_by_id),
        SCENE_TEST(an_object_on_two_tokens_is_ambiguous),
        SCENE_TEST(pkcs11_addresses_find_their_token_and_object),
        SCENE_TEST(a_misspelt_address_is_refused),
        SCENE_TEST(the_pin_in_an_address_is_used_and_never_shown),
        SCENE_TEST(a_pin_that_could_be_for_two_tokens_is_sent_to_none),
        SCENE_TEST(each_configuration_has_its_own_names),
        SCENE_TEST(an_unknown_token_is_answered_with_those_that_are_there),
        SCENE_TEST(random_bytes_come_from_the_token),
        SCENE_TEST(a_generated_key_is_there_until_it_is_removed),
        SCENE_TEST(what_was_lost_in_the_middle_is_not_made_twice),
        SCENE_TEST(data_is_brought_in_and_read),
        SCENE_TEST(a_certificate_takes_label_and_id_of_its_key),
    };

    return cmocka_run_group_tests(tests, scene_build, scene_strike);
}
