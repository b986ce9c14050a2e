// alternate_stack HOW: waits for a line, then faults in a thread whose handler runs on an alternate stack: there it waits
// (`wait`), or ends the process (`abort`, `again`: by the same fault).
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *how;

static void handle(int number)
{
    if (!strcmp(how, "wait")) {
        puts("waits");
        fflush(stdout);
        for (;;)
            pause();
    }
    signal(number, SIG_DFL);
    if (!strcmp(how, "abort"))
        abort();
}

__attribute__((noinline)) static int crashing_function(volatile int *place)
{
    char frame[2000];
    memset(frame, *place, sizeof frame);
    return frame[*place];
}

static void *work(void *unused)
{
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&stack, NULL);
    crashing_function((int *)16);
    return unused;
}

int main(int count, char **arguments)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    pthread_t thread;
    how = count > 1 ? arguments[1] : "wait";
    sigaction(SIGSEGV, &action, NULL);
    puts("ready");
    fflush(stdout);
    if (getchar() < 0)
        return 92;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
}
