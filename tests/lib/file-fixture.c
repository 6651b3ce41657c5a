/* SPDX-License-Identifier: Apache-2.0 */
/* See file-fixture.h. */
#include "file-fixture.h"

#include "encode.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

const struct hx_plugin *file_plugin_entry(void);
const struct hx_plugin *plugin;

static int open_token(struct fixture *f)
{
    return plugin->open(&f->host.host, NULL, &f->token);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    plugin = file_plugin_entry();
    strcpy(f->base, "/tmp/hsmux-file-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->dir, sizeof f->dir, "%s/token", f->base);
    assert_int_equal(mkdir(f->dir, 0700), 0);
    plugin_host_init(&f->host);
    plugin_host_set(&f->host, "directory", f->dir);
    assert_int_equal(open_token(f), 0);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->token)
        plugin->close(f->token);
    plugin_host_free(&f->host);
    nftw(f->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

void fixture_reopen(struct fixture *f)
{
    plugin->close(f->token);
    f->token = NULL;
    plugin_host_clear(&f->host);
    assert_int_equal(open_token(f), 0);
}

const char *fixture_path(const struct fixture *f, const char *file)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", f->dir, file);
    return path;
}

void fixture_put(const struct fixture *f, const char *file, unsigned mode, const void *data, size_t len)
{
    int fd = open(fixture_path(f, file), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

size_t fixture_get(const struct fixture *f, const char *file, char *buffer, size_t size)
{
    int fd = open(fixture_path(f, file), O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, buffer, size - 1);
    close(fd);
    assert_true(len >= 0);
    buffer[len] = 0;
    return (size_t)len;
}

bool fixture_has(const struct fixture *f, const char *file)
{
    return !access(fixture_path(f, file), F_OK);
}

EVP_PKEY *fixture_key(uint32_t type)
{
    static const char *const groups[] = { [HX_P256] = "P-256", [HX_P384] = "P-384", [HX_P521] = "P-521" };
    if (type == HX_RSA)
        return EVP_RSA_gen(2048);
    return type == HX_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(groups[type]);
}

void fixture_put_key(const struct fixture *f, const char *file, EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase ? EVP_aes_256_cbc() : NULL;
    char *text;
    assert_true(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, passphrase, passphrase ? (int)strlen(passphrase) : 0,
                                              NULL, NULL));
    long len = BIO_get_mem_data(bio, &text);
    fixture_put(f, file, 0600, text, (size_t)len);
    BIO_free(bio);
}

void fixture_put_bundle(const struct fixture *f, EVP_PKEY *key, EVP_PKEY *ca)
{
    char pem[16384] = "first words\n", text[4096];
    fixture_put_key(f, "b.pem", key, NULL);
    fixture_get(f, "b.pem", text, sizeof text);
    strcat(pem, text);
    strcat(pem, "leaf words\n");
    fixture_certificate_pem(key, "leaf", text, sizeof text);
    strcat(pem, text);
    strcat(pem, "ca words\n");
    fixture_certificate_pem(ca, "ca", text, sizeof text);
    strcat(pem, text);
    strcat(pem, "last words\n");
    fixture_put(f, "b.pem", 0600, pem, strlen(pem));
}

size_t fixture_certificate(EVP_PKEY *key, const char *name, unsigned char **ret_der)
{
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                               0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
    *ret_der = NULL;
    int len = i2d_X509(cert, ret_der);
    assert_true(len > 0);
    X509_free(cert);
    return (size_t)len;
}

size_t fixture_certificate_pem(EVP_PKEY *key, const char *name, char *buffer, size_t size)
{
    unsigned char *der;
    size_t len = fixture_certificate(key, name, &der);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio(bio, "CERTIFICATE", "", der, (long)len);
    int got = BIO_read(bio, buffer, (int)size - 1);
    assert_true(got > 0);
    buffer[got] = 0;
    BIO_free(bio);
    OPENSSL_free(der);
    return (size_t)got;
}

int fixture_generate(struct fixture *f, uint32_t type, const char *label, uint32_t flags)
{
    struct plugin_bytes ref;
    struct hx_spec spec = {
        .kind = type == HX_GENERIC ? HX_SECRET_KEY : HX_PRIVATE_KEY, .type = type, .label = label, .flags = flags
    };
    plugin_bytes_init(&ref);
    int result = plugin->generate(f->token, &spec, &ref.out);
    assert_int_equal(ref.len > 0, result == 0);
    plugin_bytes_free(&ref);
    return result;
}

int fixture_import(struct fixture *f, uint32_t kind, const char *label, uint32_t flags, const void *data, size_t len)
{
    struct plugin_bytes ref;
    struct hx_spec spec = { .kind = kind, .label = label, .flags = flags };
    struct hx_buf part = { data, len };
    plugin_bytes_init(&ref);
    int result = plugin->import(f->token, &spec, &part, 1, &ref.out);
    assert_int_equal(ref.len > 0, result == 0);
    plugin_bytes_free(&ref);
    return result;
}

static struct hx_buf number_of(EVP_PKEY *key, const char *name, unsigned char store[512])
{
    BIGNUM *bn = NULL;
    assert_true(EVP_PKEY_get_bn_param(key, name, &bn));
    int len = BN_bn2bin(bn, store);
    BN_free(bn);
    return (struct hx_buf){ store, (size_t)len };
}

size_t fixture_parts(EVP_PKEY *key, uint32_t type, unsigned char store[8][512], struct hx_buf part[8])
{
    static const char *const rsa[] = { OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                       OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                       OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                       OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1 };
    size_t len = 512;
    if (type == HX_RSA) {
        for (size_t i = 0; i < 8; i++)
            part[i] = number_of(key, rsa[i], store[i]);
        return 8;
    }
    if (type == HX_ED25519) {
        EVP_PKEY_get_raw_private_key(key, store[0], &len);
        part[0] = (struct hx_buf){ store[0], len };
        EVP_PKEY_get_raw_public_key(key, store[1], &len);
    } else {
        part[0] = number_of(key, OSSL_PKEY_PARAM_PRIV_KEY, store[0]);
        EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, store[1], len, &len);
    }
    part[1] = (struct hx_buf){ store[1], len };
    return 2;
}

int fixture_import_key(struct fixture *f, const char *label, uint32_t flags, EVP_PKEY *key, uint32_t type)
{
    unsigned char store[8][512];
    struct hx_buf part[8];
    struct plugin_bytes ref;
    struct hx_spec spec = { .kind = HX_PRIVATE_KEY, .type = type, .label = label, .flags = flags };
    plugin_bytes_init(&ref);
    int result = plugin->import(f->token, &spec, part, fixture_parts(key, type, store, part), &ref.out);
    plugin_bytes_free(&ref);
    return result;
}

size_t fixture_list(struct fixture *f, struct plugin_objects *ret)
{
    plugin_objects_init(ret, NULL);
    assert_int_equal(plugin->list(f->token, &ret->list), 0);
    return ret->count;
}

int fixture_load(struct fixture *f, uint32_t kind, const char *ref, void **ret)
{
    struct plugin_objects info;
    plugin_objects_init(&info, NULL);
    int result = plugin->load(f->token, kind, ref, strlen(ref), &info.list, ret);
    assert_int_equal(info.count, result ? 0 : 1);
    plugin_objects_free(&info);
    return result;
}

void *fixture_find(struct fixture *f, uint32_t kind, const char *label, struct hx_object *ret)
{
    struct plugin_objects all, info;
    void *object = NULL;
    fixture_list(f, &all);
    const struct hx_object *found = plugin_objects_find(&all, kind, label);
    if (found) {
        plugin_objects_init(&info, NULL);
        assert_int_equal(plugin->load(f->token, kind, found->ref.data, found->ref.len, &info.list, &object), 0);
        assert_int_equal(info.count, 1);
        assert_int_equal(info.object->id.len, found->id.len);
        if (found->type) /* what was listed of it is what it is */
            assert_memory_equal(info.object->id.data, found->id.data, found->id.len);
        assert_string_equal(info.object->label, label);
        *ret = *info.object;
        ret->label = NULL;
        ret->id = ret->ref = (struct hx_buf){ NULL, 0 };
        plugin_objects_free(&info);
    }
    plugin_objects_free(&all);
    return object;
}

static void verify(void *object, const struct hx_object *info, const struct hx_alg *alg, const void *in, size_t len,
                   const struct plugin_bytes *signature)
{
    struct plugin_bytes public;
    struct hx_bytes spki = { 0 }, der = { 0 };
    plugin_bytes_init(&public);
    assert_int_equal(plugin->read(object, HX_PUBLIC, &public.out), 0);
    assert_int_equal(encode_spki(info, public.data, public.len, &spki), 0);
    const void *encoded = signature->data;
    size_t encoded_len = signature->len;
    if (alg->scheme == HX_ECDSA) {
        assert_int_equal(signature->len, 2 * key_width(info->type, info->bits));
        assert_int_equal(encode_ecdsa(signature->data, signature->len, &der), 0);
        encoded = der.data;
        encoded_len = der.len;
    }
    assert_int_equal(encode_verify(spki.data, spki.len, alg, in, len, encoded, encoded_len), 0);
    hx_bytes_free(&spki);
    hx_bytes_free(&der);
    plugin_bytes_free(&public);
}

int fixture_sign_with(void *object, const struct hx_object *info, const struct hx_alg *alg, const void *in, size_t len)
{
    struct plugin_bytes signature;
    plugin_bytes_init(&signature);
    int result = plugin->sign(object, alg, in, len, &signature.out);
    if (!result)
        verify(object, info, alg, in, len, &signature);
    plugin_bytes_free(&signature);
    return result;
}

int fixture_sign(void *object, const struct hx_object *info)
{
    static const unsigned char digest[32] = "just thirty-two bytes, no digest";
    struct hx_alg alg = { .scheme = HX_ECDSA, .hash = HX_SHA256 };
    if (info->type == HX_RSA)
        alg.scheme = HX_RSA_PKCS1;
    if (info->type == HX_ED25519)
        alg = (struct hx_alg){ .scheme = HX_EDDSA };
    return fixture_sign_with(object, info, &alg, digest, sizeof digest);
}

void fixture_expect_key(struct fixture *f, const char *label, EVP_PKEY *key)
{
    struct hx_object info;
    struct plugin_bytes public;
    struct hx_bytes spki = { 0 };
    unsigned char *der = NULL;
    void *object = fixture_find(f, HX_PRIVATE_KEY, label, &info);
    assert_non_null(object);
    plugin_bytes_init(&public);
    assert_int_equal(plugin->read(object, HX_PUBLIC, &public.out), 0);
    assert_int_equal(encode_spki(&info, public.data, public.len, &spki), 0);
    int len = i2d_PUBKEY(key, &der);
    assert_int_equal(spki.len, len);
    assert_memory_equal(spki.data, der, spki.len);
    assert_int_equal(fixture_sign(object, &info), 0);
    OPENSSL_free(der);
    hx_bytes_free(&spki);
    plugin_bytes_free(&public);
    plugin->unload(object);
}
