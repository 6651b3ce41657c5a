/* SPDX-License-Identifier: Apache-2.0 */
/* What generate, import and remove share. */
#ifndef P11_MAKE_H
#define P11_MAKE_H

#include "object.h"

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE, const void *value, size_t len);

/* Refuses what PKCS#11 cannot do, flags other than those given, and making before login. */
int p11_check_spec(struct p11_token *, const struct hx_spec *, uint32_t flags);

/* The objects of that kind with the spec's label or id; some may be there twice.  For free(). */
CK_RV p11_find_old(struct p11_session *, uint32_t kind, const struct hx_spec *, struct p11_handles *ret);
CK_RV p11_destroy(struct p11_session *, const struct p11_handles *);
int p11_fail_exists(struct p11_token *, const struct hx_spec *);

/* The ref of what was just made. */
int p11_put_ref(struct p11_token *, const struct hx_spec *, const void *id, size_t id_len, struct hx_out *);

#endif
