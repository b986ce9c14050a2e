// thrower: waits for lines; for a line "COUNT THREADS" each thread throws and catches COUNT times, and
// it prints how many nanoseconds of its own time one throw took, in the median thread.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <thread>
#include <vector>

struct Unwanted {
    int number;
};

static double nanoseconds() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void throw_all(int count, double *cost) {
    double start = nanoseconds();
    for (int i = 0; i < count; i++) {
        try {
            throw Unwanted{i};
        } catch (Unwanted &) {
        }
    }
    *cost = (nanoseconds() - start) / count;
}

int main() {
    int count, threads;
    puts("ready thrower");
    fflush(stdout);
    while (scanf("%d %d", &count, &threads) == 2) {
        std::vector<double> costs(threads);
        std::vector<std::thread> all;
        for (int i = 0; i < threads; i++) all.emplace_back(throw_all, count, &costs[i]);
        for (auto &thread : all) thread.join();
        std::sort(costs.begin(), costs.end());
        printf("cost %.0f\n", costs[threads / 2]);
        fflush(stdout);
    }
}
