// Calls through templates, lambdas and members that the compiler inlines, above a function that waits.
#include <algorithm>
#include <cstdio>
#include <unistd.h>
#include <vector>

namespace shop {

volatile int sum;

__attribute__((noinline)) void stands(int n)
{
    sum += n;
    for (;;)
        pause();
}

template <typename Work> struct Each {
    Work work;

    inline void over(const std::vector<int> &numbers) const
    {
        std::for_each(numbers.begin(), numbers.end(), [this](int n) {
            if (n > 2)
                work(n);
        });
    }
};

class Order {
public:
    explicit Order(std::vector<int> some) : numbers(some) {}

    __attribute__((noinline)) int price(int amount) const
    {
        auto work = [amount](int n) { stands(n + amount); };
        Each<decltype(work)>{work}.over(numbers);
        return sum;
    }

private:
    std::vector<int> numbers;
};

} // namespace shop

int main(int count, char **)
{
    shop::Order order({0, 1, 2, 3, count});
    printf("ready\n");
    fflush(stdout);
    int price = order.price(count);
    shop::sum += price;
    return shop::sum;
}
