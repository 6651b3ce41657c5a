/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of the test's own for what the tpm2 plugin keeps in files, and what its tests do again and again. */
#ifndef TPM2_PLACE_H
#define TPM2_PLACE_H

#include "../../plugins/tpm2/directory.h"
#include "../../plugins/tpm2/labels.h"
#include "plugin-host.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct fixture {
    struct plugin_host host;
    char base[64], dir[80];
    struct tpm_places places; /* dir, with the option */
};

static const TPM2B_NAME name_a = { 4, "\x00\x0b\xaa\xaa" }, name_b = { 4, "\x00\x0b\xbb\xbb" };

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->base, "/tmp/hsmux-tpm2-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    assert_int_equal(chmod(f->base, 0755), 0);
    snprintf(f->dir, sizeof f->dir, "%s/dir", f->base);
    plugin_host_init(&f->host);
    plugin_host_set(&f->host, "directory", f->dir);
    assert_int_equal(tpm_places_find(&f->host.host, &f->places), 0);
    *state = f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    tpm_places_free(&f->places);
    plugin_host_free(&f->host);
    nftw(f->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static inline const char *path_of(const struct fixture *f, const char *file)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", f->dir, file);
    return path;
}

static inline void put(const struct fixture *f, const char *file, mode_t mode, const char *text, size_t len)
{
    mkdir(f->dir, 0755);
    int fd = open(path_of(f, file), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline const char *get(const struct fixture *f, const char *file)
{
    static char text[65536];
    int fd = open(path_of(f, file), O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(len >= 0);
    text[len] = 0;
    return text;
}

static inline unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static inline int set(struct fixture *f, TPM2_HANDLE handle, const TPM2B_NAME *name, bool wants_auth, const char *label)
{
    struct tpm_label entry = { .handle = handle, .wants_auth = wants_auth, .label = label };
    if (name)
        entry.name = *name;
    return tpm_labels_set(&f->host.host, &f->places, &entry);
}

static inline struct tpm_labels load(struct fixture *f)
{
    struct tpm_labels labels;
    assert_int_equal(tpm_labels_load(&f->host.host, &f->places, &labels), 0);
    return labels;
}

#endif
