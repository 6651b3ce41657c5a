/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When may a PIN be sent?  A page shared by all forked processes has a row for each (token, PIN) that was ever tried. A
 * row is claimed by compare-and-swap before the PIN is sent, so that of many workers one tries and the others wait for
 * what it learns.  A refused PIN is never sent again by us, and the file of refused PINs says so to the next process.
 */
#include "login.h"

#include "encode.h"
#include "error.h"
#include "log.h"
#include "refused.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

enum state { FREE, TRYING, GOOD, UNKNOWN, REFUSED, REFUSED_AND_KEPT };

struct row {
    _Atomic uint64_t tag; /* of token and PIN; 0: nobody's yet; changes only while somebody is TRYING */
    _Atomic uint32_t state;
    _Atomic int32_t owner; /* the process that is TRYING */
};

#define ROWS 255
#define WAIT_MS 10000 /* longer than a vendor's C_Login */
#define MOVED 1 /* not a result */

struct page {
    unsigned char salt[16];
    struct row row[ROWS];
};

static struct page *page;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map_page(void)
{
    void *made = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (made == MAP_FAILED)
        return;
    page = made;
    /* From the kernel: seeding libcrypto's generator would take a good part of a short program's start. */
    if (getrandom(page->salt, sizeof page->salt, 0) != sizeof page->salt) {
        munmap(made, sizeof *page);
        page = NULL;
    }
}

int login_prepare(void)
{
    pthread_once(&once, map_page);
    return page ? HX_OK : hx_error(HX_E_NO_MEMORY, "out of memory: no shared page");
}

void login_ahead(void)
{
    refused_ahead();
}

static int tag_of(const char *serial, const void *pin, size_t len, uint64_t *ret)
{
    AUTO_BYTES struct hx_bytes text = { 0 };
    unsigned char hash[32];
    int result;

    if ((result = bytes_append(&text, page->salt, sizeof page->salt)) ||
        (result = bytes_append(&text, serial, strlen(serial) + 1)) || (result = bytes_append(&text, pin, len)))
        return result;
    if (EVP_Q_digest(encode_libctx(), "SHA256", NULL, text.data, text.len, hash, NULL) != 1)
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    memcpy(ret, hash, sizeof *ret);
    *ret |= 1; /* 0 means that the row is nobody's */
    return HX_OK;
}

static bool take(struct row *row, uint32_t from)
{
    if (!atomic_compare_exchange_strong(&row->state, &from, TRYING))
        return false;
    atomic_store(&row->owner, getpid());
    return true;
}

static void settle(struct row *row, uint32_t state)
{
    atomic_store(&row->owner, 0);
    atomic_store(&row->state, state);
}

/* Only that a PIN was refused has to be known for ever. */
static struct row *take_over(uint64_t tag)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct row *row = &page->row[(tag + i) % ROWS];

        if (!take(row, GOOD) && !take(row, UNKNOWN))
            continue;
        atomic_store(&row->tag, tag);
        settle(row, UNKNOWN);
        return row;
    }
    return NULL;
}

/* The tag's row, new or old; NULL when the page is full of refused ones. */
static struct row *find_row(uint64_t tag)
{
    for (size_t i = 0; i < ROWS; i++) {
        uint64_t there = 0;

        if (atomic_compare_exchange_strong(&page->row[i].tag, &there, tag) || there == tag)
            return &page->row[i];
    }
    return take_over(tag);
}

/* A process that died while it was trying has left the row: whoever sees it first goes on in its place. */
static bool inherit(struct row *row)
{
    int32_t owner = atomic_load(&row->owner);

    if (owner <= 0 || owner == getpid() || !kill(owner, 0) || errno != ESRCH)
        return false;
    return atomic_compare_exchange_strong(&row->owner, &owner, getpid());
}

static void nap(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static int refused_before(size_t len)
{
    return len ? hx_error(HX_E_PIN, "this PIN was refused before and is not sent again")
               : hx_error(HX_E_PIN, "its pinpad was asked before, in vain, and is not asked again");
}

static int still_busy(void)
{
    return hx_error(HX_E_BUSY, "another process has been logging in for %d s", WAIT_MS / 1000);
}

/* Returns 0 when the row is ours to try, MOVED when it is another PIN's by now, else HX_E_PIN or HX_E_BUSY. */
static int claim_row(struct row *row, uint64_t tag, const char *serial, const void *pin, size_t len)
{
    for (int waited = 0; waited < WAIT_MS; waited += 5) {
        uint32_t state = atomic_load(&row->state);
        bool kept = false;

        if (atomic_load(&row->tag) != tag)
            return MOVED;
        switch (state) {
        case REFUSED: /* it may be kept by now, where a person can strike it out */
            if (refused_add(serial, pin, len))
                atomic_compare_exchange_strong(&row->state, &state, REFUSED_AND_KEPT);
            return refused_before(len);
        case REFUSED_AND_KEPT: /* a person may have struck it out of the file */
            if (refused_has(serial, pin, len, &kept) || !kept)
                return refused_before(len);
            if (take(row, state))
                return HX_OK;
            break;
        case TRYING:
            if (inherit(row))
                return HX_OK;
            nap(5);
            break;
        default:
            if (take(row, state))
                return HX_OK;
        }
    }
    return still_busy();
}

static int claim(uint64_t tag, const char *serial, const void *pin, size_t len, struct row **ret)
{
    struct row *row;
    int result;

    do {
        if (!(row = find_row(tag)))
            return hx_error(HX_E_PIN, "too many PINs were refused: restart the program");
        result = claim_row(row, tag, serial, pin, len);
        if (!result && atomic_load(&row->tag) != tag) {
            settle(row, UNKNOWN);
            result = MOVED;
        }
    } while (result == MOVED);
    *ret = row;
    return result;
}

static bool keep(const char *serial, const void *pin, size_t len)
{
    bool kept = refused_add(serial, pin, len);

    if (!kept)
        hx_log(LOG_WARNING,
               "the token with serial '%s' refused a PIN, and no directory is writable to remember it in (set "
               "STATE_DIRECTORY): each "
               "start of this program sends it once more, until it is corrected or the token is locked",
               serial);
    return kept;
}

/* A pinpad that nobody answered is as good as one that was answered wrongly: a program that starts again and again
 * would ask for ever. */
static bool is_refused(int result, size_t len)
{
    return result == HX_E_PIN || (!len && result == HX_E_DEVICE);
}

/* The row is ours: asks the file, which other processes write too, and tries. */
static int try_once(struct row *row, const char *serial, const void *pin, size_t len, login_try *try, void *arg)
{
    AUTO_STATEFILE struct statefile lock = { .fd = -1 };
    bool kept;
    int result;

    if (!refused_lock(serial, &lock)) { /* it may be the same PIN, and wrong */
        settle(row, UNKNOWN);
        return still_busy();
    }
    if (refused_has(serial, pin, len, &kept)) {
        settle(row, REFUSED_AND_KEPT);
        return refused_before(len);
    }
    result = try(arg);
    if (is_refused(result, len))
        settle(row, keep(serial, pin, len) ? REFUSED_AND_KEPT : REFUSED);
    else
        settle(row, result ? UNKNOWN : GOOD);
    return result;
}

int login_once(const char *serial, const void *pin, size_t len, login_try *try, void *arg)
{
    struct row *row;
    uint64_t tag = 0;
    int result;

    if ((result = login_prepare()) || (result = tag_of(serial, pin, len, &tag)))
        return result;
    if ((result = claim(tag, serial, pin, len, &row)))
        return result;
    return try_once(row, serial, pin, len, try, arg);
}

int login_tag(const char *serial, const void *pin, size_t len, uint64_t *ret)
{
    int result = login_prepare();

    return result ? result : tag_of(serial, pin, len, ret);
}

static struct row *known_row(uint64_t tag)
{
    for (size_t i = 0; page && tag && i < ROWS; i++)
        if (atomic_load(&page->row[i].tag) == tag)
            return &page->row[i];
    return NULL;
}

void login_tag_refused(uint64_t tag)
{
    struct row *row = known_row(tag);
    uint32_t good = GOOD, unknown = UNKNOWN;

    if (row && !atomic_compare_exchange_strong(&row->state, &good, REFUSED))
        atomic_compare_exchange_strong(&row->state, &unknown, REFUSED);
}

bool login_tag_is_refused(uint64_t tag)
{
    const struct row *row = known_row(tag);

    return row && (row->state == REFUSED || row->state == REFUSED_AND_KEPT);
}

void login_refused(const char *serial, const void *pin, size_t len)
{
    struct row *row = NULL;
    uint64_t tag = 0;
    bool kept;

    if (!refused_has(serial, pin, len, &kept))
        kept = keep(serial, pin, len);
    if (!login_prepare() && !tag_of(serial, pin, len, &tag))
        row = find_row(tag);
    if (!row)
        return;
    settle(row, kept ? REFUSED_AND_KEPT : REFUSED);
}

/* What is not kept, but in the page alone, lives as long as the processes that share it. */
void login_forget_all(const char *serial)
{
    refused_forget_all(serial);
}

void login_forget(const char *serial, const void *pin, size_t len)
{
    uint32_t refused = REFUSED, kept = REFUSED_AND_KEPT;
    uint64_t tag = 0;
    struct row *row;

    refused_forget(serial, pin, len);
    if (!page || tag_of(serial, pin, len, &tag) || !(row = find_row(tag)))
        return;
    if (!atomic_compare_exchange_strong(&row->state, &refused, UNKNOWN))
        atomic_compare_exchange_strong(&row->state, &kept, UNKNOWN);
}
