// stacks_in_turn LEFT OTHER: throws a type of its own for each LEFT, and executes OTHER with one less, until none is left. It is
// compiled as two programs whose functions lie in different places: `FUNCTION` throws.
#include <cstdlib>
#include <string>
#include <unistd.h>

enum { MOST = 10 };

template <int N> struct Thrown {};

template <int N> static void throw_one(int left) {
    if (left == N) throw Thrown<N>();
    if constexpr (N + 1 < MOST) throw_one<N + 1>(left);
}

#ifdef PADDING
extern "C" [[gnu::noinline, gnu::used]] int padding(int a, int b) {
    asm volatile(".fill 3000, 1, 0x90");
    return a * b;
}
#endif

extern "C" [[gnu::noinline, gnu::flatten]] void FUNCTION(int left) {
    throw_one<0>(left);
    asm volatile("");
}

int main(int count, char **arguments) {
    if (count != 3) return 9;
    int left = atoi(arguments[1]);
    if (left == MOST) return 0;
    try {
        FUNCTION(left);
    } catch (...) {
    }
    execl(arguments[2], arguments[2], std::to_string(left + 1).c_str(), arguments[0], nullptr);
    return 8;
}
