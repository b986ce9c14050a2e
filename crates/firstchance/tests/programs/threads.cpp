// 200 threads, each some C++ frames deep, all asleep on one condition; the first counts lines.
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <sys/prctl.h>
#include <thread>
#include <vector>

namespace shop {

std::mutex mutex;
std::condition_variable change;
int waiting = 0;
bool is_over = false;

template <typename Number> struct Order {
    Number number;
    __attribute__((noinline)) void checkout(int depth)
    {
        if (depth > 0) {
            checkout(depth - 1);
            __asm__ volatile("");
            return;
        }
        std::unique_lock<std::mutex> lock(mutex);
        waiting++;
        change.notify_all();
        change.wait(lock, [] { return is_over; });
    }
};

} // namespace shop

int main()
{
    const int count = 200;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++)
        threads.emplace_back([i] { shop::Order<long>{ i }.checkout(i % 5); });
    {
        std::unique_lock<std::mutex> lock(shop::mutex);
        shop::change.wait(lock, [] { return shop::waiting == count; });
    }
    std::cout << "ready" << std::endl;
    std::string line;
    for (int count = 0; std::getline(std::cin, line); count++)
        std::cout << "pong " << count << std::endl;
    std::_Exit(0);
}
