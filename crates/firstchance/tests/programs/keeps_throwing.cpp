// Four threads throw and catch, each fifty times a second, until the input ends.
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <unistd.h>

struct NotFound : std::runtime_error {
    using std::runtime_error::runtime_error;
};

static void keep_throwing() {
    for (;;) {
        try {
            throw NotFound("order 7");
        } catch (std::exception &) {
        }
        usleep(20000);
    }
}

int main() {
    for (int i = 0; i < 4; i++) std::thread(keep_throwing).detach();
    puts("ready");
    fflush(stdout);
    while (getchar() >= 0) {
    }
    _exit(0);
}
