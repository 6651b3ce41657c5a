/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of a key have in common, and what they may do: the same for keys generated and taken in. */
#include "fork.h"
#include "make.h"

#include <stdlib.h>
#include <string.h>

/* tpm2-pkcs11 makes keys that say they derive, and cannot; and it writes to stderr when asked for one mechanism that it
 * does not have. */
static bool token_derives(struct p11_token *token)
{
    CK_MECHANISM_TYPE *list = NULL;
    CK_ULONG count = 0;
    bool found = false;
    CK_RV rv;

    p11_gate_enter();
    rv = token->fn->C_GetMechanismList(token->slot, NULL, &count);
    if (rv == CKR_OK)
        list = calloc(count + 1, sizeof *list);
    if (list)
        rv = token->fn->C_GetMechanismList(token->slot, list, &count);
    p11_gate_leave();
    for (CK_ULONG i = 0; list && rv == CKR_OK && i < count; i++)
        found = found || list[i] == CKM_ECDH1_DERIVE;
    found = found || !list || rv != CKR_OK;
    free(list);
    return found;
}

/* A usage of 0 is what such a key usually may.  What a type of key can never do goes unsaid: tpm2-pkcs11 takes it for a
 * contradiction that an EC key shall verify and not decrypt. */
static void fill_usage(struct p11_token *token, const struct hx_spec *spec, struct p11_template *private)
{
    uint32_t usual = p11_usual_usage(spec->kind, spec->type), usage = spec->usage ? spec->usage : usual;

    p11_add_bool(private, CKA_SIGN, usage & (HX_SIGN_DIGEST | HX_SIGN_MESSAGE));
    if (usual & HX_DECRYPT)
        p11_add_bool(private, CKA_DECRYPT, usage & HX_DECRYPT);
    if (usual & HX_DERIVE)
        p11_add_bool(private, CKA_DERIVE, usage & HX_DERIVE && (spec->usage || token_derives(token)));
}

void p11_fill_pair(struct p11_token *token, const struct hx_spec *spec, const struct hx_buf *id,
                   struct p11_template *private, struct p11_template *public)
{
    bool extractable = spec->flags & HX_EXTRACTABLE;

    p11_add_bool(public, CKA_TOKEN, true);
    p11_add_bool(public, CKA_PRIVATE, false);
    p11_add_bool(public, CKA_VERIFY, true);
    p11_add(public, CKA_ID, id->data, id->len);
    p11_add_bool(private, CKA_TOKEN, true);
    p11_add_bool(private, CKA_PRIVATE, true);
    p11_add_bool(private, CKA_SENSITIVE, !extractable);
    p11_add_bool(private, CKA_EXTRACTABLE, extractable);
    p11_add(private, CKA_ID, id->data, id->len);
    if (spec->label) {
        p11_add(public, CKA_LABEL, spec->label, strlen(spec->label));
        p11_add(private, CKA_LABEL, spec->label, strlen(spec->label));
    }
    fill_usage(token, spec, private);
}

/* The same id, label and value.  A token that does not tell the key's public value with the private key leaves id and
 * label to go by. */
bool p11_is_other_half(const struct p11_facts *private, const struct p11_facts *public)
{
    return public->id_len == private->id_len && public->label_len == private->label_len &&
           !memcmp(public->data, private->data, private->label_len + 1 + private->id_len) &&
           (private->public_len == 0 ||
            (public->public_len == private->public_len &&
             !memcmp(p11_facts_public(public), p11_facts_public(private), private->public_len)));
}
