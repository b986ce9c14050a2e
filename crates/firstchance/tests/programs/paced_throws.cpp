// paced_throws: reads a line, then throws and catches every 10 ms until its input ends. Says how many it threw, and how many of
// them took longer than 80 ms.
#include <chrono>
#include <cstdio>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

struct NotFound : std::out_of_range {
    using std::out_of_range::out_of_range;
};

static bool took_long() {
    auto begin = std::chrono::steady_clock::now();
    try {
        throw NotFound("order 7");
    } catch (std::exception &) {
    }
    return std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(80);
}

int main() {
    puts("ready");
    fflush(stdout);
    if (getchar() < 0) return 8;
    struct pollfd input = {0, POLLIN, 0};
    int thrown = 0, slow = 0;
    while (poll(&input, 1, 10) == 0) {
        slow += took_long();
        thrown++;
    }
    printf("%d %d\n", thrown, slow);
}
