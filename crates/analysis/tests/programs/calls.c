// Waits at a known depth. The argument says how it got there.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int depth;

static void ready(void) {
    puts("ready");
    fflush(stdout);
}

__attribute__((noinline)) void wait_here(void) {
    ready();
    for (;;) pause();
}

__attribute__((noinline)) void inner(int n) {
    // A frame whose size only the run knows.
    volatile char *room = alloca(n * 16 + 1);
    room[0] = 1;
    wait_here();
    depth += room[0];
}

__attribute__((noinline)) void middle(int n) {
    inner(n + 1);
    depth++;
}

__attribute__((noinline)) void outer(int n) {
    middle(n + 1);
    depth++;
}

// Realigns its stack: its frame is found through another register than the stack pointer.
__attribute__((noinline)) void aligned(int n) {
    volatile char wide[256] __attribute__((aligned(128)));
    memset((void *)wide, n, sizeof wide);
    outer(n);
    depth += wide[n];
}

static void on_signal(int number) {
    (void)number;
    outer(1);
}

__attribute__((noinline)) void interrupted(void) {
    raise(SIGUSR1);
    depth++;
}

static void *run(void *unused) {
    (void)unused;
    outer(1);
    return NULL;
}

__attribute__((noinline)) int recurse(int n) {
    if (n == 0) wait_here();
    return recurse(n - 1) + n;
}

__attribute__((noinline)) void nowhere(void) {
    void (*volatile function)(void) = NULL;
    ready();
    function();
    depth++;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "plain";
    pthread_t thread;
    if (!strcmp(how, "plain")) outer(argc);
    if (!strcmp(how, "aligned")) aligned(argc);
    if (!strcmp(how, "recurse")) return recurse(3000);
    if (!strcmp(how, "nowhere")) nowhere();
    if (!strcmp(how, "signal")) {
        signal(SIGUSR1, on_signal);
        interrupted();
    }
    if (!strcmp(how, "sigaltstack")) {
        stack_t other = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
        sigaltstack(&other, NULL);
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
        sigaction(SIGUSR1, &action, NULL);
        interrupted();
    }
    if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, run, NULL);
        pthread_join(thread, NULL);
    }
    return depth;
}
