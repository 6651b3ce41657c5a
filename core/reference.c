/* SPDX-License-Identifier: Apache-2.0 */
/* The key reference: what a PEM key file holds in place of a key.  It is strict DER, so that one key has one reference
 * and no byte of it can be changed unnoticed. */
#include "der.h"
#include "encode.h"
#include "error.h"

#include <openssl/asn1t.h>
#include <string.h>

enum { VERSION = 1 };

typedef struct {
    ASN1_INTEGER *version;
    ASN1_UTF8STRING *address;
    ASN1_STRING *spki; /* its whole DER */
} REFERENCE;

ASN1_SEQUENCE(REFERENCE) = {
    ASN1_SIMPLE(REFERENCE, version, ASN1_INTEGER),
    ASN1_SIMPLE(REFERENCE, address, ASN1_UTF8STRING),
    ASN1_OPT(REFERENCE, spki, ASN1_SEQUENCE),
} static_ASN1_SEQUENCE_END(REFERENCE)

static void reference_free(REFERENCE **reference)
{
    ASN1_item_free((ASN1_VALUE *)*reference, ASN1_ITEM_rptr(REFERENCE));
}

static int check_address(const char *address)
{
    if (strncmp(address, "hsm:", 4) != 0)
        return hx_error(HX_E_INVALID, "the address in a key reference must start with 'hsm:'");
    for (; *address; address++)
        if ((unsigned char)*address < ' ' || *address == 0x7f)
            return hx_error(HX_E_INVALID, "the address in a key reference holds a control character");
    return HX_OK;
}

static int check_spki(const void *spki, size_t len)
{
    AUTO_BYTES struct hx_bytes normal = { 0 };
    int result = spki_normal(spki, len, &normal);

    if (result)
        return hx_error_in(result, "the public key in a key reference");
    if (!bytes_equal(normal.data, normal.len, spki, len))
        return hx_error(HX_E_INVALID, "the public key in a key reference is not in its usual encoding");
    return HX_OK;
}

int encode_reference(const char *address, const void *spki, size_t spki_len, struct hx_bytes *ret_pem)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(reference_free) REFERENCE *made = NULL;
    AUTO_BYTES struct hx_bytes der = { 0 }, checked = { 0 }, checked_spki = { 0 };
    int result;

    if (!(made = (REFERENCE *)ASN1_item_new(ASN1_ITEM_rptr(REFERENCE))) || !ASN1_INTEGER_set(made->version, VERSION) ||
        !ASN1_STRING_set(made->address, address, -1))
        return hx_error(HX_E_NO_MEMORY, "out of memory");
    if (spki_len) {
        if ((result = check_spki(spki, spki_len)))
            return result;
        if (!(made->spki = ASN1_STRING_type_new(V_ASN1_SEQUENCE)) || !ASN1_STRING_set(made->spki, spki, (int)spki_len))
            return hx_error(HX_E_NO_MEMORY, "out of memory");
    }
    if ((result = der_encode(made, ASN1_ITEM_rptr(REFERENCE), &der)) ||
        (result = decode_reference(der.data, der.len, &checked, &checked_spki)))
        return result;
    return der_to_pem("HSMUX KEY REFERENCE", der.data, der.len, ret_pem);
}

static int decode(const REFERENCE *reference, struct hx_bytes *ret_address, struct hx_bytes *ret_spki)
{
    int64_t version;
    int result;

    if (!ASN1_INTEGER_get_int64(&version, reference->version) || version != VERSION)
        return hx_error(HX_E_UNSUPPORTED, "a key reference of this version is not supported; version %d is", VERSION);
    if ((result = der_text(reference->address, "the address in a key reference", ret_address)) ||
        (result = check_address((const char *)ret_address->data)))
        return result;
    if (!reference->spki)
        return HX_OK;
    if ((result = bytes_append(ret_spki, ASN1_STRING_get0_data(reference->spki),
                               (size_t)ASN1_STRING_length(reference->spki))))
        return result;
    return check_spki(ret_spki->data, ret_spki->len);
}

int decode_reference(const void *der, size_t len, struct hx_bytes *ret_address, struct hx_bytes *ret_spki)
{
    AUTO_ERRORS mark = ERR_set_mark();
    CLEANUP(reference_free) REFERENCE *reference = der_decode(der, len, ASN1_ITEM_rptr(REFERENCE));
    AUTO_BYTES struct hx_bytes again = { 0 }, address = { 0 }, spki = { 0 };
    int result;

    if (!reference)
        return hx_error(HX_E_INVALID, "not a key reference");
    if ((result = der_encode(reference, ASN1_ITEM_rptr(REFERENCE), &again)))
        return result;
    if (!bytes_equal(again.data, again.len, der, len))
        return hx_error(HX_E_INVALID, "a key reference that is not strict DER");
    if ((result = decode(reference, &address, &spki)))
        return result;
    bytes_move(ret_address, &address);
    bytes_move(ret_spki, &spki);
    return HX_OK;
}
