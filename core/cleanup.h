/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound clean-up: CLEANUP(f) calls f(&variable) when the variable goes out of scope. */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void free_p(void *p)
{
    free(*(void **)p);
}

static inline void fclose_p(FILE **file)
{
    if (*file)
        fclose(*file);
}

static inline void close_p(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define AUTO_FREE CLEANUP(free_p)
#define AUTO_FCLOSE CLEANUP(fclose_p)
#define AUTO_CLOSE CLEANUP(close_p)

#endif
