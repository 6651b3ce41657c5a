/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of refused PINs: a head with the salt, then a ring of records, each with a hash of the serial number, and a
 * slow salted hash of serial number and PIN.  A record has a check of its own, and is written in place by one write, so
 * that a crash costs that record at most; the newest takes the place of the oldest.  A process that may not open
 * the file any more can do all this with a descriptor that it inherited.
 */
#include "refused.h"

#include "bytes.h"
#include "encode.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>

#define RECORDS 64
#define HASH 32 /* SHA-256 */
#define ROUNDS 20000 /* about 5 ms: a PIN has few digits, and whoever reads this file should not get it for free */
#define HEAD UINT64_C(0x48585245465553) /* the head's number */
#define WRITE_MS 2000 /* for somebody else's writing of a record */
#define TRY_MS 10000 /* for somebody else's login */

/* 128 bytes: none lies across two sectors of a disk. */
struct record {
    uint64_t number; /* the greater, the newer; 0: none */
    unsigned char token[HASH]; /* of the head: the salt */
    unsigned char pin[HASH];
    unsigned char check[HASH];
    unsigned char spare[24];
};

struct list {
    struct record at[1 + RECORDS]; /* the head is the first */
};

static bool check_of(const struct list *list, const struct record *record, unsigned char *ret)
{
    unsigned char text[HASH + sizeof record->number + 2 * HASH];
    size_t at = 0;

    memcpy(text, list->at[0].token, HASH);
    at += HASH;
    memcpy(text + at, &record->number, sizeof record->number);
    at += sizeof record->number;
    memcpy(text + at, record->token, HASH);
    memcpy(text + at + HASH, record->pin, HASH);
    return EVP_Q_digest(encode_libctx(), "SHA256", NULL, text, sizeof text, ret, NULL) == 1;
}

static bool is_whole(const struct list *list, const struct record *record)
{
    unsigned char check[HASH];

    return check_of(list, record, check) && !memcmp(check, record->check, HASH);
}

/* What is not whole counts as not there. */
static bool read_list(const struct statefile *file, struct list *ret)
{
    memset(ret, 0, sizeof *ret);
    if (pread(file->fd, ret, sizeof *ret, 0) < (ssize_t)sizeof ret->at[0] || ret->at[0].number != HEAD ||
        !is_whole(ret, &ret->at[0]))
        return false;
    for (size_t i = 1; i <= RECORDS; i++)
        if (ret->at[i].number && !is_whole(ret, &ret->at[i]))
            ret->at[i].number = 0;
    return true;
}

static bool write_record(const struct statefile *file, const struct list *list, size_t which)
{
    const size_t size = sizeof list->at[0];

    return pwrite(file->fd, (const char *)list + which * size, size, (off_t)(which * size)) == (ssize_t)size &&
           !fdatasync(file->fd);
}

/* What was opened ahead has its head: without one, it is no file of ours. */
static bool make_list(const struct statefile *file, struct list *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->at[0].number = HEAD;
    return !file->ahead && RAND_bytes_ex(encode_libctx(), ret->at[0].token, HASH, 0) == 1 &&
           check_of(ret, &ret->at[0], ret->at[0].check) && !ftruncate(file->fd, 0) && write_record(file, ret, 0);
}

static bool open_to_write(struct statefile *ret_file, struct list *ret)
{
    return statefile_open(true, ret_file) && statefile_lock(ret_file, STATEFILE_CONTENT, WRITE_MS) &&
           (read_list(ret_file, ret) || make_list(ret_file, ret));
}

void refused_ahead(void)
{
    AUTO_STATEFILE struct statefile file = { .fd = -1 };
    struct list list;

    if (!geteuid() && !statefile_is_kept() && open_to_write(&file, &list))
        statefile_keep(&file);
}

bool refused_lock(const char *serial, struct statefile *ret)
{
    unsigned char hash[HASH];

    if (!statefile_open(true, ret) ||
        EVP_Q_digest(encode_libctx(), "SHA256", NULL, serial, strlen(serial), hash, NULL) != 1)
        return true;
    return statefile_lock(ret, (long)sizeof(struct list) + (hash[0] << 8 | hash[1]), TRY_MS) ||
           (errno != EAGAIN && errno != EACCES && errno != EINTR); /* a file system without locks */
}

static bool hash_serial(const struct list *list, const char *serial, unsigned char *ret)
{
    AUTO_BYTES struct hx_bytes text = { 0 };

    return !bytes_append(&text, list->at[0].token, HASH) && !bytes_text(&text, serial) &&
           EVP_Q_digest(encode_libctx(), "SHA256", NULL, text.data, text.len, ret, NULL) == 1;
}

/* PBKDF2 (RFC 8018 §5.2) by EVP_KDF: PKCS5_PBKDF2_HMAC() fetches from the default library context. */
static bool hash_pin(const struct list *list, const char *serial, const void *pin, size_t len, unsigned char *ret)
{
    AUTO_BYTES struct hx_bytes salt = { 0 };
    AUTO_BYTES struct hx_bytes secret = { 0 };
    unsigned rounds = ROUNDS;
    EVP_KDF *kdf = EVP_KDF_fetch(encode_libctx(), "PBKDF2", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    bool good = ctx && !bytes_append(&salt, list->at[0].token, HASH) && !bytes_text(&salt, serial) &&
                !bytes_append(&secret, pin, len);

    if (good) {
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string("digest", digest, 0),
            OSSL_PARAM_construct_uint("iter", &rounds),
            OSSL_PARAM_construct_octet_string("salt", salt.data, salt.len),
            OSSL_PARAM_construct_octet_string("pass", secret.data, secret.len),
            OSSL_PARAM_construct_end(),
        };

        good = EVP_KDF_derive(ctx, ret, HASH, params) == 1;
    }
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

/* Which record it is; 0: none.  The slow hash is reckoned only for a token that has a record. */
static size_t find(const struct list *list, const char *serial, const void *pin, size_t len)
{
    unsigned char token[HASH], hash[HASH];
    bool hashed = false;

    if (!hash_serial(list, serial, token))
        return 0;
    for (size_t i = 1; i <= RECORDS; i++) {
        if (!list->at[i].number || memcmp(list->at[i].token, token, HASH))
            continue;
        if (!hashed && !(hashed = hash_pin(list, serial, pin, len, hash)))
            return 0;
        if (!memcmp(list->at[i].pin, hash, HASH))
            return i;
    }
    return 0;
}

bool refused_has(const char *serial, const void *pin, size_t len, bool *ret_kept)
{
    AUTO_STATEFILE struct statefile file = { .fd = -1 };
    struct list list;

    *ret_kept =
        statefile_open(false, &file) && statefile_lock(&file, STATEFILE_CONTENT, WRITE_MS) && read_list(&file, &list);
    return *ret_kept && find(&list, serial, pin, len);
}

bool refused_add(const char *serial, const void *pin, size_t len)
{
    AUTO_STATEFILE struct statefile file = { .fd = -1 };
    struct list list;
    struct record *record;
    uint64_t last = 0;
    size_t place = 1;

    if (!open_to_write(&file, &list))
        return false;
    for (size_t i = 1; i <= RECORDS; i++) {
        last = list.at[i].number > last ? list.at[i].number : last;
        place = list.at[i].number < list.at[place].number ? i : place;
    }
    record = &list.at[place];
    record->number = last + 1;
    return hash_serial(&list, serial, record->token) && hash_pin(&list, serial, pin, len, record->pin) &&
           check_of(&list, record, record->check) && write_record(&file, &list, place);
}

static bool open_to_forget(struct statefile *ret_file, struct list *ret)
{
    return statefile_open(true, ret_file) && statefile_lock(ret_file, STATEFILE_CONTENT, WRITE_MS) &&
           read_list(ret_file, ret);
}

static void strike_out(const struct statefile *file, struct list *list, size_t which)
{
    memset(&list->at[which], 0, sizeof list->at[which]);
    write_record(file, list, which);
}

void refused_forget(const char *serial, const void *pin, size_t len)
{
    AUTO_STATEFILE struct statefile file = { .fd = -1 };
    struct list list;
    size_t place;

    if (!open_to_forget(&file, &list))
        return;
    while ((place = find(&list, serial, pin, len)))
        strike_out(&file, &list, place);
}

void refused_forget_all(const char *serial)
{
    AUTO_STATEFILE struct statefile file = { .fd = -1 };
    unsigned char token[HASH];
    struct list list;

    if (!open_to_forget(&file, &list) || !hash_serial(&list, serial, token))
        return;
    for (size_t i = 1; i <= RECORDS; i++)
        if (list.at[i].number && !memcmp(list.at[i].token, token, HASH))
            strike_out(&file, &list, i);
}
