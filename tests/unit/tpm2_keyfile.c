/* SPDX-License-Identifier: Apache-2.0 */
/* Key files of the tpm2 plugin: what is read and written, and what is refused and why. */
#include "../../plugins/tpm2/keyfile.h"
#include "plugin-host.h"

#include <openssl/asn1.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include <cmocka.h>

/* Made by tpm2-openssl 1.1.1 for a TPM that is no more. */
static const char sample[] = "-----BEGIN TSS2 PRIVATE KEY-----\n"
                             "MIHwBgZngQUKAQOgAwEBAQIEQAAAAQRYAFYAIwALAAYAcgAAABAAEAADABAAIPWY\n"
                             "9A0he3yrVjAspb2UHJeKgKpPWwAed85/7HxX4zDFACC9yyBlQaUackDFsXAaRql4\n"
                             "w1ZPu0a2zXGpFfxpd+qewASBgAB+ACCn6o1/znJKblhAgtYiA/TnbUyTf3JlSPGd\n"
                             "wcaFOApGtAAQoNvHiRUpX61HVlkRLU6Tly3BxhXynnsKu83tIKHw+I+4CIqHAe8C\n"
                             "3GVksaOOLLJ1h0Ki2YY/xWWjv9laQdkn7pgbJ4LDvtBCD3cccien4Zo6F8A7HQwq\n"
                             "ip9+\n"
                             "-----END TSS2 PRIVATE KEY-----\n";

static struct plugin_host host;

static int setup(void **state)
{
    (void)state;
    plugin_host_init(&host);
    return 0;
}

static int parse(const char *text, size_t len, struct tpm_keyfile *ret)
{
    char *copy = malloc(len + 1); /* of just this size, for what watches the memory */
    memcpy(copy, text, len);
    plugin_host_clear(&host);
    int result = tpm_keyfile_parse(&host.host, "/k/x.tss", copy, len, ret);
    free(copy);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(result != 0, plugin_host_said(&host, "'/k/x.tss'"));
    return result;
}

static struct tpm_keyfile parse_sample(void)
{
    struct tpm_keyfile file;
    assert_int_equal(parse(sample, strlen(sample), &file), 0);
    return file;
}

static char *print(const struct tpm_keyfile *file)
{
    char *text;
    size_t len;
    assert_int_equal(tpm_keyfile_print(&host.host, file, &text, &len), 0);
    assert_int_equal(strlen(text), len);
    return text;
}

static void expect_same(const struct tpm_keyfile *a, const struct tpm_keyfile *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->empty_auth, b->empty_auth);
    assert_int_equal(a->parent, b->parent);
    assert_memory_equal(&a->public, &b->public, sizeof a->public);
    assert_memory_equal(&a->private, &b->private, sizeof a->private);
}

static void what_is_printed_is_read_again(void **state)
{
    (void)state;
    struct tpm_keyfile file = parse_sample(), again;
    assert_int_equal(file.type, TPM_KEYFILE_KEY);
    assert_true(file.empty_auth);
    assert_int_equal(file.parent, TPM2_RH_OWNER);
    assert_int_equal(file.public.publicArea.type, TPM2_ALG_ECC);
    assert_int_equal(file.public.publicArea.unique.ecc.x.size, 32);
    assert_int_equal(file.private.size, 126);
    static const TPM2_HANDLE parents[] = { TPM2_RH_OWNER, 0x81000001, 0x81ffffff };
    for (size_t i = 0; i < 6; i++) {
        file.parent = parents[i / 2];
        file.empty_auth = i % 2;
        char *text = print(&file);
        assert_int_equal(parse(text, strlen(text), &again), 0);
        expect_same(&file, &again);
        free(text);
    }
}

static void other_blocks_and_words_may_stand_beside_it(void **state)
{
    (void)state;
    static const char other[] = "words\n-----BEGIN X-----\nAAAA\n-----END X-----\n";
    char text[2048];
    struct tpm_keyfile file = parse_sample(), again;
    snprintf(text, sizeof text, "%s%s%smore words", other, sample, other);
    assert_int_equal(parse(text, strlen(text), &again), 0);
    expect_same(&file, &again);
    assert_int_equal(parse(other, strlen(other), &again), HX_E_NOT_FOUND);
    assert_int_equal(parse("", 0, &again), HX_E_NOT_FOUND);
    snprintf(text, sizeof text, "%s%s", sample, sample);
    assert_int_equal(parse(text, strlen(text), &again), HX_E_CONFIG);
    assert_true(plugin_host_said(&host, "more than one"));
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct tpm_keyfile file;
    size_t whole = strlen(sample) - 1; /* nobody misses the last newline */
    for (size_t len = 0; len < whole; len++) {
        int result = parse(sample, len, &file);
        assert_true(result == HX_E_CONFIG ||
                    (result == HX_E_NOT_FOUND && len <= strlen("-----BEGIN TSS2 PRIVATE KEY-----")));
    }
    assert_int_equal(parse(sample, whole, &file), 0);
}

/* As a PEM block; *ret_len: without the NUL. */
static char *armour(const unsigned char *der, size_t len, size_t *ret_len)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text, *copy;
    assert_true(PEM_write_bio(bio, "TSS2 PRIVATE KEY", "", der, (long)len) > 0);
    long size = BIO_get_mem_data(bio, &text);
    copy = strndup(text, (size_t)size);
    *ret_len = (size_t)size;
    BIO_free(bio);
    return copy;
}

static int parse_der(const unsigned char *der, size_t len, struct tpm_keyfile *ret)
{
    size_t text_len;
    char *text = armour(der, len, &text_len);
    int result = parse(text, text_len, ret);
    free(text);
    return result;
}

static unsigned char *sample_der(size_t *ret_len)
{
    BIO *bio = BIO_new_mem_buf(sample, -1);
    char *name, *header;
    unsigned char *der;
    long len;
    assert_true(PEM_read_bio(bio, &name, &header, &der, &len));
    OPENSSL_free(name);
    OPENSSL_free(header);
    BIO_free(bio);
    *ret_len = (size_t)len;
    return der;
}

static void no_broken_byte_does_harm(void **state)
{
    (void)state;
    size_t len;
    unsigned char *der = sample_der(&len);
    struct tpm_keyfile file, again, good = parse_sample();
    for (size_t i = 1; i < len; i++)
        assert_int_equal(parse_der(der, i, &file), HX_E_CONFIG);
    for (size_t i = 0; i < len * 8; i++) {
        der[i / 8] ^= (unsigned char)(1 << i % 8);
        int result = parse_der(der, len, &file);
        assert_true(!result || result == HX_E_CONFIG || result == HX_E_UNSUPPORTED);
        if (!result) { /* then it is another key, which the TPM will refuse, and none of it is lost */
            char *text = print(&file);
            assert_int_equal(parse(text, strlen(text), &again), 0);
            expect_same(&file, &again);
            free(text);
        }
        der[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    unsigned char *longer = malloc(len + 1);
    memcpy(longer, der, len);
    longer[len] = 0;
    assert_int_equal(parse_der(longer, len + 1, &file), HX_E_CONFIG);
    free(longer);
    OPENSSL_free(der);
    file = parse_sample();
    expect_same(&file, &good);
}

static void print_hex(const unsigned char *data, size_t len, char *ret)
{
    for (size_t i = 0; i < len; i++)
        sprintf(ret + 2 * i, "%02x", data[i]);
}

/* A key file as libcrypto's configuration language has it; extra: its optional lines.  tail: bytes (hex) that the
 * public part ends with and should not. */
static int parse_made(const char *oid, const char *extra, const char *parent, const TPM2B_PUBLIC *public,
                      const char *tail, struct tpm_keyfile *ret)
{
    char text[12288], public_hex[4096], private_hex[4096];
    unsigned char bytes[1500], *der = NULL;
    size_t len = 0;
    struct tpm_keyfile file = parse_sample();
    assert_int_equal(Tss2_MU_TPM2B_PUBLIC_Marshal(public, bytes, sizeof bytes, &len), 0);
    print_hex(bytes, len, public_hex);
    len = 0;
    assert_int_equal(Tss2_MU_TPM2B_PRIVATE_Marshal(&file.private, bytes, sizeof bytes, &len), 0);
    print_hex(bytes, len, private_hex);
    snprintf(
        text, sizeof text,
        "[key]\na=OID:%s\n%sp=INTEGER:%s\nq=FORMAT:HEX,OCT:%s%s\nr=FORMAT:HEX,OCT:%s\n[list]\nx=INTEGER:1\n[none]\n",
        oid, extra, parent, public_hex, tail, private_hex);
    BIO *bio = BIO_new_mem_buf(text, -1);
    CONF *conf = NCONF_new(NULL);
    assert_int_equal(NCONF_load_bio(conf, bio, NULL), 1);
    ASN1_TYPE *made = ASN1_generate_nconf("SEQUENCE:key", conf);
    assert_non_null(made);
    int der_len = i2d_ASN1_TYPE(made, &der);
    assert_true(der_len > 0);
    int result = parse_der(der, (size_t)der_len, ret);
    OPENSSL_free(der);
    ASN1_TYPE_free(made);
    NCONF_free(conf);
    BIO_free(bio);
    return result;
}

#define LOADABLE "2.23.133.10.1.3"
#define SEALED "2.23.133.10.1.5"
#define OWNER "0x40000001"

static void each_optional_part_is_understood_or_refused(void **state)
{
    static const struct {
        const char *extra, *parent;
        int result;
        const char *reason;
    } rows[] = {
        { "", OWNER, 0, NULL },
        { "b=EXP:0,BOOL:false\n", OWNER, 0, NULL },
        { "b=EXP:0,BOOL:true\n", OWNER, 0, NULL },
        { "b=EXP:1,SEQ:none\nc=EXP:3,SEQ:none\n", OWNER, 0, NULL },
        { "b=EXP:4,UTF8:mine\nc=EXP:5,BOOL:false\nd=EXP:6,OCT:x\n", OWNER, 0, NULL },
        { "b=EXP:1,SEQ:list\n", OWNER, HX_E_UNSUPPORTED, "policy" },
        { "b=EXP:3,SEQ:list\n", OWNER, HX_E_UNSUPPORTED, "policy" },
        { "b=EXP:2,OCT:x\n", OWNER, HX_E_UNSUPPORTED, "import" },
        { "b=EXP:5,BOOL:true\n", OWNER, HX_E_UNSUPPORTED, "RSA" },
        { "b=EXP:7,BOOL:true\n", OWNER, HX_E_CONFIG, "TPMKey" },
        { "", "0", 0, NULL },
        { "", "0x81000001", 0, NULL },
        { "", "-0x7effffff", 0, NULL },
        { "", "0x4000000B", HX_E_UNSUPPORTED, "parent" },
        { "", "0x80000000", HX_E_UNSUPPORTED, "parent" },
        { "", "0x01c00002", HX_E_UNSUPPORTED, "parent" },
        { "", "0x140000001", HX_E_UNSUPPORTED, "parent" },
        { "", "-0x17effffff", HX_E_UNSUPPORTED, "parent" },
        { "", "0x10000000040000001", HX_E_UNSUPPORTED, "parent" },
    };
    (void)state;
    struct tpm_keyfile file, good = parse_sample();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int result = parse_made(LOADABLE, rows[i].extra, rows[i].parent, &good.public, "", &file);
        assert_int_equal(result, rows[i].result);
        if (result) {
            assert_true(plugin_host_said(&host, rows[i].reason));
            continue;
        }
        assert_int_equal(file.empty_auth, strstr(rows[i].extra, "EXP:0,BOOL:true") != NULL);
        assert_int_equal(file.parent,
                         strlen(rows[i].parent) > 1 && strcmp(rows[i].parent, OWNER) ? 0x81000001 : TPM2_RH_OWNER);
    }
}

static void each_kind_is_what_it_says(void **state)
{
    (void)state;
    struct tpm_keyfile file, good = parse_sample();
    TPM2B_PUBLIC policy = good.public, hmac = { .publicArea = { .type = TPM2_ALG_KEYEDHASH,
                                                                .nameAlg = TPM2_ALG_SHA256,
                                                                .objectAttributes = TPMA_OBJECT_USERWITHAUTH,
                                                                .unique.keyedHash.size = 32 } };
    hmac.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
    TPM2B_PUBLIC sealed = hmac;
    hmac.publicArea.objectAttributes |= TPMA_OBJECT_SIGN_ENCRYPT;
    policy.publicArea.objectAttributes &= ~TPMA_OBJECT_USERWITHAUTH;
    assert_int_equal(parse_made(SEALED, "", OWNER, &sealed, "", &file), 0);
    assert_int_equal(file.type, TPM_KEYFILE_SEALED);
    char *text = print(&file);
    struct tpm_keyfile again;
    assert_int_equal(parse(text, strlen(text), &again), 0);
    expect_same(&file, &again);
    free(text);
    assert_int_equal(parse_made(LOADABLE, "", OWNER, &sealed, "", &file), 0);
    assert_int_equal(file.type, TPM_KEYFILE_SEALED);
    assert_int_equal(parse_made(LOADABLE, "", OWNER, &hmac, "", &file), 0);
    assert_int_equal(file.type, TPM_KEYFILE_KEY);
    assert_int_equal(parse_made(SEALED, "", OWNER, &hmac, "", &file), HX_E_CONFIG);
    assert_int_equal(parse_made(SEALED, "", OWNER, &good.public, "", &file), HX_E_CONFIG);
    assert_int_equal(parse_made("2.23.133.10.1.4", "", OWNER, &good.public, "", &file), HX_E_UNSUPPORTED);
    assert_true(plugin_host_said(&host, "import"));
    assert_int_equal(parse_made("2.23.133.10.2", "", OWNER, &good.public, "", &file), HX_E_UNSUPPORTED);
    assert_int_equal(parse_made(LOADABLE, "", OWNER, &policy, "", &file), HX_E_UNSUPPORTED);
    assert_true(plugin_host_said(&host, "policy"));
    assert_int_equal(parse_made(LOADABLE, "", OWNER, &good.public, "00", &file), HX_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read_again),
        cmocka_unit_test(other_blocks_and_words_may_stand_beside_it),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(no_broken_byte_does_harm),
        cmocka_unit_test(each_optional_part_is_understood_or_refused),
        cmocka_unit_test(each_kind_is_what_it_says),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
