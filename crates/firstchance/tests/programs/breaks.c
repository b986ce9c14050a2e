/* Reads a line, runs into a breakpoint of its own, handles that, and ends. */
#include <signal.h>
#include <stdio.h>

static void handler(int number) {
    (void)number;
}

int main(void) {
    signal(SIGTRAP, handler);
    puts("ready");
    fflush(stdout);
    getchar();
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("int3");
#else
    raise(SIGTRAP);
#endif
    return 0;
}
