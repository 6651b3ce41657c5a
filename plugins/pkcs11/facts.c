/* SPDX-License-Identifier: Apache-2.0 */
/* From an object's attributes to what hsmux says of it.  Objects of a type that hsmux does not know are passed over:
 * they are no reason to hide the others. */
#include "facts.h"

#include "attribute.h"
#include "curve.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    uint32_t kind;
    CK_OBJECT_CLASS class;
} kinds[] = {
    { HX_PRIVATE_KEY, CKO_PRIVATE_KEY },
    { HX_PUBLIC_KEY, CKO_PUBLIC_KEY },
    { HX_SECRET_KEY, CKO_SECRET_KEY },
    { HX_CERTIFICATE, CKO_CERTIFICATE },
    { HX_DATA, CKO_DATA },
};

uint32_t p11_kind(CK_OBJECT_CLASS class)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].class == class)
            return kinds[i].kind;
    return 0;
}

CK_OBJECT_CLASS p11_class(uint32_t kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind)
            return kinds[i].class;
    return CK_UNAVAILABLE_INFORMATION;
}

uint32_t p11_usual_usage(uint32_t kind, uint32_t type)
{
    if (kind == HX_SECRET_KEY)
        return HX_SIGN_MESSAGE;
    if (kind != HX_PRIVATE_KEY)
        return 0;
    switch (type) {
    case HX_RSA:
        return HX_SIGN_DIGEST | HX_DECRYPT;
    case HX_ED25519:
        return HX_SIGN_MESSAGE;
    default:
        return HX_SIGN_DIGEST | HX_DERIVE;
    }
}

/* A number without its leading zeros. */
static struct p11_value trim(struct p11_value number)
{
    for (; number.len > 0 && *number.data == 0; number.len--)
        number.data++;
    return number;
}

static uint32_t bits_of(struct p11_value number)
{
    uint32_t bits = (uint32_t)number.len * 8;

    for (unsigned top = number.len ? *number.data : 0x80; !(top & 0x80); top <<= 1)
        bits--;
    return bits;
}

static uint64_t small_number(struct p11_value number)
{
    uint64_t n = 0;

    for (size_t i = 0; i < number.len && number.len <= sizeof n; i++)
        n = n << 8 | number.data[i];
    return n;
}

/* Type, width and public value of a key; type stays 0 for one that hsmux does not know. */
static void describe_key(const struct p11_attributes *at, struct p11_facts *facts, struct p11_value *public,
                         unsigned char point[P11_POINT_MAX])
{
    const struct p11_value *params = &at->value[P11_EC_PARAMS], *spki = &at->value[P11_PUBLIC_KEY_INFO];
    CK_KEY_TYPE key_type = p11_attribute_number(at, P11_KEY_TYPE, CKK_VENDOR_DEFINED);

    if (facts->kind == HX_SECRET_KEY) {
        facts->mac_hash = p11_hash_of_key(key_type) ? p11_hash_of_key(key_type)->hash : 0;
        facts->type = facts->mac_hash || key_type == CKK_GENERIC_SECRET ? HX_GENERIC : 0;
        facts->bits = (uint32_t)p11_attribute_number(at, P11_VALUE_LEN, 0) * 8;
        return;
    }
    if (key_type == CKK_RSA && at->value[P11_MODULUS].len > 0) {
        *public = trim(at->value[P11_MODULUS]);
        facts->type = HX_RSA;
        facts->bits = bits_of(*public);
        facts->rsa_e = small_number(trim(at->value[P11_PUBLIC_EXPONENT]));
        return;
    }
    facts->type = p11_curve_type(key_type, params->data, params->len);
    facts->bits = p11_curve_bits(facts->type);
    public->data = point;
    public->len = p11_curve_point(facts->type, at->value[P11_EC_POINT].data, at->value[P11_EC_POINT].len, point);
    if (public->len == 0)
    public->len = p11_curve_point_of_spki(facts->type, spki->data, spki->len, point);
}

/* Some tools let a key do all that there is: of that counts what its type can. */
static uint32_t usage_of(const struct p11_attributes *at, const struct p11_facts *facts)
{
    uint32_t allowed = (p11_attribute_true(at, P11_SIGN) ? HX_SIGN_DIGEST | HX_SIGN_MESSAGE : 0u) |
                       (p11_attribute_true(at, P11_DECRYPT) ? HX_DECRYPT : 0u) |
                       (p11_attribute_true(at, P11_DERIVE) ? HX_DERIVE : 0u);

    return allowed & p11_usual_usage(facts->kind, facts->type);
}

static uint32_t flags_of(const struct p11_attributes *at)
{
    return (p11_attribute_true(at, P11_EXTRACTABLE) ? HX_EXTRACTABLE : 0u) |
           (p11_attribute_true(at, P11_ALWAYS_AUTHENTICATE) ? HX_ALWAYS_AUTH : 0u) |
           (p11_attribute_true(at, P11_SENSITIVE) && !p11_attribute_true(at, P11_EXTRACTABLE) ? HX_IN_HARDWARE : 0u);
}

static struct p11_facts *pack(const struct p11_facts *known, struct p11_value label, struct p11_value id,
                              struct p11_value public)
{
    struct p11_facts *facts = malloc(sizeof *facts + label.len + 1 + id.len + public.len);

    if (!facts)
        return NULL;
    *facts = *known;
    facts->label_len = label.len;
    facts->id_len = id.len;
    facts->public_len = public.len;
    if (label.len)
        memcpy(facts->data, label.data, label.len);
    facts->data[label.len] = '\0';
    if (id.len)
        memcpy(facts->data + label.len + 1, id.data, id.len);
    if (public.len)
        memcpy(facts->data + label.len + 1 + id.len, public.data, public.len);
    return facts;
}

static struct p11_facts *describe(const struct p11_attributes *at, CK_OBJECT_HANDLE handle, bool *ret_foreign)
{
    struct p11_facts known = { .handle = handle };
    unsigned char point[P11_POINT_MAX];
    struct p11_value public = { 0 };

    known.kind = p11_kind(p11_attribute_number(at, P11_CLASS, CK_UNAVAILABLE_INFORMATION));
    *ret_foreign = known.kind == 0;
    if (known.kind == HX_CERTIFICATE) {
        *ret_foreign = p11_attribute_number(at, P11_CERTIFICATE_TYPE, CKC_X_509) != CKC_X_509;
    } else if (known.kind && known.kind != HX_DATA) {
        describe_key(at, &known, &public, point);
        known.usage = usage_of(at, &known);
        known.flags = flags_of(at);
        *ret_foreign = known.type == 0;
    }
    if (*ret_foreign || at->value[P11_LABEL].len > UINT16_MAX || at->value[P11_ID].len > UINT16_MAX)
        return NULL;
    return pack(&known, at->value[P11_LABEL], at->value[P11_ID], public);
}

CK_RV p11_facts_read(struct p11_session *session, CK_OBJECT_HANDLE handle, uint32_t kind, struct p11_facts **ret)
{
    struct p11_attributes at;
    struct p11_facts *facts = NULL;
    bool foreign = false;
    CK_RV rv;

    session->function = "C_GetAttributeValue";
    rv = p11_attributes_read(session->fn, session->handle, handle, kind, &at);
    if (rv == CKR_OK) {
        facts = describe(&at, handle, &foreign);
        rv = facts || foreign ? CKR_OK : CKR_HOST_MEMORY;
    } else if (rv == CKR_OBJECT_HANDLE_INVALID) {
        rv = CKR_OK; /* removed since it was found */
    }
    p11_attributes_free(&at);
    if (rv == CKR_OK)
        *ret = facts;
    return rv;
}

struct p11_facts *p11_facts_copy(const struct p11_facts *facts)
{
    size_t size = sizeof *facts + facts->label_len + 1 + facts->id_len + facts->public_len;
    struct p11_facts *copy = malloc(size);

    if (copy)
        memcpy(copy, facts, size);
    return copy;
}

const char *p11_facts_label(const struct p11_facts *facts)
{
    return (const char *)facts->data;
}

const unsigned char *p11_facts_id(const struct p11_facts *facts)
{
    return facts->data + facts->label_len + 1;
}

const unsigned char *p11_facts_public(const struct p11_facts *facts)
{
    return p11_facts_id(facts) + facts->id_len;
}

bool p11_facts_namesakes(const struct p11_facts *a, const struct p11_facts *b)
{
    return a->kind == b->kind && a->label_len == b->label_len && a->id_len == b->id_len &&
           !memcmp(a->data, b->data, a->label_len + 1 + a->id_len);
}

/* FNV-1a, 64 bits: it tells namesakes on one token apart, and protects nothing. */
static uint64_t fnv(const unsigned char *data, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

CK_RV p11_facts_hash(struct p11_session *session, struct p11_facts *facts)
{
    struct p11_value value;
    CK_RV rv;

    if (facts->has_hash)
        return CKR_OK;
    if (facts->kind == HX_CERTIFICATE || facts->kind == HX_DATA) {
        session->function = "C_GetAttributeValue";
        rv = p11_attribute_read(session->fn, session->handle, facts->handle, CKA_VALUE, &value);
        if (rv != CKR_OK)
            return rv;
        facts->hash = fnv(value.data, value.len);
        explicit_bzero(value.data, value.len); /* data may be a PIN */
        free(value.data);
    } else {
        facts->hash = fnv(p11_facts_public(facts), facts->public_len);
    }
    facts->has_hash = true;
    return CKR_OK;
}

/* Keys without a readable public value all have the hash of nothing. */
bool p11_facts_same(const struct p11_facts *a, const struct p11_facts *b)
{
    bool has_value = a->public_len > 0 || a->kind == HX_CERTIFICATE || a->kind == HX_DATA;

    return has_value && a->hash == b->hash && a->public_len == b->public_len &&
           !memcmp(p11_facts_public(a), p11_facts_public(b), a->public_len);
}
