/* SPDX-License-Identifier: Apache-2.0 */
/* A token with one place for each id, as PIV cards are: a new key takes the old one's place and its handles. */
#include "pkcs11-fixture.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>

static CK_FUNCTION_LIST *fn, real; /* the module's list, as the plugin sees it, and as it was */
static CK_OBJECT_HANDLE old[2], new[2]; /* public, private */

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *id)
{
    CK_ATTRIBUTE at[] = { { CKA_CLASS, &class, sizeof class }, *id };
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    assert_int_equal(real.C_FindObjectsInit(session, at, 2), CKR_OK);
    assert_int_equal(real.C_FindObjects(session, &found, 1, &count), CKR_OK);
    assert_int_equal(real.C_FindObjectsFinal(session), CKR_OK);
    return count ? found : 0;
}

static CK_RV overwrite(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public, CK_ULONG publics,
                       CK_ATTRIBUTE *private, CK_ULONG privates, CK_OBJECT_HANDLE *ret_public,
                       CK_OBJECT_HANDLE *ret_private)
{
    CK_ULONG id = 0;
    CK_RV rv;

    while (public[id].type != CKA_ID)
        id++;
    old[0] = find(session, CKO_PUBLIC_KEY, &public[id]);
    old[1] = find(session, CKO_PRIVATE_KEY, &public[id]);
    rv = real.C_GenerateKeyPair(session, mechanism, public, publics, private, privates, &new[0], &new[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(real.C_DestroyObject(session, old[i]), CKR_OK);
    *ret_public = old[0];
    *ret_private = old[1];
    return rv;
}

static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle)
{
    return real.C_DestroyObject(session, handle == old[0] ? new[0] : handle == old[1] ? new[1] : handle);
}

static int start(void **state)
{
    CK_C_GetFunctionList get;
    void *handle;

    (void)state;
    if (fixture_start(NULL))
        return -1;
    make_token("card");
    handle = dlopen(host.host.option(&host.host, "module"), RTLD_NOW | RTLD_LOCAL);
    *(void **)&get = dlsym(handle, "C_GetFunctionList");
    if (get(&fn) != CKR_OK)
        return -1;
    real = *fn;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return fixture_stop();
}

static void a_key_in_the_old_ones_place_is_not_destroyed_as_the_old_one(void **state)
{
    void *token = open_and_login("card");

    (void)state;
    assert_int_equal(generate(token, HX_P256, 0, "device", "9a", 0), 0);
    fn->C_GenerateKeyPair = overwrite;
    fn->C_DestroyObject = destroy;
    assert_int_equal(generate(token, HX_P256, 0, "device", "9a", HX_REPLACE), 0);
    *fn = real;
    assert_int_equal(count_objects("card"), 2);
    sign_and_verify(token, "device", HX_ECDSA, HX_SHA256, 0);
    plugin->close(token);
}

int pkcs11_place_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_in_the_old_ones_place_is_not_destroyed_as_the_old_one),
    };

    return cmocka_run_group_tests_name("places", tests, start, stop);
}
