/* SPDX-License-Identifier: Apache-2.0 */
/* struct hx_bytes: a growing buffer that is wiped wherever it moves from and when it is freed. */
#ifndef BYTES_H
#define BYTES_H

#include "cleanup.h"

#include <hsmux/hsmux.h>
#include <stdbool.h>

#define AUTO_BYTES CLEANUP(hx_bytes_free)

/* 0 or HX_E_NO_MEMORY with its reason.  A NUL follows the data, so that text can be used as a string. */
int bytes_append(struct hx_bytes *, const void *data, size_t len);
int bytes_text(struct hx_bytes *, const char *text);
int bytes_printf(struct hx_bytes *, const char *fmt, ...) HX_PRINTF(2, 3);

/* Empties and wipes, and keeps the memory. */
void bytes_reset(struct hx_bytes *);

/* Hands the content to *ret and empties the source. */
void bytes_move(struct hx_bytes *ret, struct hx_bytes *from);

bool bytes_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* A string copied and, with wipe_string, wiped and freed; NULL is allowed in both. */
char *string_copy(const char *);
void wipe_string(char **);
#define AUTO_WIPE CLEANUP(wipe_string)

/* Hex, upper case, as in PKCS#11 tools; returns HX_E_INVALID for an odd or foreign digit. */
int bytes_to_hex(struct hx_bytes *ret, const void *data, size_t len);
int bytes_from_hex(struct hx_bytes *ret, const char *hex);

#endif
