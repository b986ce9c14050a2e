// dies HOW: waits for a line, then dies in the way that HOW names. -DHANDLER: a handler of its own takes faults first, on a stack of
// its own, and sends the signal again.
#define _GNU_SOURCE
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<linux/seccomp.h>)
#include <linux/filter.h>
#include <linux/seccomp.h>
#define FILTERS
#endif

struct order {
    int number;
    int total;
};

static const int constants[4] = {1, 2, 3, 4};
static volatile int zero, smallest = INT32_MIN;
volatile int frames;

__attribute__((noinline)) int total_of(const struct order *order)
{
    return order->total;
}

__attribute__((noinline)) void store(int *place)
{
    *place = 7;
}

__attribute__((noinline)) int call(int (*function)(void))
{
    return function() + 1;
}

__attribute__((noinline)) int divide(int a, int b)
{
    return a / b;
}

__attribute__((noinline)) int descend(int left)
{
    volatile char room[32];
    room[0] = (char)left;
    frames++;
    return left ? descend(left - 1) + room[0] : 0;
}

__attribute__((noinline)) void overwrite(size_t length)
{
    char room[16];
    volatile char *to = room;
    for (size_t at = 0; at < length; at++)
        to[at] = 'x';
}

__attribute__((noinline)) void truncated(void)
{
    int file = memfd_create("prices", 0);
    if (ftruncate(file, 8192))
        return;
    volatile char *prices = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);
    if (!ftruncate(file, 0))
        (void)prices[4096];
}

__attribute__((noinline)) void forbidden(void)
{
#ifdef FILTERS
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getcwd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    char folder[100];
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    syscall(SYS_getcwd, folder, sizeof folder);
#endif
}

__attribute__((noinline)) void free_twice(void)
{
    char *volatile block = malloc(2000);
    char *volatile other = malloc(2000);
    free(block);
    free(block);
    free(other);
}

#ifdef HANDLER
static void handler(int signal_number)
{
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void handle(void)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
}
#else
static void handle(void)
{
}
#endif

#define is(word) (!strcmp(how, word))

__attribute__((noinline)) void die(const char *how)
{
    if (is("null"))
        printf("%d\n", total_of(NULL));
    if (is("read-only"))
        store((int *)&constants[2]);
    if (is("jump-to-null"))
        call(NULL);
    if (is("jump-to-data"))
        call((int (*)(void))(uintptr_t)&smallest);
    if (is("odd-pointer"))
        printf("%d\n", total_of((struct order *)0x4141414141414141));
    if (is("flipped"))
        printf("%d\n", total_of((struct order *)((uintptr_t)malloc(99) ^ 1ULL << 46)));
    if (is("unmapped"))
        printf("%d\n", total_of((struct order *)0x123456789000));
    if (is("overflow"))
        descend(1 << 30);
    if (is("divide"))
        printf("%d\n", divide(5, zero));
    if (is("divide-smallest"))
        printf("%d\n", divide(smallest, zero - 1));
    if (is("trap"))
        __builtin_trap();
    if (is("smash"))
        overwrite(200);
    if (is("truncated"))
        truncated();
    if (is("forbidden"))
        forbidden();
    if (is("free-twice"))
        free_twice();
    if (is("assert"))
        assert(zero == 1 && "the till is empty");
    if (is("abort"))
        abort();
    if (is("raise"))
        raise(SIGSEGV);
}

int main(int count, char **words)
{
    (void)count;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    handle();
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    if (!strcmp(words[1], "wait"))
        for (;;)
            pause();
    if (getchar() < 0)
        return 92;
    die(words[1]);
    return 0;
}
