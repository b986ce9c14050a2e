// server: without arguments, a server that throws and catches an exception for each request (one byte), in a thread for
// each connection; it prints `ready PORT`. `server PORT CONNECTIONS RATE SECONDS` is its client: it asks RATE times a
// second over all connections, and prints `load ANSWERS-A-SECOND P99-IN-MICROSECONDS`.
#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using Clock = std::chrono::steady_clock;

struct NotFound : std::runtime_error {
    using runtime_error::runtime_error;
};

__attribute__((noinline)) static void find(int order) {
    throw NotFound("order " + std::to_string(order));
}

static void serve(int connection) {
    char byte;
    for (int order = 0; read(connection, &byte, 1) == 1; order++) {
        try {
            find(order);
        } catch (const std::exception &) {
        }
        if (write(connection, &byte, 1) != 1) break;
    }
    close(connection);
}

static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int accept_all() {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    if (bind(listener, (sockaddr *)&address, length) || listen(listener, 64)) return 1;
    getsockname(listener, (sockaddr *)&address, &length);
    printf("ready %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, nullptr, nullptr);
        if (connection >= 0) std::thread(serve, connection).detach();
    }
}

static std::mutex lock;
static std::vector<double> latencies;

static void ask(int port, double interval, Clock::time_point end) {
    int connection = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    sockaddr_in address = loopback(port);
    if (connect(connection, (sockaddr *)&address, sizeof address)) return;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::vector<double> own;
    char byte = 'x';
    for (auto next = Clock::now(); next < end;) {
        std::this_thread::sleep_until(next);
        auto start = Clock::now();
        if (write(connection, &byte, 1) != 1 || read(connection, &byte, 1) != 1) break;
        auto done = Clock::now();
        own.push_back(std::chrono::duration<double, std::micro>(done - start).count());
        next += std::chrono::nanoseconds((long long)(interval * 1e9));
        // A request that is late is sent at once, and those that were missed are not made up for.
        next = std::max(next, done);
    }
    close(connection);
    std::lock_guard<std::mutex> held(lock);
    latencies.insert(latencies.end(), own.begin(), own.end());
}

int main(int count, char **words) {
    if (count < 5) return accept_all();
    int port = atoi(words[1]), connections = atoi(words[2]);
    double rate = atof(words[3]), seconds = atof(words[4]);
    auto end = Clock::now() + std::chrono::milliseconds((long long)(seconds * 1e3));
    std::vector<std::thread> threads;
    for (int i = 0; i < connections; i++) threads.emplace_back(ask, port, connections / rate, end);
    for (auto &thread : threads) thread.join();
    if (latencies.empty()) return 1;
    std::sort(latencies.begin(), latencies.end());
    printf("load %.1f %.0f\n", latencies.size() / seconds, latencies[latencies.size() * 99 / 100]);
}
