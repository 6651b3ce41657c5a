/* SPDX-License-Identifier: Apache-2.0 */
/* Where an object goes, and how it leaves: next to others in one file, perhaps. */
#ifndef STORE_H
#define STORE_H

#include "token.h"

/* Writes text as the object of that kind and label.  *ret_ref: its reference. */
int store_add(struct token *, uint32_t kind, const char *label, const void *text, size_t len, bool replace,
              struct hx_out *ret_ref);

/* HX_E_EXISTS if it is there: to say so before the labour of making a key. */
int store_check_free(struct token *, uint32_t kind, const char *label);

int store_remove(void *token, uint32_t kind, const void *ref, size_t ref_len);

#endif
