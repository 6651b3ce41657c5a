// SPDX-License-Identifier: Apache-2.0
// A plugin in C++: one token with one data object.
#include <hsmux/plugin.h>

#include <cstring>

namespace
{
const char content[] = "written in C++";
int token_here;

int cpp_open(const hx_host *, const char *, void **token)
{
    *token = &token_here;
    return HX_OK;
}

void cpp_close(void *)
{
}

int tell(hx_list *list)
{
    hx_object object{};
    object.kind = HX_DATA;
    object.label = "greeting";
    object.ref = { "greeting", 8 };
    return hx_add(list, &object);
}

int cpp_list(void *, hx_list *list)
{
    return tell(list);
}

int cpp_load(void *token, uint32_t kind, const void *ref, size_t ref_len, hx_list *info, void **object)
{
    if (kind != HX_DATA || ref_len != 8 || std::memcmp(ref, "greeting", 8) != 0)
        return HX_E_NOT_FOUND;
    int result = tell(info);
    if (result == HX_OK)
        *object = token;
    return result;
}

int cpp_read(void *, uint32_t part, hx_out *out)
{
    return part == HX_VALUE ? hx_put(out, content, std::strlen(content)) : int{ HX_E_UNSUPPORTED };
}
} // namespace

HX_PLUGIN(.name = "cpp", .version = "1.0", .summary = "a plugin in C++", .options = nullptr, .flags = HX_THREADSAFE,
          .open = cpp_open, .close = cpp_close, .list = cpp_list, .load = cpp_load, .unload = cpp_close,
          .read = cpp_read)
