/* SPDX-License-Identifier: Apache-2.0 */
/* What the provider offers, made from the rows of keytypes: a new key type or operation is a row, not a function. */
#include "asymcipher.h"
#include "decoder.h"
#include "encoder.h"
#include "keyexch.h"
#include "keymgmt.h"
#include "mac.h"
#include "random.h"
#include "signature.h"
#include "store.h"

#include "reference.h"

#include <stdlib.h>
#include <string.h>

#define PROPERTIES "provider=hsmux"

enum { ENCODINGS = 4, FUNCTIONS = 32 };

struct tables {
    OSSL_DISPATCH keymgmt_functions[KEYTYPES][FUNCTIONS];
    OSSL_DISPATCH decoder_functions[KEYTYPES][FUNCTIONS];
    OSSL_ALGORITHM keymgmt[KEYTYPES + 1];
    OSSL_ALGORITHM signature[KEYTYPES + 1];
    OSSL_ALGORITHM asymcipher[KEYTYPES + 1];
    OSSL_ALGORITHM keyexch[KEYTYPES + 1];
    OSSL_ALGORITHM encoder[KEYTYPES * ENCODINGS + 1];
    OSSL_ALGORITHM decoder[KEYTYPES + 2];
    OSSL_ALGORITHM store[3];
    OSSL_ALGORITHM mac[2];
    OSSL_ALGORITHM random[2];
};

static OSSL_DISPATCH *append(OSSL_DISPATCH *at, const OSSL_DISPATCH *from)
{
    while (from->function_id)
        *at++ = *from++;
    return at;
}

static void fill_keymgmt(OSSL_DISPATCH *at, const struct keytype *type)
{
    *at++ = (OSSL_DISPATCH){ OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))type->key_new };
    *at++ = (OSSL_DISPATCH){ OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))type->gen_init };
    *at++ = (OSSL_DISPATCH){ OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))type->operation_name };
    append(append(at, keymgmt_functions), keygen_functions);
}

static void fill_decoder(OSSL_DISPATCH *at, const struct keytype *type)
{
    *at++ = (OSSL_DISPATCH){ OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))type->decoder_new };
    append(at, decoder_der_functions);
}

static void fill_row(struct tables *tables, int row)
{
    const struct keytype *type = &keytypes[row];

    fill_keymgmt(tables->keymgmt_functions[row], type);
    fill_decoder(tables->decoder_functions[row], type);
    tables->keymgmt[row] =
        (OSSL_ALGORITHM){ type->names, PROPERTIES, tables->keymgmt_functions[row], type->description };
    tables->signature[row] = (OSSL_ALGORITHM){ type->signatures, PROPERTIES, signature_functions, type->description };
    tables->decoder[row] = (OSSL_ALGORITHM){ type->names, PROPERTIES ",input=der,structure=" REFERENCE_STRUCTURE,
                                             tables->decoder_functions[row], type->description };
    for (int i = 0; i < ENCODINGS && encodings[i].functions; i++)
        tables->encoder[row * ENCODINGS + i] =
            (OSSL_ALGORITHM){ type->names, encodings[i].properties, encodings[i].functions, encodings[i].description };
}

/* Operations that only some key types have. */
static void fill_some(OSSL_ALGORITHM *at, const char *const *names, const OSSL_DISPATCH *functions, const char *what)
{
    for (int row = 0; row < KEYTYPES; row++)
        if (names[row])
            *at++ = (OSSL_ALGORITHM){ names[row], PROPERTIES, functions, what };
}

struct tables *tables_new(const struct provider *provider)
{
    const char *ciphers[KEYTYPES], *exchanges[KEYTYPES];
    struct tables *tables = calloc(1, sizeof(*tables));

    if (!tables)
        return NULL;
    for (int row = 0; row < KEYTYPES; row++)
        fill_row(tables, row);
    for (int row = 0; row < KEYTYPES; row++) {
        ciphers[row] = keytypes[row].cipher ? keytypes[row].names : NULL;
        exchanges[row] = keytypes[row].exchange;
    }
    fill_some(tables->asymcipher, ciphers, asymcipher_functions, "decryption in a token");
    fill_some(tables->keyexch, exchanges, keyexch_functions, "key agreement in a token");
    tables->mac[0] = (OSSL_ALGORITHM){ MAC_NAME, PROPERTIES, mac_functions, "HMAC with a secret in a token" };
    if (provider->random_token)
        tables->random[0] = (OSSL_ALGORITHM){ RANDOM_NAME, PROPERTIES, random_functions, "a token's generator" };
    tables->decoder[KEYTYPES] =
        (OSSL_ALGORITHM){ "DER", PROPERTIES ",input=pem", decoder_pem_functions, "PEM to key reference" };
    tables->store[0] = (OSSL_ALGORITHM){ "hsm", PROPERTIES, store_functions, "addresses of hsmux" };
    if (provider->pkcs11_uri)
        tables->store[1] = (OSSL_ALGORITHM){ "pkcs11", PROPERTIES, store_functions, "PKCS#11 URIs (RFC 7512)" };
    return tables;
}

void tables_free(struct tables *tables)
{
    free(tables);
}

const OSSL_ALGORITHM *tables_query(const struct provider *provider, int operation)
{
    const struct tables *tables = provider->tables;

    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return tables->keymgmt;
    case OSSL_OP_SIGNATURE:
        return tables->signature;
    case OSSL_OP_ASYM_CIPHER:
        return tables->asymcipher;
    case OSSL_OP_KEYEXCH:
        return tables->keyexch;
    case OSSL_OP_MAC:
        return tables->mac;
    case OSSL_OP_RAND:
        return provider->random_token ? tables->random : NULL;
    case OSSL_OP_ENCODER:
        return tables->encoder;
    case OSSL_OP_DECODER:
        return tables->decoder;
    case OSSL_OP_STORE:
        return tables->store;
    default:
        return NULL;
    }
}
