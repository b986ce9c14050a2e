// throws_and_executes COUNT: throws and catches an exception, and executes itself, so many times. The first one waits for a
// line of input.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 2) return 9;
    int left = atoi(arguments[1]);
    if (count == 2) {
        puts("begun");
        fflush(stdout);
        getchar();
    }
    if (left == 0) return 0;
    try {
        throw std::runtime_error("counted");
    } catch (const std::exception &) {
    }
    execl(arguments[0], arguments[0], std::to_string(left - 1).c_str(), "again", nullptr);
    return 8;
}
