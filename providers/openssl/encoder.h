/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to write a key down: SubjectPublicKeyInfo, text, and in place of a private key its reference. */
#ifndef ENCODER_H
#define ENCODER_H

#include "provider.h"

struct encoding {
    const char *properties, *description;
    const OSSL_DISPATCH *functions;
};

/* The same for every key type; ended by a NULL. */
extern const struct encoding encodings[];

#endif
