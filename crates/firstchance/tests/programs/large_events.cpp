// A process of MIB (first argument) of which two threads do something again and again from the line "go" until the line "end",
// when it prints how often, how many signals it has handled, and how many milliseconds the slowest took: "throw" an exception and
// catch it (each has a number of its own, from 1 on), send themselves a "signal" that they handle, or do "all", and start a thread. At the line "die" it throws an exception that nobody catches.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

static std::atomic<long> done, handled, thrown, slowest;
static std::atomic<bool> ends;
static std::string what;

static void act() {
    if (what != "throw") raise(SIGUSR1);
    if (what == "all") std::thread([] {}).join();
    if (what == "signal") {
        done++;
        return;
    }
    try {
        throw std::runtime_error("thrown again and again: " + std::to_string(++thrown));
    } catch (const std::runtime_error &) {
        done++;
    }
}

static void act_on() {
    using Clock = std::chrono::steady_clock;
    while (!ends) {
        auto begin = Clock::now();
        act();
        long took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
        long before = slowest;
        while (took > before && !slowest.compare_exchange_weak(before, took)) {}
        usleep(10000);
    }
}

int main(int, char **arguments) {
    size_t size = (size_t)atoi(arguments[1]) << 20;
    what = arguments[2];
    memset(malloc(size), 'P', size);
    signal(SIGUSR1, [](int) { handled++; });
    std::cout << "ready " << getpid() << std::endl;
    std::string line;
    std::getline(std::cin, line);
    std::thread first(act_on), second(act_on);
    std::getline(std::cin, line);
    ends = true;
    first.join();
    second.join();
    std::cout << done << " " << handled << " " << slowest << std::endl;
    std::getline(std::cin, line);
    if (line == "die") throw std::logic_error("nobody catches me");
}
