/* SPDX-License-Identifier: Apache-2.0 */
/* What generate, import and remove share. */
#ifndef P11_MAKE_H
#define P11_MAKE_H

#include "object.h"

#define P11_ID_MAX 255

CK_ATTRIBUTE p11_attribute(CK_ATTRIBUTE_TYPE, const void *value, size_t len);

/* The attributes of an object to be; the values are borrowed. */
struct p11_template {
    CK_ATTRIBUTE at[24];
    CK_ULONG count;
};
void p11_add(struct p11_template *, CK_ATTRIBUTE_TYPE, const void *value, size_t len);
void p11_add_bool(struct p11_template *, CK_ATTRIBUTE_TYPE, bool);

/* pair.c: what the halves of a key have in common, whether it is generated or taken in. */
void p11_fill_pair(struct p11_token *, const struct hx_spec *, const struct hx_buf *id, struct p11_template *private,
                   struct p11_template *public);

/* Refuses what PKCS#11 cannot do, a usage that such a key cannot have, flags other than those given, and making before
 * login. */
int p11_check_spec(struct p11_token *, const struct hx_spec *, uint32_t flags);

/* What create() has made until now. */
struct p11_made {
    CK_OBJECT_HANDLE handle[2];
    size_t count;
};
typedef CK_RV p11_create(struct p11_session *, void *arg, struct p11_made *);
CK_RV p11_create_object(struct p11_session *, const struct p11_template *, struct p11_made *);

struct p11_making {
    const struct hx_spec *spec;
    struct hx_buf id; /* the new object's, where it is to be the only one that has it */
    struct hx_buf public; /* of a private key that is taken in: its modulus or point */
    p11_create *create; /* the private half of a key comes last */
    void *arg;
};

/* replace.c: makes objects by create(), in the place of none or, with HX_REPLACE, of those that bear the same label
 * (without a label: the same id) and their other halves.  The new are there before the old go; what was made goes again
 * when the rest of it fails. */
int p11_make(struct p11_token *, const struct p11_making *);

/* Are both halves of one key? */
bool p11_is_other_half(const struct p11_facts *private, const struct p11_facts *public);

/* The spec's id, or a new one. */
int p11_choose_id(struct p11_token *, const struct hx_spec *, unsigned char ret[P11_ID_MAX], size_t *ret_len);

/* numbers.c: NULL if a private key's parts, as in plugin.h, make a key, else why not.  ret_id: SHA-1 of the
 * SubjectPublicKey's bits, as others reckon CKA_ID. */
#define P11_KEY_ID 20
const char *p11_numbers_check(uint32_t type, const struct hx_buf *part, size_t parts, unsigned char ret_id[P11_KEY_ID]);

int p11_import_certificate(struct p11_token *, const struct hx_spec *, const struct hx_buf *der, struct hx_out *);
int p11_import_data(struct p11_token *, const struct hx_spec *, const struct hx_buf *value, struct hx_out *);
int p11_import_private(struct p11_token *, const struct hx_spec *, const struct hx_buf *part, size_t parts,
                       struct hx_out *);
int p11_import_secret(struct p11_token *, const struct hx_spec *, const struct hx_buf *value, struct hx_out *);
int p11_generate_secret(struct p11_token *, const struct hx_spec *, struct hx_out *);

/* The ref of what was just made. */
int p11_put_ref(struct p11_token *, const struct hx_spec *, const void *id, size_t id_len, struct hx_out *);

#endif
