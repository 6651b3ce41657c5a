/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the places together, and reading through them. */
#include "merged.h"

#include "quiet.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

int tpm_merged_open(const struct hx_host *host, struct tpm_merged *ret)
{
    struct tpm_merged merged = { .host = host };
    int result = tpm_places_find(host, &merged.places);

    if (result)
        return result;
    for (size_t i = 0; i < TPM_PLACES && merged.places.read[i]; i++) {
        result = tpm_directory_open(host, merged.places.read[i], &merged.directory[merged.count]);
        if (!result)
            merged.count++;
        if (result && result != HX_E_NOT_FOUND) {
            tpm_merged_close(&merged);
            return result;
        }
    }
    *ret = merged;
    return 0;
}

void tpm_merged_close(struct tpm_merged *merged)
{
    for (size_t i = 0; i < merged->count; i++)
        tpm_directory_close(&merged->directory[i]);
    tpm_places_free(&merged->places);
    merged->count = 0;
}

/* The first directory that has the file; NULL: none of the first so many. */
static const struct tpm_directory *find(const struct tpm_merged *merged, size_t count, const char *file)
{
    for (size_t i = 0; i < count; i++)
        if (!faccessat(merged->directory[i].fd, file, F_OK, AT_SYMLINK_NOFOLLOW))
            return &merged->directory[i];
    return NULL;
}

bool tpm_merged_has(const struct tpm_merged *merged, const char *file)
{
    return find(merged, merged->count, file) != NULL;
}

int tpm_merged_each(const struct tpm_merged *merged, tpm_file_fn *fn, void *arg)
{
    int result = 0;

    for (size_t i = 0; i < merged->count && !result; i++) {
        struct dirent **names;
        size_t count;

        result = tpm_directory_names(&merged->directory[i], &names, &count);
        if (result)
            return result;
        for (size_t j = 0; j < count && !result; j++)
            if (!find(merged, i, names[j]->d_name))
                result = fn(arg, merged, names[j]->d_name);
        tpm_directory_free_names(names, count);
    }
    return result;
}

int tpm_merged_read(const struct tpm_merged *merged, const char *file, bool secret, unsigned char **ret,
                    size_t *ret_len)
{
    const struct tpm_directory *directory = find(merged, merged->count, file);

    if (!directory)
        return hx_fail(merged->host, HX_E_NOT_FOUND, "there is no file '%s' in '%s'", file,
                       merged->places.write ? merged->places.write : merged->places.read[0]);
    return tpm_directory_read(directory, file, secret, ret, ret_len);
}

bool tpm_merged_try(const struct tpm_merged *merged, const char *file, unsigned char **ret, size_t *ret_len)
{
    const struct tpm_directory *found = find(merged, merged->count, file);
    struct tpm_directory directory;
    struct tpm_quiet quiet;
    int result;

    if (!found)
        return false;
    directory = *found;
    tpm_quiet_init(&quiet);
    directory.host = &quiet.host;
    result = tpm_directory_read(&directory, file, false, ret, ret_len);
    if (result && result != HX_E_NOT_FOUND)
        merged->host->log(merged->host, LOG_WARNING, "%s: passed over", quiet.reason);
    return !result;
}

void tpm_merged_warn(const struct tpm_merged *merged, const char *file, const char *wrong)
{
    char path[TPM_PATH_SIZE];

    merged->host->log(merged->host, LOG_WARNING, "'%s' is passed over: %s", tpm_merged_path(merged, file, path), wrong);
}

const char *tpm_merged_path(const struct tpm_merged *merged, const char *file, char ret[TPM_PATH_SIZE])
{
    const struct tpm_directory *directory = find(merged, merged->count, file);

    snprintf(ret, TPM_PATH_SIZE, "%s/%s", directory ? directory->path : merged->places.read[0], file);
    return ret;
}

static bool is_own(const struct tpm_merged *merged, const char *file)
{
    const struct tpm_directory *directory = find(merged, merged->count, file);

    return directory && merged->places.write && !strcmp(directory->path, merged->places.write);
}

int tpm_merged_lock(const struct tpm_merged *merged, const char *file, struct tpm_directory *ret)
{
    char path[TPM_PATH_SIZE];
    const char *place;
    int result;

    if (file && !tpm_merged_has(merged, file))
        return hx_fail(merged->host, HX_E_NOT_FOUND, "there is no file '%s'", tpm_merged_path(merged, file, path));
    if (file && !is_own(merged, file))
        return hx_fail(merged->host, HX_E_ACCESS, "'%s' is the system's: only root removes it",
                       tpm_merged_path(merged, file, path));
    result = tpm_places_writable(merged->host, &merged->places, &place);
    return result ? result : tpm_directory_lock(merged->host, place, ret);
}
