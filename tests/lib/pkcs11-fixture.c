/* SPDX-License-Identifier: Apache-2.0 */
/* The pkcs11 plugin on real SoftHSM tokens: see pkcs11-fixture.h. */
#include "pkcs11-fixture.h"

#include "encode.h"

#include <dlfcn.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct hx_plugin *plugin;
struct plugin_host host;
char directory[64];
static char log_path[96], build[512];
static void *counter;

static const char *softhsm(void)
{
    static const char *const places[] = { "/usr/lib/softhsm/libsofthsm2.so",
                                          "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                          "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
                                          "/usr/lib64/pkcs11/libsofthsm2.so" };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], R_OK) == 0)
            return places[i];
    return NULL;
}

void run(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    int status;

    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    strcat(command, " >/dev/null 2>&1");
    status = system(command);
    if (status != 0)
        fail_msg("failed: %s", command);
}

void run_self(const char *what)
{
    char self[512] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    if (system(NULL) == 0)
        skip();
    snprintf(self + strlen(self), sizeof self - strlen(self), " %s %s >&2", directory, what);
    if (system(self) != 0)
        fail_msg("failed: %s", self);
}

/* The build directory is two above the test program's. */
static void find_build(void)
{
    char self[512] = "";

    if (readlink("/proc/self/exe", self, sizeof self - 1) > 0)
        snprintf(build, sizeof build, "%s", dirname(dirname(dirname(self))));
}

static void start_directory(const char *named)
{
    char path[96];
    FILE *conf;

    snprintf(directory, sizeof directory, "%s", named ? named : "/tmp/hsmux-pkcs11-XXXXXX");
    if (!named && !mkdtemp(directory))
        abort();
    snprintf(path, sizeof path, "%s/softhsm2.conf", directory);
    setenv("SOFTHSM2_CONF", path, 1);
    if (!named) {
        conf = fopen(path, "w");
        fprintf(conf, "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", directory);
        fclose(conf);
        run("mkdir -m 700 %s/tokens", directory);
    }
    snprintf(log_path, sizeof log_path, "%s/calls", directory);
    setenv("P11_COUNTER_LOG", log_path, 1);
}

static CK_FUNCTION_LIST *module_functions(void)
{
    CK_C_GetFunctionList get;
    CK_FUNCTION_LIST *fn;

    *(void **)&get = dlsym(counter, "C_GetFunctionList");
    assert_int_equal(get(&fn), CKR_OK);
    return fn;
}

int fixture_start(const char *named)
{
    const struct hx_plugin *(*entry)(void);
    char path[600];
    void *handle;

    if (!softhsm()) {
        print_message("SoftHSM is not installed\n");
        return -1;
    }
    setenv("P11_COUNTER_MODULE", softhsm(), 1);
    find_build();
    start_directory(named);
    snprintf(path, sizeof path, "%s/plugins/pkcs11/pkcs11.so", build);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        print_message("%s\n", dlerror());
        return -1;
    }
    *(void **)&entry = dlsym(handle, "hx_plugin_v1");
    plugin = entry();
    plugin_host_init(&host);
    snprintf(path, sizeof path, "%s/tests/lib/p11-counter.so", build);
    plugin_host_set(&host, "module", path);
    if (counter) /* the module knows another directory's tokens; the plugin will initialise it again */
        module_functions()->C_Finalize(NULL);
    counter = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return counter ? 0 : -1;
}

int fixture_stop(void)
{
    plugin_host_free(&host);
    run("rm -rf %s", directory);
    return 0;
}

void make_token(const char *label)
{
    run("softhsm2-util --init-token --free --label '%s' --pin " TEST_PIN " --so-pin " TEST_PIN, label);
}

unsigned calls(const char *function)
{
    char line[80], name[64];
    unsigned count = 0;
    FILE *log = fopen(log_path, "r");

    while (log && fgets(line, sizeof line, log))
        if (sscanf(line, "%*d %63s", name) == 1 && strcmp(name, "C_GetFunctionList"))
            count += !function || !strcmp(name, function);
    if (log)
        fclose(log);
    return count;
}

void forget_calls(void)
{
    if (truncate(log_path, 0) != 0)
        fail_msg("no %s", log_path);
}

void close_all_sessions(void)
{
    CK_FUNCTION_LIST *fn = module_functions();
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;

    assert_int_equal(fn->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++)
        assert_int_equal(fn->C_CloseAllSessions(slots[i]), CKR_OK);
}

/* A session of the test's own; the login that it shares is the plugin's. */
static CK_SESSION_HANDLE open_session(const char *label)
{
    CK_FUNCTION_LIST *fn = module_functions();
    CK_SESSION_HANDLE session;
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;
    CK_TOKEN_INFO info;

    assert_int_equal(fn->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        assert_int_equal(fn->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (strncmp((char *)info.label, label, strlen(label)))
            continue;
        assert_int_equal(fn->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
                         CKR_OK);
        return session;
    }
    fail_msg("no token '%s'", label);
    return 0;
}

size_t count_objects(const char *token)
{
    CK_FUNCTION_LIST *fn = module_functions();
    CK_SESSION_HANDLE session = open_session(token);
    CK_OBJECT_HANDLE found[512];
    CK_ULONG count = 0;

    assert_int_equal(fn->C_FindObjectsInit(session, NULL, 0), CKR_OK);
    assert_int_equal(fn->C_FindObjects(session, found, 512, &count), CKR_OK);
    assert_int_equal(fn->C_FindObjectsFinal(session), CKR_OK);
    assert_int_equal(fn->C_CloseSession(session), CKR_OK);
    return count;
}

void make_secret(const char *token, const char *label, unsigned long key_type)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    unsigned char value[64] = { 7 };
    char name[64];
    CK_ATTRIBUTE at[] = {
        { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &key_type, sizeof key_type },
        { CKA_TOKEN, &yes, sizeof yes },     { CKA_SIGN, &yes, sizeof yes },
        { CKA_VALUE, value, sizeof value },  { CKA_LABEL, name, strlen(label) },
    };
    CK_SESSION_HANDLE session = open_session(token);
    CK_OBJECT_HANDLE made;

    snprintf(name, sizeof name, "%s", label);
    assert_int_equal(module_functions()->C_CreateObject(session, at, sizeof at / sizeof *at, &made), CKR_OK);
    assert_int_equal(module_functions()->C_CloseSession(session), CKR_OK);
}

void restart_module(void)
{
    CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };

    assert_int_equal(module_functions()->C_Finalize(NULL), CKR_OK);
    assert_int_equal(module_functions()->C_Initialize(&args), CKR_OK);
}

void assert_refused(int r, int expected, const char *text)
{
    if (r != expected || !plugin_host_said(&host, text))
        fail_msg("%d instead of %d, or no \"%s\" in: %s", r, expected, text, host.reason);
}

static void must(int r)
{
    if (r)
        fail_msg("%d: %s", r, host.reason);
}

void *open_token(const char *label)
{
    void *token = NULL;

    plugin_host_set(&host, "token", label);
    must(plugin->open(&host.host, NULL, &token));
    return token;
}

int login(void *token, const char *pin)
{
    return plugin->login(token, pin, strlen(pin));
}

void *open_and_login(const char *label)
{
    void *token = open_token(label);

    must(login(token, TEST_PIN));
    return token;
}

struct plugin_objects list(void *token, uint32_t kind, const char *label)
{
    struct hx_object want = { .kind = kind, .label = label };
    struct plugin_objects objects;

    plugin_objects_init(&objects, &want);
    must(plugin->list(token, &objects.list));
    objects.list.want = NULL;
    return objects;
}

void *load(void *token, const struct hx_object *object)
{
    struct plugin_objects info;
    void *loaded = NULL;

    plugin_objects_init(&info, NULL);
    must(plugin->load(token, object->kind, object->ref.data, object->ref.len, &info.list, &loaded));
    assert_int_equal(info.count, 1);
    assert_int_equal(info.object[0].type, object->type);
    plugin_objects_free(&info);
    return loaded;
}

void *load_by_label(void *token, uint32_t kind, const char *label)
{
    struct plugin_objects objects = list(token, kind, label);
    void *loaded;

    if (objects.count != 1)
        fail_msg("%zu objects '%s'", objects.count, label);
    loaded = load(token, &objects.object[0]);
    plugin_objects_free(&objects);
    return loaded;
}

int generate(void *token, uint32_t type, uint32_t bits, const char *label, const char *id, uint32_t flags)
{
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = type, .bits = bits, .flags = flags, .label = label };
    struct plugin_bytes ref;
    int r;

    if (id)
        spec.id = (struct hx_buf){ id, strlen(id) };
    plugin_bytes_init(&ref);
    r = plugin->generate(token, &spec, &ref.out);
    plugin_bytes_free(&ref);
    return r;
}

static const unsigned char message[64] = "as long as the longest digest that there is";

int sign(void *key, uint32_t scheme, uint32_t hash, uint32_t salt, struct plugin_bytes *ret)
{
    struct hx_alg alg = { .scheme = scheme, .hash = hash, .salt_len = salt };
    size_t len = hash ? hash_size(hash) : 32;

    plugin_bytes_init(ret);
    return plugin->sign(key, &alg, message, len, &ret->out);
}

static void read_spki(void *key, const struct hx_object *object, struct hx_bytes *ret)
{
    struct plugin_bytes public;

    plugin_bytes_init(&public);
    must(plugin->read(key, HX_PUBLIC, &public.out));
    must(encode_spki(object, public.data, public.len, ret));
    plugin_bytes_free(&public);
}

EVP_PKEY *public_key(void *token, const char *label)
{
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, label);
    AUTO_BYTES struct hx_bytes spki = { 0 };
    const unsigned char *at;
    void *key = load(token, &keys.object[0]);
    EVP_PKEY *public;

    read_spki(key, &keys.object[0], &spki);
    at = spki.data;
    public = d2i_PUBKEY(NULL, &at, (long)spki.len);
    assert_non_null(public);
    plugin->unload(key);
    plugin_objects_free(&keys);
    return public;
}

void sign_and_verify(void *token, const char *label, uint32_t scheme, uint32_t hash, uint32_t salt)
{
    struct hx_alg alg = { .scheme = scheme, .hash = hash, .salt_len = salt };
    struct plugin_objects keys = list(token, HX_PRIVATE_KEY, label);
    AUTO_BYTES struct hx_bytes spki = { 0 }, der = { 0 };
    struct plugin_bytes signature;
    void *key = load(token, &keys.object[0]);
    int r;

    read_spki(key, &keys.object[0], &spki);
    must(sign(key, scheme, hash, salt, &signature));
    if (scheme == HX_ECDSA)
        must(encode_ecdsa(signature.data, signature.len, &der));
    else
        must(bytes_append(&der, signature.data, signature.len));
    r = encode_verify(spki.data, spki.len, &alg, message, hash ? hash_size(hash) : 32, der.data, der.len);
    if (r)
        fail_msg("'%s', scheme %u, hash %u: %s", label, scheme, hash, hx_last_error());
    plugin->unload(key);
    plugin_bytes_free(&signature);
    plugin_objects_free(&keys);
}
