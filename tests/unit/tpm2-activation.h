/* SPDX-License-Identifier: Apache-2.0 */
/* A service in software and its TPM: blobs that it sends, and what has to come of them. */
#ifndef TPM2_ACTIVATION_H
#define TPM2_ACTIVATION_H

#include "tpm-blob.h"
#include "tpm2-scene.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

enum { KEY = 32 };

/* A key of the service's, and the blob that brings it to the TPM. */
struct sent {
    unsigned char key[KEY];
    struct tpm_blob blob;
};

static inline struct sent send(struct fixture *f, enum tpm_blob_fault fault)
{
    struct public ek = find(f, "ek"), srk = find(f, "srk");
    struct tpm_blob_order order = {
        .ek = { ek.data, ek.len }, .srk = { srk.data, srk.len }, .rest = { "rest", 4 }, .fault = fault
    };
    struct sent sent;

    assert_int_equal(RAND_bytes(sent.key, KEY), 1);
    order.key = (struct hx_buf){ sent.key, KEY };
    assert_int_equal(tpm_blob_make(&order, &sent.blob), 0);
    return sent;
}

static inline int activate(struct fixture *f, const void *data, size_t len)
{
    struct plugin_bytes ref;
    int result;

    plugin_bytes_init(&ref);
    plugin_host_clear(&f->host);
    result = plugin->activate(f->token, data, len, &ref.out);
    if (!result)
        assert_string_equal((char *)ref.data, "h:81000100");
    else
        assert_int_equal(ref.len, 0);
    plugin_bytes_free(&ref);
    return result;
}

static inline int activate_sent(struct fixture *f, const struct sent *sent)
{
    return activate(f, sent->blob.data, sent->blob.len);
}

/* The identity key makes the HMACs of that one; it is listed by its label, and nothing but persistent keys is left. */
static inline void assert_works(struct fixture *f, const struct sent *sent)
{
    struct hx_object want = { .kind = HX_SECRET_KEY, .label = "identity" };
    unsigned char mac[32];
    struct plugin_objects found;
    struct public theirs;

    assert_int_equal(tpm_fixture_left(&f->tpm), 0);
    tpm_fixture_run(&f->tpm, "rm -f mac; printf message >message; tpm2_hmac -c 0x81000100 -g sha256 -o mac message");
    theirs = from_file(f, "mac");
    assert_non_null(HMAC(EVP_sha256(), sent->key, KEY, (const unsigned char *)"message", 7, mac, NULL));
    assert_int_equal(theirs.len, sizeof mac);
    assert_memory_equal(theirs.data, mac, sizeof mac);
    plugin_objects_init(&found, &want);
    if (plugin->list(f->token, &found.list))
        fail_msg("%s", f->host.reason);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.object[0].label, "identity");
    assert_int_equal(found.object[0].scheme, HX_HMAC);
    assert_int_equal(found.object[0].usage, HX_SIGN_MESSAGE);
    plugin_objects_free(&found);
}

/* An identity key to lose. */
static inline struct sent begin(struct fixture *f)
{
    struct sent sent;

    tpm_fixture_run(&f->tpm, "tpm2_createek -G rsa -c 0x81010001"); /* spares the test's time */
    sent = send(f, TPM_BLOB_GOOD);
    assert_int_equal(activate_sent(f, &sent), 0);
    assert_works(f, &sent);
    return sent;
}

#endif
