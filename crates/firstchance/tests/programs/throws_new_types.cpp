// Throws an exception of another type each time, which is made up: it has itself as its base, 64 times. With each line of
// input, so many; then prints "done".
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <typeinfo>

struct First { virtual ~First() {} };
struct Second { virtual ~Second() {} };
struct Both : First, Second {};

// __vmi_class_type_info as Itanium's C++ ABI has it, §2.9.4.
struct Type {
    const void *vtable;
    const char *name;
    uint32_t flags, count;
    struct { const void *type; long offset_flags; } bases[64];
};

static std::type_info *made_up(int number) {
    auto known = reinterpret_cast<const Type *>(&typeid(Both));
    auto type = static_cast<Type *>(calloc(1, sizeof(Type)));
    auto name = static_cast<char *>(malloc(32));
    snprintf(name, 32, "8New%05d", number);
    type->vtable = known->vtable;
    type->name = name;
    type->flags = 3;
    type->count = 64;
    for (auto &base : type->bases) base = {type, 2};
    return reinterpret_cast<std::type_info *>(type);
}

int main() {
    char line[16];
    int number = 0;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        for (int left = atoi(line); left > 0; left--) {
            try {
                void *object = abi::__cxa_allocate_exception(64);
                abi::__cxa_throw(object, made_up(number++), nullptr);
            } catch (...) {
            }
        }
        puts("done");
        fflush(stdout);
    }
}
