/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes of one object, all read by one C_GetAttributeValue; and a single one of any length. */
#ifndef P11_ATTRIBUTE_H
#define P11_ATTRIBUTE_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdint.h>

enum p11_attribute {
    P11_CLASS,
    P11_KEY_TYPE,
    P11_CERTIFICATE_TYPE,
    P11_LABEL,
    P11_ID,
    P11_MODULUS,
    P11_PUBLIC_EXPONENT,
    P11_EC_PARAMS,
    P11_EC_POINT,
    P11_PUBLIC_KEY_INFO,
    P11_VALUE_LEN,
    P11_SIGN,
    P11_DECRYPT,
    P11_DERIVE,
    P11_SENSITIVE,
    P11_EXTRACTABLE,
    P11_ALWAYS_AUTHENTICATE,
    P11_ATTRIBUTES
};

struct p11_attributes {
    struct p11_value {
        unsigned char *data; /* NULL: the object has none */
        size_t len;
    } value[P11_ATTRIBUTES];
    unsigned char *longer[P11_ATTRIBUTES]; /* values for which there was no room, each allocated */
    unsigned char room[3584];
};

/* Reads what an object of that kind (0: any) may have.  CKR_OK also when some are missing or not to be read.  For
 * p11_attributes_free(), even after a failure. */
CK_RV p11_attributes_read(CK_FUNCTION_LIST *, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, uint32_t kind,
                          struct p11_attributes *ret);
void p11_attributes_free(struct p11_attributes *);

/* Numbers and truth values; a missing one is what missing says, or false. */
CK_ULONG p11_attribute_number(const struct p11_attributes *, enum p11_attribute, CK_ULONG missing);
bool p11_attribute_true(const struct p11_attributes *, enum p11_attribute);

/* One attribute; *ret is for free().  CKR_ATTRIBUTE_TYPE_INVALID for one that is missing. */
CK_RV p11_attribute_read(CK_FUNCTION_LIST *, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE_TYPE,
                         struct p11_value *ret);

#endif
