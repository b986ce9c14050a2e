// For each line of input: "throw" throws and catches ten of each type, "uncaught" throws for good,
// "debugged" tells whether a debugger is there.
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <io.h>
#include <stdexcept>
#include <string>
#include <windows.h>

struct NotFound : std::out_of_range {
    using std::out_of_range::out_of_range;
};

static void throw_each(int i) {
    try {
        throw NotFound("order " + std::to_string(i));
    } catch (std::exception &) {
    }
    try {
        throw i;
    } catch (int) {
    }
}

int main() {
    setmode(1, O_BINARY);
    // No debugger of the system's own when it crashes.
    SetErrorMode(SEM_NOGPFAULTERRORBOX);
    printf("fact listens yes\nready %lu\n", GetCurrentProcessId());
    fflush(stdout);
    char word[16];
    while (scanf("%15s", word) == 1) {
        if (!strcmp(word, "debugged")) printf("%d\n", IsDebuggerPresent());
        for (int i = 0; i < 10 && !strcmp(word, "throw"); i++) throw_each(i);
        if (!strcmp(word, "uncaught")) throw std::runtime_error("nobody catches me");
        puts("pong");
        fflush(stdout);
    }
    return 3;
}
