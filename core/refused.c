/* SPDX-License-Identifier: Apache-2.0 */
/* The file of refused PINs: "refused" in the state directory, mode 0600.  One line for the salt, then a line for each:
 * a hash of the serial number, and a slow salted hash of serial number and PIN. */
#include "refused.h"

#include "bytes.h"
#include "encode.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define LINES_MAX 64
#define HASH_HEX 64 /* SHA-256 in hex */
#define ROUNDS 20000 /* about 5 ms: a PIN has few digits, and whoever reads this file should not get it for free */

struct list {
    char salt[HASH_HEX + 1];
    size_t count;
    struct {
        char serial[HASH_HEX + 1], pin[HASH_HEX + 1];
    } line[LINES_MAX];
};

#define WRITE_MS 2000 /* for somebody else's writing of a few lines */
#define TRY_MS 10000 /* for somebody else's login */

/* Tries again and again, since a lock that waits could wait for ever for somebody who stopped. */
static bool locked(int fd, int (*lock)(int fd, long what), long what, int ms)
{
    for (int waited = 0; lock(fd, what); waited += 5) {
        if (waited >= ms || (errno != EWOULDBLOCK && errno != EACCES && errno != EINTR))
            return false;
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    }
    return true;
}

static int lock_file(int fd, long what)
{
    return flock(fd, (int)what | LOCK_NB);
}

/* One byte of the file for each token; it is this open file's, not the process's: threads exclude each other too. */
static int lock_byte(int fd, long what)
{
    struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = what, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &byte);
}

/* Unlocks before it closes: a worker that was forked meanwhile has the same open file, and would keep the lock. */
static void unlock_directory(const int *fd)
{
    if (*fd < 0)
        return;
    flock(*fd, LOCK_UN);
    close(*fd);
}

#define AUTO_DIRECTORY CLEANUP(unlock_directory)

/* $STATE_DIRECTORY, which systemd sets for a service (several are separated by colons); else the system's for root, and
 * $XDG_STATE_HOME/hsmux, or ~/.local/state/hsmux, for others. */
static int directory_path(struct hx_bytes *ret)
{
    const char *state = secure_getenv("STATE_DIRECTORY");
    const char *xdg = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");

    if (state && *state)
        return bytes_append(ret, state, strcspn(state, ":"));
    if (!geteuid())
        return bytes_text(ret, HSMUX_STATEDIR);
    if (xdg && *xdg == '/')
        return bytes_printf(ret, "%s/hsmux", xdg);
    return home && *home == '/' ? bytes_printf(ret, "%s/.local/state/hsmux", home) : HX_E_NOT_FOUND;
}

static bool make_directory(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755); /* what is missing above it; the last one decides */
        *slash = '/';
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

/* The directory, open; locked, for reading or for writing. */
static int open_directory(bool write)
{
    AUTO_BYTES struct hx_bytes path = { 0 };
    int fd;

    if (directory_path(&path) || (write && !make_directory((char *)path.data)))
        return -1;
    fd = open((char *)path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && !locked(fd, lock_file, write ? LOCK_EX : LOCK_SH, WRITE_MS)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A new file.  What root makes in the directory of a service is the service's, which must be able to read it. */
static int create(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;

    if (fd >= 0 && !geteuid() && !fstat(directory, &st) && st.st_uid)
        (void)!fchown(fd, st.st_uid, st.st_gid);
    return fd;
}

int refused_lock(const char *serial)
{
    AUTO_DIRECTORY int directory = open_directory(true);
    unsigned char hash[HASH_HEX / 2];
    int fd;

    if (directory < 0 || EVP_Q_digest(encode_libctx(), "SHA256", NULL, serial, strlen(serial), hash, NULL) != 1)
        return -1;
    fd = create(directory, "refused.lock");
    if (fd < 0)
        fd = openat(directory, "refused.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    flock(directory, LOCK_UN); /* the others go on with the file itself */
    if (fd >= 0 && !locked(fd, lock_byte, hash[0] << 8 | hash[1], TRY_MS)) {
        close(fd);
        return REFUSED_BUSY;
    }
    return fd;
}

void refused_unlock(const int *fd)
{
    struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    if (*fd < 0)
        return;
    fcntl(*fd, F_OFD_SETLK, &all);
    close(*fd);
}

static bool is_hash(const char *text)
{
    return strlen(text) == HASH_HEX && strspn(text, "0123456789ABCDEF") == HASH_HEX;
}

/* Ours, root's or the directory's owner's: root and a service may share that service's directory. */
static bool may_own(int directory, const struct stat *st)
{
    struct stat around;

    return st->st_uid == geteuid() || !st->st_uid || (!fstat(directory, &around) && st->st_uid == around.st_uid);
}

/* A file of another owner or mode, or with other text, counts as no file: it may be anybody's. */
static bool read_list(int directory, struct list *ret)
{
    AUTO_FCLOSE FILE *file = NULL;
    int fd = openat(directory, "refused", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return false;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !may_own(directory, &st) || st.st_mode & 077 ||
        !(file = fdopen(fd, "r"))) {
        close(fd);
        return false;
    }
    if (fscanf(file, "%64s", ret->salt) != 1 || !is_hash(ret->salt))
        return false;
    for (ret->count = 0; ret->count < LINES_MAX; ret->count++)
        if (fscanf(file, "%64s %64s", ret->line[ret->count].serial, ret->line[ret->count].pin) != 2 ||
            !is_hash(ret->line[ret->count].serial) || !is_hash(ret->line[ret->count].pin))
            break;
    return true;
}

static bool write_list(int directory, const struct list *list)
{
    FILE *file;
    bool good;
    int fd;

    unlinkat(directory, ".refused.new", 0); /* what a crash left behind, or somebody else put there */
    fd = create(directory, ".refused.new");
    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    fprintf(file, "%s\n", list->salt);
    for (size_t i = 0; i < list->count; i++)
        fprintf(file, "%s %s\n", list->line[i].serial, list->line[i].pin);
    good = !fflush(file) && !fsync(fd) && !ferror(file);
    good = !fclose(file) && good;
    if (!good || renameat(directory, ".refused.new", directory, "refused")) {
        unlinkat(directory, ".refused.new", 0);
        return false;
    }
    fsync(directory);
    return true;
}

static bool to_text(const unsigned char *hash, char *ret)
{
    for (size_t i = 0; i < HASH_HEX / 2; i++)
        snprintf(ret + 2 * i, 3, "%02X", hash[i]);
    return true;
}

static bool hash_serial(const struct list *list, const char *serial, char *ret)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    unsigned char hash[HASH_HEX / 2];

    return !bytes_printf(&text, "%s %s", list->salt, serial) &&
           EVP_Q_digest(encode_libctx(), "SHA256", NULL, text.data, text.len, hash, NULL) == 1 && to_text(hash, ret);
}

/* PBKDF2 (RFC 8018 §5.2) by EVP_KDF: PKCS5_PBKDF2_HMAC() fetches from the default library context. */
static bool hash_pin(const struct list *list, const char *serial, const void *pin, size_t len, char *ret)
{
    AUTO_BYTES struct hx_bytes salt = { 0 };
    AUTO_BYTES struct hx_bytes secret = { 0 };
    unsigned char hash[HASH_HEX / 2];
    unsigned rounds = ROUNDS;
    EVP_KDF *kdf = EVP_KDF_fetch(encode_libctx(), "PBKDF2", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    char digest[] = "SHA256";
    bool good = ctx && !bytes_printf(&salt, "%s %s", list->salt, serial) && !bytes_append(&secret, pin, len);

    if (good) {
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string("digest", digest, 0),
            OSSL_PARAM_construct_uint("iter", &rounds),
            OSSL_PARAM_construct_octet_string("salt", salt.data, salt.len),
            OSSL_PARAM_construct_octet_string("pass", secret.data, secret.len),
            OSSL_PARAM_construct_end(),
        };

        good = EVP_KDF_derive(ctx, hash, sizeof hash, params) == 1;
    }
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good && to_text(hash, ret);
}

/* The slow hash is reckoned only for a token that has a line. */
static bool find_line(const struct list *list, const char *serial, const void *pin, size_t len, size_t *ret)
{
    char token[HASH_HEX + 1], hash[HASH_HEX + 1];
    bool hashed = false;

    if (!hash_serial(list, serial, token))
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->line[i].serial, token))
            continue;
        if (!hashed && !(hashed = hash_pin(list, serial, pin, len, hash)))
            return false;
        if (!strcmp(list->line[i].pin, hash)) {
            *ret = i;
            return true;
        }
    }
    return false;
}

bool refused_has(const char *serial, const void *pin, size_t len, bool *ret_kept)
{
    AUTO_DIRECTORY int directory = open_directory(false);
    struct list list;
    size_t at;

    *ret_kept = directory >= 0 && read_list(directory, &list);
    return *ret_kept && find_line(&list, serial, pin, len, &at);
}

static bool new_salt(struct list *list)
{
    unsigned char salt[HASH_HEX / 2];

    list->count = 0;
    return RAND_bytes_ex(encode_libctx(), salt, sizeof salt, 0) == 1 && to_text(salt, list->salt);
}

bool refused_add(const char *serial, const void *pin, size_t len)
{
    AUTO_DIRECTORY int directory = open_directory(true);
    struct list list;

    if (directory < 0 || (!read_list(directory, &list) && !new_salt(&list)))
        return false;
    if (list.count == LINES_MAX) /* the oldest goes */
        memmove(list.line, list.line + 1, --list.count * sizeof *list.line);
    if (!hash_serial(&list, serial, list.line[list.count].serial) ||
        !hash_pin(&list, serial, pin, len, list.line[list.count].pin))
        return false;
    list.count++;
    return write_list(directory, &list);
}

void refused_forget(const char *serial, const void *pin, size_t len)
{
    AUTO_DIRECTORY int directory = open_directory(true);
    struct list list;
    size_t at;

    if (directory < 0 || !read_list(directory, &list) || !find_line(&list, serial, pin, len, &at))
        return;
    memmove(&list.line[at], &list.line[at + 1], (--list.count - at) * sizeof *list.line);
    write_list(directory, &list);
}
