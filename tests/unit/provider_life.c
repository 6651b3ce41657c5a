/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's comings and goings: loaded and unloaded over and over, with keys that outlive it; in several library
 * contexts; activated by a configuration file and by code, as a module and built in. */
#include "provider-keys.h"

#include <dirent.h>
#include <openssl/conf.h>
#include <sys/wait.h>

enum { LIVES = 100, SIG_MAX = 512 };

struct place {
    OSSL_LIB_CTX *libctx; /* NULL: the default one */
    OSSL_PROVIDER *software, *tokens;
};

static void load_into(struct place *place)
{
    place->software = OSSL_PROVIDER_load(place->libctx, "default");
    place->tokens = OSSL_PROVIDER_load(place->libctx, "hsmux");
    assert_non_null(place->software);
    assert_non_null(place->tokens);
}

static void unload_from(struct place *place)
{
    assert_int_equal(OSSL_PROVIDER_unload(place->tokens), 1);
    assert_int_equal(OSSL_PROVIDER_unload(place->software), 1);
}

static EVP_PKEY *read_in(OSSL_LIB_CTX *in_context, BIO *reference)
{
    char *text;
    long len = BIO_get_mem_data(reference, &text);
    BIO *pem = BIO_new_mem_buf(text, (int)len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, in_context, NULL);

    BIO_free(pem);
    return key;
}

static EVP_MD_CTX *begin_in(OSSL_LIB_CTX *in_context, EVP_PKEY *key, int kind)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (EVP_DigestSignInit_ex(ctx, NULL, kinds[kind].digest, in_context, NULL, key, NULL) == 1)
        return ctx;
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static bool finish(EVP_MD_CTX *ctx, int kind)
{
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);
    bool good = ctx && EVP_DigestSign(ctx, sig, &len, (const unsigned char *)message, sizeof(message)) == 1 &&
                verify(twins[kind], kind, sig, len);

    EVP_MD_CTX_free(ctx);
    return good;
}

static bool signs_in(OSSL_LIB_CTX *in_context, EVP_PKEY *key, int kind)
{
    return finish(begin_in(in_context, key, kind), kind);
}

static int open_files(void)
{
    DIR *files = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(files))
        count++;
    closedir(files);
    return count;
}

static void it_lives_a_hundred_times(void **state)
{
    struct place place = { .libctx = OSSL_LIB_CTX_new() };
    BIO *references[KEYS];
    int files = 0;

    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        references[kind] = reference_of(kind);
    assert_int_equal(OSSL_PROVIDER_add_builtin(place.libctx, "hsmux", hsmux_provider_init), 1);
    for (int life = 0, kind = RSA_2048; life < LIVES; life++, kind = other_kind(kind)) {
        EVP_PKEY *key;

        load_into(&place);
        key = read_in(place.libctx, references[kind]);
        assert_non_null(key);
        assert_ptr_equal(EVP_PKEY_get0_provider(key), place.tokens);
        assert_true(signs_in(place.libctx, key, kind));
        EVP_PKEY_free(key);
        unload_from(&place);
        assert_false(OSSL_PROVIDER_available(place.libctx, "hsmux"));
        if (life == 10)
            files = open_files();
    }
    assert_int_equal(open_files(), files);
    assert_null(read_in(place.libctx, references[0]));
    ERR_clear_error();
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        BIO_free(references[kind]);
    OSSL_LIB_CTX_free(place.libctx);
}

/* OpenSSL keeps the provider for as long as a key or a context of its lives. */
static void a_key_outlives_the_unloading(void **state)
{
    struct place place = { .libctx = OSSL_LIB_CTX_new() };
    BIO *references[KEYS];

    (void)state;
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        references[kind] = reference_of(kind);
    assert_int_equal(OSSL_PROVIDER_add_builtin(place.libctx, "hsmux", hsmux_provider_init), 1);
    for (int life = 0, kind = RSA_2048; life < LIVES / 4; life++, kind = other_kind(kind)) {
        EVP_PKEY *key, *copy;
        EVP_MD_CTX *begun;

        load_into(&place);
        key = read_in(place.libctx, references[kind]);
        begun = begin_in(place.libctx, key, kind);
        unload_from(&place);
        copy = EVP_PKEY_dup(key);
        EVP_PKEY_free(key);
        assert_int_equal(EVP_PKEY_get_bits(copy), EVP_PKEY_get_bits(twins[kind]));
        /* What has begun goes on; a new beginning does so only if OpenSSL still finds the operation. */
        assert_true(finish(begun, kind));
        signs_in(place.libctx, copy, kind);
        ERR_clear_error();
        if (life % 2) {
            load_into(&place);
            assert_true(signs_in(place.libctx, copy, kind));
            EVP_PKEY_free(copy);
            unload_from(&place);
        } else {
            EVP_PKEY_free(copy);
        }
    }
    for (int kind = 0; kind < KEYS; kind = next_kind(kind))
        BIO_free(references[kind]);
    OSSL_LIB_CTX_free(place.libctx);
}

static void it_is_loaded_twice(void **state)
{
    BIO *reference = reference_of(P256);
    OSSL_PROVIDER *again = OSSL_PROVIDER_load(libctx, "hsmux");
    EVP_PKEY *key;

    (void)state;
    assert_ptr_equal(again, ours);
    OSSL_PROVIDER_add_builtin(libctx, "hsmux", hsmux_provider_init);
    ERR_clear_error();
    key = read_in(libctx, reference);
    assert_true(signs_in(libctx, key, P256));
    assert_int_equal(OSSL_PROVIDER_unload(again), 1);
    assert_true(signs_in(libctx, key, P256));
    EVP_PKEY_free(key);
    key = read_in(libctx, reference);
    assert_true(signs_in(libctx, key, P256));
    EVP_PKEY_free(key);
    BIO_free(reference);
}

/* The test's own context, another one, and the default one. */
static void contexts_do_not_mind_each_other(void **state)
{
    struct place places[] = { { .libctx = OSSL_LIB_CTX_new() }, { .libctx = OSSL_LIB_CTX_new() }, { .libctx = NULL } };
    BIO *reference = reference_of(P384);
    EVP_PKEY *here = open_key(P384), *keys[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(OSSL_PROVIDER_add_builtin(places[i].libctx, "hsmux", hsmux_provider_init), 1);
        load_into(&places[i]);
        keys[i] = read_in(places[i].libctx, reference);
        assert_non_null(keys[i]);
        assert_ptr_equal(EVP_PKEY_get0_provider(keys[i]), places[i].tokens);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(signs_in(places[i].libctx, keys[i], P384));
        assert_int_equal(EVP_PKEY_eq(keys[i], here), 1);
        assert_int_equal(EVP_PKEY_eq(keys[i], keys[(i + 1) % 3]), 1);
    }
    for (int i = 0; i < 3; i++) {
        EVP_PKEY_free(keys[i]);
        unload_from(&places[i]);
        OSSL_LIB_CTX_free(places[i].libctx);
        for (int later = i + 1; later < 3; later++)
            assert_true(signs_in(places[later].libctx, keys[later], P384));
        assert_true(signs_in(libctx, here, P384));
    }
    EVP_PKEY_free(here);
    BIO_free(reference);
}

static void the_provider_tells_of_itself(void **state)
{
    const OSSL_PARAM *known = OSSL_PROVIDER_gettable_params(ours);
    int count = 0;

    (void)state;
    for (; known->key; known++, count++) {
        char *text = NULL;
        int number = 0;
        bool is_text = known->data_type == OSSL_PARAM_UTF8_PTR;
        OSSL_PARAM params[] = { is_text ? OSSL_PARAM_construct_utf8_ptr(known->key, &text, 0)
                                        : OSSL_PARAM_construct_int(known->key, &number),
                                OSSL_PARAM_construct_end() };

        assert_int_equal(OSSL_PROVIDER_get_params(ours, params), 1);
        assert_true(is_text ? *text : number == 1);
    }
    assert_int_equal(count, 4);
    assert_int_equal(OSSL_PROVIDER_self_test(ours), 1);
}

static void a_store_takes_what_it_can(void **state)
{
    OSSL_STORE_CTX *store = OSSL_STORE_open_ex("hsm:soft/key/rsa", libctx, NULL, NULL, NULL, NULL, NULL, NULL);
    OSSL_STORE_SEARCH *search = OSSL_STORE_SEARCH_by_alias("rsa");

    (void)state;
    assert_int_equal(OSSL_STORE_supports_search(store, OSSL_STORE_SEARCH_BY_ALIAS), 0);
    ERR_clear_error();
    assert_int_not_equal(OSSL_STORE_find(store, search), 1);
    assert_int_not_equal(ERR_get_error(), 0);
    ERR_clear_error();
    assert_int_equal(OSSL_STORE_expect(store, OSSL_STORE_INFO_CERT), 1);
    assert_null(OSSL_STORE_load(store));
    assert_int_equal(OSSL_STORE_eof(store), 1);
    assert_int_equal(OSSL_STORE_error(store), 0);
    OSSL_STORE_SEARCH_free(search);
    OSSL_STORE_close(store);
}

/* Beside this program, in the same build. */
static void module_path(char *ret, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", ret, size - 64);

    assert_true(len > 0);
    ret[len] = '\0';
    strcpy(strrchr(ret, '/'), "/../../providers/openssl/hsmux.so");
    if (access(ret, R_OK))
        fail_msg("build it first: %s", ret);
}

static void write_openssl_conf(void)
{
    char module[512], text[1024];

    module_path(module, sizeof(module));
    snprintf(text, sizeof(text),
             "openssl_conf = start\n[start]\nproviders = list\n[list]\ndefault = software\nhsmux = tokens\n[software]\n"
             "activate = 1\n[tokens]\nactivate = 1\nmodule = %s\n",
             module);
    put_file("openssl.cnf", text);
}

/* A process of its own, which starts as any program does. */
static void run_self(const char *role, const char *openssl_conf)
{
    char reference[64], cnf[64];
    int status;
    pid_t pid;

    snprintf(reference, sizeof(reference), "%s/key.ref", directory);
    snprintf(cnf, sizeof(cnf), "%s/openssl.cnf", directory);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        setenv("OPENSSL_CONF", openssl_conf ? openssl_conf : cnf, 1);
        execl("/proc/self/exe", "test-provider_life", role, reference, cnf, (char *)NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status)
        fail_msg("'%s' ended with status %#x", role, (unsigned)status);
}

static const char *const roles[] = { "environment", "code-after-configuration", "configuration-after-code",
                                     "builtin-beside-module", "module-beside-builtin" };

static void it_is_activated_by_configuration_and_by_code(void **state)
{
    BIO *reference = reference_of(P256);
    char *text;
    long len = BIO_get_mem_data(reference, &text);

    (void)state;
    text[len - 1] = '\0'; /* its last line's end */
    put_file("key.ref", text);
    write_openssl_conf();
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
        run_self(roles[i], i ? "/dev/null" : NULL);
    BIO_free(reference);
}

/* From here on: what such a process does.  There is no cmocka in it. */
static bool reads_and_signs(OSSL_LIB_CTX *in_context, const char *path)
{
    unsigned char sig[SIG_MAX];
    size_t len = sizeof(sig);
    BIO *pem = BIO_new_file(path, "r");
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(pem, NULL, NULL, NULL, in_context, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = key && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", in_context, NULL, key, NULL) == 1 &&
                EVP_DigestSign(ctx, sig, &len, (const unsigned char *)"x", 1) == 1 &&
                EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", in_context, NULL, key, NULL) == 1 &&
                EVP_DigestVerify(ctx, sig, len, (const unsigned char *)"x", 1) == 1;

    ERR_print_errors_fp(stderr);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BIO_free(pem);
    return good;
}

static bool play(const char *role, const char *reference, const char *cnf)
{
    OSSL_LIB_CTX *context = strcmp(role, "environment") ? OSSL_LIB_CTX_new() : NULL;
    bool code_first = !strcmp(role, "configuration-after-code");
    bool builtin_first = !strcmp(role, "module-beside-builtin"), good = true;
    bool builtin = builtin_first || !strcmp(role, "builtin-beside-module");
    OSSL_PROVIDER *software = NULL, *tokens = NULL;
    char directory_of_module[512];

    if (builtin_first)
        good = OSSL_PROVIDER_add_builtin(context, "hsmux", hsmux_provider_init) == 1;
    if (code_first) {
        software = OSSL_PROVIDER_load(context, "default");
        module_path(directory_of_module, sizeof(directory_of_module));
        *strrchr(directory_of_module, '/') = '\0';
        good = OSSL_PROVIDER_set_default_search_path(context, directory_of_module) == 1;
        tokens = OSSL_PROVIDER_load(context, "hsmux");
        good = good && software && tokens && reads_and_signs(context, reference);
    }
    if (context)
        good = good && OSSL_LIB_CTX_load_config(context, cnf) == 1;
    if (builtin && !builtin_first) /* taken or refused, but no harm */
        OSSL_PROVIDER_add_builtin(context, "hsmux", hsmux_provider_init);
    ERR_clear_error();
    good = good && reads_and_signs(context, reference);
    if (!tokens)
        tokens = OSSL_PROVIDER_load(context, "hsmux");
    good = good && tokens && reads_and_signs(context, reference);
    /* A configuration's activation holds it after the program has let go, unless it found it loaded. */
    good = good && OSSL_PROVIDER_unload(tokens) == 1 && (code_first || reads_and_signs(context, reference));
    OSSL_PROVIDER_unload(software);
    OSSL_LIB_CTX_free(context);
    return good;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_lives_a_hundred_times),
        cmocka_unit_test(a_key_outlives_the_unloading),
        cmocka_unit_test(it_is_loaded_twice),
        cmocka_unit_test(contexts_do_not_mind_each_other),
        cmocka_unit_test(the_provider_tells_of_itself),
        cmocka_unit_test(a_store_takes_what_it_can),
        cmocka_unit_test(it_is_activated_by_configuration_and_by_code),
    };

    if (argc == 4)
        return play(argv[1], argv[2], argv[3]) ? 0 : 1;
    return can_run() ? cmocka_run_group_tests(tests, set_up, tear_down) : 77;
}
