// SPDX-License-Identifier: Apache-2.0
// An application in C++: reads the data object of the plugin in C++; argument: a configuration with [token it].
#include <hsmux/hsmux.h>

#include <iostream>
#include <string>

int main(int argc, char **argv)
{
    hx *context = nullptr;
    hx_bytes value{};
    int result = hx_new(argc > 1 ? argv[1] : nullptr, &context);
    if (result == HX_OK)
        result = hx_read(context, "hsm:it/data/greeting", HX_VALUE, &value);
    if (result == HX_OK)
        std::cout << std::string(reinterpret_cast<char *>(value.data), value.len) << '\n';
    else
        std::cerr << hx_last_error() << '\n';
    hx_bytes_free(&value);
    hx_free(context);
    return result == HX_OK ? 0 : 1;
}
