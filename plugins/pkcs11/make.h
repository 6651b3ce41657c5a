/* SPDX-License-Identifier: Apache-2.0 */
/* What generate, import and remove share. */
#ifndef P11_MAKE_H
#define P11_MAKE_H

#include "object.h"

#define P11_ID_MAX 255

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE, const void *value, size_t len);

/* Refuses what PKCS#11 cannot do, a usage that such a key cannot have, flags other than those given, and making before
 * login. */
int p11_check_spec(struct p11_token *, const struct hx_spec *, uint32_t flags);

/* The objects of that kind with the spec's label or id; some may be there twice.  For free(). */
CK_RV p11_find_old(struct p11_session *, uint32_t kind, const struct hx_spec *, struct p11_handles *ret);
CK_RV p11_destroy(struct p11_session *, const struct p11_handles *);
int p11_fail_exists(struct p11_token *, const struct hx_spec *);

/* Makes an object by create(), which gets arg, in the place of none, or with HX_REPLACE of those with the spec's label
 * or id: the new one is made before they go. */
typedef CK_RV p11_create(struct p11_session *, void *arg);
int p11_make(struct p11_token *, const struct hx_spec *, p11_create *, void *arg);

/* The spec's id, or a new one. */
int p11_choose_id(struct p11_token *, const struct hx_spec *, unsigned char ret[P11_ID_MAX], size_t *ret_len);

int p11_import_certificate(struct p11_token *, const struct hx_spec *, const struct hx_buf *der, struct hx_out *);
int p11_import_secret(struct p11_token *, const struct hx_spec *, const struct hx_buf *value, struct hx_out *);
int p11_generate_secret(struct p11_token *, const struct hx_spec *, struct hx_out *);

/* The ref of what was just made. */
int p11_put_ref(struct p11_token *, const struct hx_spec *, const void *id, size_t id_len, struct hx_out *);

#endif
