/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates to import, and what is there of them afterwards. */
#ifndef TPM2_CERTS_H
#define TPM2_CERTS_H

#include "tpm2-store.h"

/* A certificate in DER; one that bears so many more names is so much longer. */
static inline struct blob make_certificate(struct fixture *f, const char *name, int names)
{
    char path[128];

    tpm_fixture_run(&f->tpm,
                    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -days 30 "
                    "-subj /CN=%s -addext \"subjectAltName=DNS:x$(seq -f ',DNS:name-%%g.example.org' -s '' %d)\" "
                    "-outform DER -out %s.der && openssl x509 -inform DER -in %s.der -out %s.pem",
                    name, names, name, name, name);
    snprintf(path, sizeof path, "%s/%s.der", f->tpm.directory, name);
    return blob_of_file(path);
}

/* Is the label that of the certificate, and of no other? */
static inline void is_called(struct fixture *f, const char *label, const struct blob *der)
{
    const struct hx_object want = { .kind = HX_CERTIFICATE, .label = label };
    const struct hx_object *object;
    struct plugin_objects found;
    char ref[64];

    assert_int_equal(listed(f, HX_CERTIFICATE, label), 1);
    plugin_objects_init(&found, &want);
    assert_int_equal(tpm2_plugin_entry()->list(f->token, &found.list), 0);
    object = plugin_objects_find(&found, HX_CERTIFICATE, label);
    snprintf(ref, sizeof ref, "%s", (const char *)object->ref.data);
    plugin_objects_free(&found);
    holds(f, HX_CERTIFICATE, ref, der);
}

#endif
