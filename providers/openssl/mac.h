/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC with a secret of the token, under a name of its own. */
#ifndef MAC_H
#define MAC_H

#include <openssl/core.h>

#define MAC_NAME "HSMUX-HMAC"
#define MAC_PARAM_ADDRESS "address" /* of the secret */

extern const OSSL_DISPATCH mac_functions[];

#endif
