// A process of MIB (first argument) of which two threads throw an exception and catch it, again and again from the line "go" until the
// line "end", when it prints how often. At the line "die" it throws an exception that nobody catches.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

static std::atomic<long> thrown;
static std::atomic<bool> ends;

static void throw_again() {
    while (!ends) {
        try {
            throw std::runtime_error("thrown again and again");
        } catch (const std::runtime_error &) {
            thrown++;
        }
        usleep(10000);
    }
}

int main(int, char **arguments) {
    size_t size = (size_t)atoi(arguments[1]) << 20;
    memset(malloc(size), 'P', size);
    std::cout << "ready " << getpid() << std::endl;
    std::string line;
    std::getline(std::cin, line);
    std::thread first(throw_again), second(throw_again);
    std::getline(std::cin, line);
    ends = true;
    first.join();
    second.join();
    std::cout << thrown << std::endl;
    std::getline(std::cin, line);
    if (line == "die") throw std::logic_error("nobody catches me");
}
