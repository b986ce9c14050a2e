// throws COUNT THREADS END: waits for a line, then each thread throws and catches COUNT of each of
// three types; says how many were caught; ends as END says.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

struct NotFound : std::out_of_range {
    using std::out_of_range::out_of_range;
};
struct Plain {
    int number;
};

static std::atomic<int> caught;

static void throw_each(int count) {
    for (int i = 0; i < count; i++) {
        try {
            throw NotFound("order " + std::to_string(i));
        } catch (std::exception &) {
            caught++;
        }
        try {
            throw Plain{i};
        } catch (Plain &) {
            caught++;
        }
        try {
            throw i;
        } catch (int) {
            caught++;
        }
    }
}

static int end(const char *how) {
    if (!strcmp(how, "segv")) *(volatile int *)8 = 1;
    if (!strcmp(how, "throw")) throw std::runtime_error("nobody catches me");
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "_exit")) _exit(4);
    if (!strcmp(how, "wait")) pause();
    return 3;
}

int main(int count, char **arguments) {
    if (count < 4) return 9;
    puts("ready");
    fflush(stdout);
    if (strcmp(arguments[3], "exit-now") && getchar() < 0) return 8;
    std::vector<std::thread> threads;
    for (int i = 0; i < atoi(arguments[2]); i++) threads.emplace_back(throw_each, atoi(arguments[1]));
    for (auto &thread : threads) thread.join();
    printf("caught %d\n", caught.load());
    fflush(stdout);
    return end(arguments[3]);
}
