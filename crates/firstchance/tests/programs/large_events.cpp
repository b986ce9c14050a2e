// A process of MIB (first argument) of which two threads do something again and again from the line "go" until the line "end",
// when it prints how often, and how many signals it has handled: "throw" an exception and catch it, send themselves a "signal" that
// they handle, or do "all", and start a thread. At the line "die" it throws an exception that nobody catches.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csignal>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

static std::atomic<long> done, handled;
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
        throw std::runtime_error("thrown again and again");
    } catch (const std::runtime_error &) {
        done++;
    }
}

static void act_on() {
    while (!ends) {
        act();
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
    std::cout << done << " " << handled << std::endl;
    std::getline(std::cin, line);
    if (line == "die") throw std::logic_error("nobody catches me");
}
