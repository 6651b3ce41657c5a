/* SPDX-License-Identifier: Apache-2.0 */
/* What signing, decrypting and deriving have in common: what is refused before the module is asked, and results of
 * fixed width. */
#ifndef P11_OPERATION_H
#define P11_OPERATION_H

#include "object.h"

#define P11_RESULT_MAX 1024 /* bytes of the longest signature or plaintext: RSA-8192 */

/* "key 'x' on token 'y' cannot do that: what"; HX_E_UNSUPPORTED. */
int p11_refuse(const struct p11_object *, const char *what);

/* That many bytes are no input for it; HX_E_INVALID. */
int p11_refuse_length(const struct p11_object *, size_t len);

/* Is the object a key of that kind, that can be used now, and does hsmux know all that is asked?  Of
 * alg->param the caller knows more. */
int p11_check_key(const struct p11_object *, uint32_t kind, const struct hx_alg *);

/* Has C_Decrypt with that key answered with a device error within the last minute?  Now it has. */
bool p11_suspect(const struct p11_object *);

/* The bytes of one number below the modulus, or of one coordinate. */
size_t p11_width(const struct p11_object *);

/* A number to its full width, for some modules leave out leading zeros; HX_E_DEVICE for one that is too long. */
int p11_put_number(const struct p11_object *, const void *number, size_t len, struct hx_out *);

#endif
