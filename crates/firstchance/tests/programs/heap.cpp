// Fills its heap: 20,000 blocks of 528 bytes, 5,000 objects with virtual functions, large blocks, blocks of a second thread of
// which a third stays, and some that are given back. Tells what the C library says of it, and waits for the end of its input.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <future>
#include <thread>
#include <vector>

struct Session {
    virtual ~Session() {}
    char name[100];
};
struct Order : Session {
    int lines[20];
};

static void *const volatile *kept;

int main() {
    std::vector<void *> keep;
    keep.reserve(100000);
    for (int i = 0; i < 20000; i++) {
        char *block = (char *)malloc(528);
        snprintf(block, 528, "SESSION-OBJECT-%06d", i);
        keep.push_back(block);
    }
    for (int i = 0; i < 5000; i++)
        keep.push_back(new Order());
    for (int i = 0; i < 3; i++) {
        void *large = malloc(40 << 20);
        memset(large, 7, 40 << 20);
        keep.push_back(large);
    }
    std::promise<void> done;
    std::thread other([&] {
        for (int i = 0; i < 3000; i++) {
            char *block = (char *)malloc(1000);
            strcpy(block, "block of a thread");
            if (i % 3)
                free(block);
        }
        done.set_value();
        pause();
    });
    done.get_future().wait();
    std::vector<void *> given;
    given.reserve(1000);
    for (int i = 0; i < 1000; i++)
        given.push_back(malloc(64));
    for (int i = 0; i < 1000; i += 2)
        free(given[i]);
    kept = keep.data();
    // Nothing is asked for from here on.
    static char line[200];
    setvbuf(stdout, line, _IOLBF, sizeof line);
    struct mallinfo2 info = mallinfo2();
    printf("%zu %zu %zu %zu\n", info.uordblks, info.fordblks, info.hblks, info.hblkhd);
    char byte;
    return (int)read(0, &byte, 1);
}
