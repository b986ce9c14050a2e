// ends HOW: waits for a line, then ends as it is told.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;

static void jump_back(int unused)
{
    (void)unused;
    siglongjmp(back, 1);
}

static void fault(void)
{
    *(volatile int *)8 = 1;
}

static void *fault_in_thread(void *unused)
{
    fault();
    return unused;
}

// A file that is cut short behind a mapping: SIGBUS.
static void bus(void)
{
    FILE *file = tmpfile();
    if (!file || ftruncate(fileno(file), 4096))
        _exit(90);
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (page == MAP_FAILED || ftruncate(fileno(file), 0))
        _exit(91);
    page[0] = 1;
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int deep(volatile char *above)
{
    volatile char frame[4096];
    frame[0] = above[0];
    return deep(frame) + frame[1];
}

static void handled_faults(int count)
{
    struct sigaction action = {.sa_handler = jump_back};
    sigaction(SIGSEGV, &action, NULL);
    for (volatile int i = 0; i < count; i++)
        if (!sigsetjmp(back, 1))
            fault();
}

static void child_crashes(void)
{
    pid_t child = fork();
    if (!child)
        abort();
    waitpid(child, NULL, 0);
}

static void many_threads_crash(void)
{
    pthread_t thread;
    for (int i = 0; i < 8; i++)
        pthread_create(&thread, NULL, fault_in_thread, NULL);
    pthread_join(thread, NULL);
}

static void block_all(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

int main(int count, char **arguments)
{
    const char *how = count > 1 ? arguments[1] : "exit";
    char zero[1] = {0};
    pthread_t thread;
    puts("ready");
    fflush(stdout);
    if (getchar() < 0)
        return 92;
    if (!strcmp(how, "segv")) fault();
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "fpe")) raise(SIGFPE);
    if (!strcmp(how, "ill")) __builtin_trap();
    if (!strcmp(how, "bus")) bus();
    if (!strcmp(how, "trap")) raise(SIGTRAP);
    if (!strcmp(how, "sys")) raise(SIGSYS);
    if (!strcmp(how, "xcpu")) raise(SIGXCPU);
    if (!strcmp(how, "overflow")) return deep(zero);
    if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, fault_in_thread, NULL);
        pthread_join(thread, NULL);
    }
    if (!strcmp(how, "leader-gone")) {
        pthread_create(&thread, NULL, fault_in_thread, NULL);
        pthread_exit(NULL);
    }
    if (!strcmp(how, "all")) many_threads_crash();
    if (!strcmp(how, "blocked")) {
        block_all();
        fault();
    }
    if (!strcmp(how, "ignored")) {
        signal(SIGSEGV, SIG_IGN);
        fault();
    }
    if (!strcmp(how, "handled")) handled_faults(1000);
    if (!strcmp(how, "child")) child_crashes();
    if (!strcmp(how, "exec")) execl("/proc/self/exe", arguments[0], "segv", NULL);
    if (!strcmp(how, "_exit")) _exit(4);
    if (!strcmp(how, "exit_group")) syscall(SYS_exit_group, 5);
    if (!strcmp(how, "term")) raise(SIGTERM);
    if (!strcmp(how, "kill")) raise(SIGKILL);
    return 3;
}
