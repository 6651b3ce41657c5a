/* SPDX-License-Identifier: Apache-2.0 */
/* hsmux remove: an object goes for good, so a person is asked first. */
#include "tool.h"

static int confirm(hx *context, const char *wanted)
{
    AUTO_FREE char *question = NULL;
    AUTO_FOUND struct found found = { 0 };

    if (!isatty(STDIN_FILENO))
        return fail("remove '%s': there is no terminal to ask on: give -y", wanted);
    if (find_objects(context, wanted, &found))
        return FAILED;
    if (found.count != 1)
        return fail("'%s' fits %d objects: name one as 'hsmux list' shows it", wanted, found.count);
    question = text_of("delete the %s '%s' for good?", kind_word(found.kind), found.address);
    if (!question)
        return fail("out of memory");
    return ask_yes(question) ? DONE : fail("nothing was deleted");
}

int remove_run(const struct call *call)
{
    AUTO_HX hx *context = NULL;
    const char *name;

    if (is_credential(call->arg[0], &name))
        return misused("'%s' names a credential, not one object: name one as 'hsmux list' shows it", call->arg[0]);
    if (open_context(call, &context))
        return FAILED;
    if (!option(call, O_YES) && confirm(context, call->arg[0]))
        return FAILED;
    return hx_remove(context, call->arg[0]) ? fail_hx() : DONE;
}
