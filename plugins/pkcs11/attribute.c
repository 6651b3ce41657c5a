/* SPDX-License-Identifier: Apache-2.0 */
/* Reading attributes (PKCS#11 v2.40 §5.7, C_GetAttributeValue): one call into a fixed buffer for nearly every object,
 * and more only for what was too long for it or what a careless module left out. */
#include "attribute.h"

#include <hsmux/types.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (16 * 1024 * 1024)

/* Bits by enum hx_kind. */
enum kinds {
    PRIVATE = 1 << HX_PRIVATE_KEY,
    SECRET = 1 << HX_SECRET_KEY,
    HALVES = PRIVATE | 1 << HX_PUBLIC_KEY,
    HIDDEN = PRIVATE | SECRET,
    KEYS = HALVES | SECRET,
    CERTIFICATES = 1 << HX_CERTIFICATE,
    WITH_ID = KEYS | CERTIFICATES,
    ALL = WITH_ID | 1 << HX_DATA
};

/* The room is more than an honest value needs, so that a length still equal to it after a failure means that the
 * module stopped before it came to this attribute. */
static const struct row {
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG room;
    uint32_t kinds;
} rows[P11_ATTRIBUTES] = {
    [P11_CLASS] = { CKA_CLASS, 17, ALL },
    [P11_KEY_TYPE] = { CKA_KEY_TYPE, 17, KEYS },
    [P11_CERTIFICATE_TYPE] = { CKA_CERTIFICATE_TYPE, 17, CERTIFICATES },
    [P11_LABEL] = { CKA_LABEL, 301, ALL },
    [P11_ID] = { CKA_ID, 301, WITH_ID },
    [P11_MODULUS] = { CKA_MODULUS, 1031, HALVES },
    [P11_PUBLIC_EXPONENT] = { CKA_PUBLIC_EXPONENT, 67, HALVES },
    [P11_EC_PARAMS] = { CKA_EC_PARAMS, 67, HALVES },
    [P11_EC_POINT] = { CKA_EC_POINT, 151, HALVES },
    [P11_PUBLIC_KEY_INFO] = { CKA_PUBLIC_KEY_INFO, 1301, PRIVATE },
    [P11_VALUE_LEN] = { CKA_VALUE_LEN, 17, SECRET },
    [P11_SIGN] = { CKA_SIGN, 17, HIDDEN },
    [P11_DECRYPT] = { CKA_DECRYPT, 17, HIDDEN },
    [P11_DERIVE] = { CKA_DERIVE, 17, HIDDEN },
    [P11_SENSITIVE] = { CKA_SENSITIVE, 17, HIDDEN },
    [P11_EXTRACTABLE] = { CKA_EXTRACTABLE, 17, HIDDEN },
    [P11_ALWAYS_AUTHENTICATE] = { CKA_ALWAYS_AUTHENTICATE, 17, PRIVATE },
};

/* Missing attributes are told by their lengths, not by the result: which of several failures it names is chance. */
static bool tolerable(CK_RV rv)
{
    return rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
           rv == CKR_BUFFER_TOO_SMALL;
}

/* The value's length alone; a missing attribute has none. */
static CK_RV measure(CK_FUNCTION_LIST *fn, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *at)
{
    CK_RV rv;

    at->pValue = NULL;
    at->ulValueLen = 0;
    rv = fn->C_GetAttributeValue(session, object, at, 1);
    if (rv == CKR_OK && at->ulValueLen == CK_UNAVAILABLE_INFORMATION)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    return rv;
}

/* The value may be a secret, and a module that fails may have begun to write it. */
static void wipe_free(unsigned char *data, size_t len)
{
    if (data)
        explicit_bzero(data, len);
    free(data);
}

CK_RV p11_attribute_read(CK_FUNCTION_LIST *fn, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                         CK_ATTRIBUTE_TYPE type, struct p11_value *ret)
{
    CK_ULONG room = 4096;
    CK_ATTRIBUTE at = { .type = type, .ulValueLen = room };
    unsigned char *data = malloc(room);
    CK_RV rv;

    if (!data)
        return CKR_HOST_MEMORY;
    at.pValue = data;
    rv = fn->C_GetAttributeValue(session, object, &at, 1);
    if (rv == CKR_BUFFER_TOO_SMALL) {
        wipe_free(data, room);
        rv = measure(fn, session, object, &at);
        if (rv != CKR_OK)
            return rv;
        room = at.ulValueLen;
        if (room > VALUE_MAX)
            return CKR_GENERAL_ERROR;
        at.pValue = data = malloc(room + 1);
        rv = data ? fn->C_GetAttributeValue(session, object, &at, 1) : CKR_HOST_MEMORY;
    }
    if (rv == CKR_OK && at.ulValueLen == CK_UNAVAILABLE_INFORMATION)
        rv = CKR_ATTRIBUTE_TYPE_INVALID;
    if (rv == CKR_OK && at.ulValueLen > room) /* more than the module can have written */
        rv = CKR_GENERAL_ERROR;
    if (rv != CKR_OK) {
        wipe_free(data, room);
        return rv;
    }
    ret->data = data;
    ret->len = at.ulValueLen;
    return CKR_OK;
}

static CK_RV read_longer(CK_FUNCTION_LIST *fn, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                         enum p11_attribute which, struct p11_attributes *ret)
{
    struct p11_value value;
    CK_RV rv = p11_attribute_read(fn, session, object, rows[which].type, &value);

    if (rv == CKR_OK) {
        ret->value[which] = value;
        ret->longer[which] = value.data;
    }
    return tolerable(rv) ? CKR_OK : rv;
}

/* A label or an id, and the modulus of an RSA key, are missed only when they are there and too long. */
static bool worth_asking_again(enum p11_attribute which, const struct p11_attributes *attributes)
{
    if (which == P11_LABEL || which == P11_ID)
        return true;
    return which == P11_MODULUS && p11_attribute_number(attributes, P11_KEY_TYPE, CKK_VENDOR_DEFINED) == CKK_RSA;
}

static CK_RV take_over(CK_FUNCTION_LIST *fn, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_RV rv,
                       const CK_ATTRIBUTE *at, const enum p11_attribute *which, CK_ULONG count,
                       struct p11_attributes *ret)
{
    for (CK_ULONG i = 0; i < count; i++) {
        bool untouched = rv != CKR_OK && at[i].ulValueLen == rows[which[i]].room;
        bool missing = at[i].ulValueLen == CK_UNAVAILABLE_INFORMATION;
        CK_RV again = CKR_OK;

        if (untouched || (missing && worth_asking_again(which[i], ret)))
            again = read_longer(fn, session, object, which[i], ret);
        else if (!missing && at[i].ulValueLen <= rows[which[i]].room)
            ret->value[which[i]] = (struct p11_value){ at[i].pValue, at[i].ulValueLen };
        if (again != CKR_OK)
            return again;
    }
    return CKR_OK;
}

CK_RV p11_attributes_read(CK_FUNCTION_LIST *fn, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, uint32_t kind,
                          struct p11_attributes *ret)
{
    uint32_t wanted = kind ? UINT32_C(1) << kind : (uint32_t)ALL;
    enum p11_attribute which[P11_ATTRIBUTES];
    CK_ATTRIBUTE at[P11_ATTRIBUTES];
    size_t used = 0;
    CK_ULONG count = 0;
    CK_RV rv;

    memset(ret->value, 0, sizeof ret->value);
    memset(ret->longer, 0, sizeof ret->longer);
    for (unsigned i = 0; i < P11_ATTRIBUTES; i++) {
        if (!(rows[i].kinds & wanted))
            continue;
        which[count] = (enum p11_attribute)i;
        at[count++] = (CK_ATTRIBUTE){ rows[i].type, ret->room + used, rows[i].room };
        used += rows[i].room;
    }
    rv = fn->C_GetAttributeValue(session, object, at, count);
    if (!tolerable(rv))
        return rv;
    return take_over(fn, session, object, rv, at, which, count, ret);
}

void p11_attributes_free(struct p11_attributes *attributes)
{
    for (unsigned i = 0; i < P11_ATTRIBUTES; i++)
        free(attributes->longer[i]);
}

CK_ULONG p11_attribute_number(const struct p11_attributes *attributes, enum p11_attribute which, CK_ULONG missing)
{
    CK_ULONG number;

    if (attributes->value[which].len != sizeof number)
        return missing;
    memcpy(&number, attributes->value[which].data, sizeof number);
    return number;
}

bool p11_attribute_true(const struct p11_attributes *attributes, enum p11_attribute which)
{
    const struct p11_value *value = &attributes->value[which];

    return value->len == sizeof(CK_BBOOL) && value->data[0] != CK_FALSE;
}
