// keeps_throwing [MICROSECONDS]: four threads throw and catch, each fifty times a second or after so many microseconds, until
// the input ends. Tells at each line of its input how often they did.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <unistd.h>

struct NotFound : std::runtime_error {
    using std::runtime_error::runtime_error;
};

static std::atomic<long> thrown;
static int pause_between = 20000;

static void keep_throwing() {
    for (;;) {
        try {
            throw NotFound("order 7");
        } catch (std::exception &) {
        }
        thrown++;
        usleep(pause_between);
    }
}

int main(int count, char **arguments) {
    if (count > 1) pause_between = atoi(arguments[1]);
    for (int i = 0; i < 4; i++) std::thread(keep_throwing).detach();
    puts("ready");
    fflush(stdout);
    for (int letter; (letter = getchar()) >= 0;) {
        if (letter != '\n') continue;
        printf("%ld\n", thrown.load());
        fflush(stdout);
    }
    _exit(0);
}
